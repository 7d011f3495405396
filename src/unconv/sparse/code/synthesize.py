"""Synthesis D z from the non-zeros of z alone: no feature map ever exists."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconv.sparse.code.boundary import Boundary, code_size, settle

_CHUNK_ENTRIES = 1 << 20


def synthesize_sparse(
    indices: Int[Tensor, "axes nonzeros"],
    values: Float[Tensor, " nonzeros"],
    dictionary: Float[Tensor, "kernels channels *kernel"],
    boundary: Boundary,
    image_size: Sequence[int],
) -> Tensor:
    """The image (C, *size) that some codes stand for: each non-zero adds its kernel to a canvas.

    >>> one = torch.tensor([[0], [4]]), torch.tensor([2.0])
    >>> synthesize_sparse(*one, torch.tensor([[[1.0, 2.0, 3.0]]]), "circular", (6,))
    tensor([[6., 0., 0., 0., 2., 4.]])
    """
    kernel_size = tuple(dictionary.shape[2:])
    codes = code_size(image_size, kernel_size, boundary)
    canvas_size = tuple(size + taps - 1 for size, taps in zip(codes, kernel_size, strict=True))
    channels = dictionary.shape[1]
    canvas = values.new_zeros(channels, *canvas_size)
    flat = canvas.flatten()
    places = _flat(indices[1:], canvas_size)
    reach = torch.arange(channels, device=values.device).reshape(-1, *(1,) * len(kernel_size)) * canvas[0].numel()
    for axis, taps in enumerate(kernel_size):
        stride = canvas.stride(axis + 1)
        tap = torch.arange(taps, device=values.device) * stride
        reach = reach + tap.reshape(-1, *(1,) * (len(kernel_size) - 1 - axis))
    kernels, reach = dictionary.flatten(1), reach.flatten()
    chunk = max(1, _CHUNK_ENTRIES // kernels.shape[1])
    for start in range(0, len(values), chunk):
        part = slice(start, start + chunk)
        patches = values[part, None] * kernels[indices[0, part]]
        flat.index_add_(0, (places[part, None] + reach).flatten(), patches.flatten())
    return settle(flat.reshape(canvas.shape), kernel_size, boundary)


def _flat(positions: Tensor, size: Sequence[int]) -> Tensor:
    """Row-major number of each position (axes, n)."""
    found = torch.zeros_like(positions[0])
    for axis, extent in enumerate(size):
        found = found * extent + positions[axis]
    return found

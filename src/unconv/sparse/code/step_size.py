"""Step size of gradient methods: ‖D‖² from the kernels' frequency responses."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.sparse.code.boundary import Boundary

# With 20 samples for each tap, the largest value between the samples is at most 1.25% per axis above the largest
# sampled; a finer grid costs more than the smaller step that this means.
_SAMPLES_PER_TAP = 20


def squared_norm_bound(
    dictionary: Float[Tensor, "kernels channels *kernel"], boundary: Boundary, image_size: Sequence[int]
) -> Float[Tensor, ""]:
    """The largest eigenvalue of DᵀD, or a little more; differentiable in the dictionary.

    On a torus, D is one K×C matrix D̂(f) for each frequency f, so ‖D‖² = max_f σ²_max(D̂(f)): exact for ``circular``.
    ``valid`` is a part of the same D on the same torus, ``crop`` of D on one of size + L − 1: those norms bound theirs.
    D̂ᴴD̂ is a trigonometric polynomial of degree L − 1 in f: from M samples around the circle its maximum is known up to
    1/cos(π(L − 1)/M) (Ehlich & Zeller 1964), which spares large images the full grid.

    >>> squared_norm_bound(torch.ones(1, 1, 3), "circular", image_size=(8,))
    tensor(9., dtype=torch.float64)
    """
    kernel_size = tuple(dictionary.shape[2:])
    grid, slack = [], 1.0
    for size, taps in zip(image_size, kernel_size, strict=True):
        full, few = size + (taps - 1 if boundary == "crop" else 0), _SAMPLES_PER_TAP * taps
        grid.append(min(full, few))
        if few < full:
            slack /= cos(pi * (taps - 1) / few)
    return _largest(dictionary, grid) * slack


def _largest(dictionary: Tensor, grid: Sequence[int]) -> Tensor:
    """max over the grid's frequencies of the largest eigenvalue of D̂ᴴD̂ (or D̂D̂ᴴ, whichever is smaller)."""
    axes = tuple(range(2, dictionary.ndim))
    response = torch.fft.rfftn(dictionary.double(), tuple(grid), axes).flatten(2).permute(2, 0, 1)
    n_kernels, channels = response.shape[1:]
    if min(n_kernels, channels) == 1:
        power: Tensor = response.abs().square().sum((1, 2))
        return power.amax()
    if channels <= n_kernels:
        gram = torch.einsum("fkc,fkd->fcd", response.conj(), response)
    else:
        gram = torch.einsum("fkc,flc->fkl", response, response.conj())
    found: Tensor = torch.linalg.eigvalsh(gram)[:, -1].amax()
    return found

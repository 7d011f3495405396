"""Torch as the oracle of what is drawn: values of an operation, and which cells one output or one input touches."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.explain.numbers import Numbers
from unconv.explain.scene import Scene
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def even_padding(geometry: Geometry) -> tuple[int, ...]:
    """Padding as torch takes it."""
    assert all(before == after for before, after in geometry.padding)
    return tuple(before for before, _ in geometry.padding)


def torch_output(geometry: Geometry, inputs: Tensor, weights: Tensor | None) -> Tensor:
    """The operation in torch on one channel."""
    x = inputs.double()[None, None]
    w = weights.double()[None, None] if weights is not None else None
    padding, n = even_padding(geometry), geometry.dimensions
    if isinstance(geometry, ConvTransposeGeometry):
        y = TRANSPOSE[n](x, w, None, geometry.stride, padding, geometry.output_padding, 1, geometry.dilation)
    elif isinstance(geometry, MaxPoolGeometry):
        y = MAX[n](x, geometry.kernel_size, geometry.stride, padding, geometry.dilation, geometry.ceil_mode)
    elif isinstance(geometry, AvgPoolGeometry):
        y = AVG[n](x, geometry.kernel_size, geometry.stride, padding, geometry.ceil_mode, geometry.count_include_pad)
    else:
        y = CONV[n](x, w, None, geometry.stride, padding, geometry.dilation)
    return y[0, 0]


def touched(geometry: ConvGeometry | ConvTransposeGeometry, output: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Input cells that one output depends on, by autograd through a kernel of ones."""
    x = torch.zeros(geometry.input_size, dtype=torch.float64, requires_grad=True)
    torch_output(geometry, x, torch.ones(geometry.kernel_size))[output].backward()
    assert x.grad is not None
    return {tuple(cell) for cell in x.grad.nonzero().tolist()}


def fed(geometry: ConvGeometry | ConvTransposeGeometry, cell: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Output cells that one input reaches: where a single one comes out."""
    x = torch.zeros(geometry.input_size)
    x[cell] = 1
    return {tuple(found) for found in torch_output(geometry, x, torch.ones(geometry.kernel_size)).nonzero().tolist()}


def tensors(numbers: Numbers, geometry: Geometry) -> tuple[Tensor, Tensor | None]:
    """Numbers as torch tensors."""
    return _tensor(numbers.inputs, geometry.input_size), (
        _tensor(numbers.weights, geometry.kernel_size) if numbers.weights else None
    )


def _tensor(values: dict[tuple[int, ...], object], size: tuple[int, ...]) -> Tensor:
    flat = [float(values[position]) for position in product(*map(range, size))]
    return torch.tensor(flat, dtype=torch.float64).reshape(size)


def grid_values(scene: Scene, grids: Iterable[int], absent: float = 0.0) -> Tensor:
    """The texts of a board's grids as numbers: (slices, rows, columns)."""
    planes = [
        [[float(text.replace("−", "-")) if text else absent for text in row] for row in scene.grids[n].texts]
        for n in grids
    ]
    return torch.tensor(planes, dtype=torch.float64)


def written(scene: Scene, frame: int, grids: Iterable[int]) -> dict[tuple[int, ...], float]:
    """(slice, row, column) → number written into the grids up to a frame."""
    order = {grid: n for n, grid in enumerate(grids)}
    return {
        (order[text.grid], text.row, text.column): float(text.text.replace("−", "-"))
        for text in scene.frames[frame].texts
        if text.grid in order and not text.corner
    }


def lit_cells(scene: Scene, frame: int, grids: Iterable[int], *tones: str) -> set[tuple[int, int, int]]:
    """(slice, row, column) of a board's cells that are lit."""
    return {(n, row, column) for n, grid in enumerate(grids) for row, column in scene.frames[frame].lit(grid, *tones)}


def padded_position(position: Iterable[int], low: Iterable[int] | None = None) -> tuple[int, int, int]:
    """A position as (slice, row, column) of a board that begins at ``low``."""
    cell = tuple(position)
    shifted = tuple(a - b for a, b in zip(cell, low or (0,) * len(cell), strict=True))
    return (0, 0, 0, *shifted)[-3:]  # type: ignore[return-value]

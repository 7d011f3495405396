"""The oracle of the field tests: which input cells reach which units, found by running the network on NaN.

One input of the batch for each input cell, with NaN in that cell alone; a unit is connected to the cell exactly where
it comes out as NaN. float64 keeps torch on its plain kernels, which do not spread NaN over a tile.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn


def probes(channels: int, size: Sequence[int], cells: Sequence[tuple[int, ...]] | None = None) -> Tensor:
    """A batch with NaN in one cell each: all cells, or those given."""
    chosen = list(itertools.product(*map(range, size))) if cells is None else cells
    batch = torch.ones((len(chosen), channels, *size), dtype=torch.float64)
    for n, cell in enumerate(chosen):
        batch[(n, slice(None), *cell)] = torch.nan
    return batch


def boxes(output: Tensor, size: Sequence[int]) -> dict[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """For each unit of an output that came from ``probes(..., size)``: the box of the cells that reach it."""
    count = len(size)
    reached = output.isnan().flatten(1, -1 - count).any(1) if output.dim() > 1 + count else output.isnan()
    seen = reached.reshape(*size, *reached.shape[1:])
    found = {}
    for unit in itertools.product(*map(range, reached.shape[1:])):
        cells = seen[(..., *unit)].nonzero()
        if len(cells) == 0:
            found[unit] = ((0, 0),) * count
        else:
            found[unit] = tuple((int(a), int(b) + 1) for a, b in zip(cells.amin(0), cells.amax(0), strict=True))
    return found


def positive(model: nn.Module) -> nn.Module:
    """The model in float64, in eval mode, with weights that cancel nothing."""
    model = model.double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(0 if name.endswith("bias") else 1 / max(1, prod(parameter.shape[1:])))
    return model


@torch.no_grad()
def stages(model: nn.Sequential, batch: Tensor) -> list[Tensor]:
    """Outputs of all children, one after another."""
    outputs = []
    for child in model:
        batch = child(batch)
        outputs.append(batch)
    return outputs


def linear_pools(model: nn.Module) -> nn.Module:
    """The model with averages for max poolings, so that gradients reach all of a window."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode))
    return model


def gradient_box(unit: Tensor, image: Tensor) -> tuple[tuple[int, int], ...]:
    """The box of pixels on which a unit depends: in a positive network no two paths cancel."""
    (gradient,) = torch.autograd.grad(unit, image, retain_graph=True)
    cells = gradient.abs().sum((0, 1)).nonzero()
    if not len(cells):
        return ((0, 0),) * (image.dim() - 2)
    return tuple((int(a), int(b) + 1) for a, b in zip(cells.amin(0), cells.amax(0), strict=True))

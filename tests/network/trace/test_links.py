"""Links against torch: which cells each unit of a resize, an adaptive pooling or a padding really reads."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch.nn import functional as F

from unconv.network.trace.links import Link, Spread, Window, link_adaptive_pool, link_padding, link_resize


def read_cells(link: Link | None, size: int, units: int) -> list[set[int]]:
    return [{unit} if link is None else set(link.cells({unit}, size)) for unit in range(units)]


def depends_on(output: torch.Tensor, image: torch.Tensor) -> list[set[int]]:
    """For each unit of a 1-D map: the cells with a gradient beyond rounding."""
    rows = []
    for unit in output.flatten():
        (gradient,) = torch.autograd.grad(unit, image, retain_graph=True)
        rows.append(set((gradient.flatten().abs() > 1e-9).nonzero().flatten().tolist()))
    return rows


def row(size: int) -> torch.Tensor:
    return torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)


SIZES = [(size, output) for size in (1, 2, 3, 5, 8) for output in range(1, 14)]


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_reads_exactly_what_torch_reads(mode: str) -> None:
    for size, output in SIZES:
        image = row(size)
        truth = depends_on(F.interpolate(image, size=output, mode=mode), image)
        assert read_cells(link_resize(size, output, mode.replace("-", "_")), size, output) == truth, (size, output)


@pytest.mark.parametrize("corners", [False, True])
def test_linear_reads_what_torch_reads_and_at_most_two_cells(corners: bool) -> None:
    for size, output in SIZES:
        image = row(size)
        truth = depends_on(F.interpolate(image, size=output, mode="linear", align_corners=corners), image)
        reads = read_cells(link_resize(size, output, "linear", corners), size, output)
        for unit, (seen, claimed) in enumerate(zip(truth, reads, strict=True)):
            assert seen <= claimed, (size, output, unit)
            assert len(claimed) <= 2


@pytest.mark.parametrize(
    ("mode", "corners", "aa"),
    [("bicubic", False, False), ("bicubic", True, False)] + [(mode, False, True) for mode in ("bilinear", "bicubic")],
)
def test_wide_kernels_contain_what_torch_reads(mode: str, corners: bool, aa: bool) -> None:
    kind = ("linear" if mode == "bilinear" else "cubic") + ("_aa" if aa else "")
    for size, output in SIZES:
        image = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
        up = F.interpolate(image, size=(output, size), mode=mode, align_corners=corners, antialias=aa)
        (cells,) = [link_resize(size, output, kind, corners)]
        for unit, claimed in enumerate(read_cells(cells, size, output)):
            (gradient,) = torch.autograd.grad(up[0, 0, unit].sum(), image, retain_graph=True)
            seen = set((gradient[0, 0].abs().sum(1) > 1e-9).nonzero().flatten().tolist())
            assert seen <= claimed, (size, output, unit)


@pytest.mark.parametrize("factor", [2.0, 3.0, 1.5, 0.5, 2.5])
def test_a_given_factor_rules_over_the_sizes(factor: float) -> None:
    for size in (2, 3, 5, 7):
        image = row(size)
        up = F.interpolate(image, scale_factor=factor, mode="nearest")
        link = link_resize(size, up.shape[2], "nearest", scale=1 / Fraction(factor))
        assert read_cells(link, size, up.shape[2]) == depends_on(up, image)


def test_adaptive_pooling_reads_exactly_what_torch_reads() -> None:
    for size, output in SIZES:
        image = row(size)
        truth = depends_on(F.adaptive_avg_pool1d(image, output), image)
        assert read_cells(link_adaptive_pool(size, output), size, output) == truth


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_repeating_padding_reads_exactly_what_torch_reads(mode: str) -> None:
    for size in (2, 3, 6):
        for before in range(size):
            image = row(size)
            output = F.pad(image, (before, size - 1 - before), mode=mode)
            link = link_padding(size, before, size - 1 - before, mode)
            assert read_cells(link, size, output.shape[2]) == depends_on(output, image)


def test_fields_repeat_what_the_cells_say_away_from_borders() -> None:
    links: list[Link | None] = [
        Window(3, 2, 1, 2),
        Spread(3, 2, 1, 1),
        link_adaptive_pool(24, 16),
        link_resize(24, 36, "linear"),
        link_resize(24, 9, "cubic"),
    ]
    for link in links:
        assert link is not None
        for unit in range(3, 7):
            start, stop = link.field().of(unit)
            cells = sorted(link.cells({unit}, 24))
            assert (cells[0], cells[-1] + 1) == (start, stop), (link, unit)

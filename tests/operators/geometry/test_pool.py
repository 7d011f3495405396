"""A pooling that stands in the table is known everywhere: drawn, calculated, written out, traced, a command."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer.testing import CliRunner

import unconv as uc
from unconv.cli.arithmetic.commands import app
from unconv.explain.captions import settings as said
from unconv.explain.drawing import draw
from unconv.explain.numbers import Numbers
from unconv.explain.symbolic import matrix_texts
from unconv.network.trace.rules.window import WINDOW_RULES
from unconv.operators.geometry import pool
from unconv.operators.geometry.operation import Operation
from unconv.operators.geometry.pool import POOLINGS, PoolGeometry
from unconv.operators.geometry.sizes import Pairs, Size


@dataclass(frozen=True, init=False)
class MinPoolGeometry(PoolGeometry):
    """The smallest input of each window."""

    kind: ClassVar[Operation] = Operation(
        "minpool",
        "Minimum pooling",
        "M",
        value=lambda terms, _: min(terms),
        calculation="min({terms})",
        term="{value}",
        joint=", ",
        entry="s{tap}",
        picks="the smallest input",
        of_padding="its minimum is ∞",
    )
    operation: ClassVar[str] = kind.name

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...] = field(init=False, repr=False)
    ceil_mode: bool

    def __init__(
        self,
        input_size: Size,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
    ) -> None:
        self._set(**pool._pool_fields(self.operation, input_size, kernel_size, stride, padding, 1, ceil_mode))
        pool._check_pool(self)


ALL = (*POOLINGS, MinPoolGeometry)
BY_TORCH: dict[str, object] = {
    "maxpool": lambda x: F.max_pool2d(x, 2, 1),
    "avgpool": lambda x: F.avg_pool2d(x, 2, 1),
    "minpool": lambda x: -F.max_pool2d(-x, 2, 1),
}


@pytest.fixture
def _with_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unconv.operators.geometry.pool.POOLINGS", ALL)
    monkeypatch.setattr("unconv.cli.arithmetic.poolings.POOLINGS", ALL)


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("pooling", ALL, ids=lambda pooling: pooling.operation)
def test_numbers_in_the_cells_equal_torch(pooling: type[PoolGeometry]) -> None:
    image = np.random.default_rng(0).integers(-4, 5, (4, 4))
    geometry = pooling((4, 4), 2, 1)
    numbers = Numbers.of(geometry, image.tolist())
    wanted: Tensor = BY_TORCH[pooling.operation](torch.tensor(image, dtype=torch.float64)[None, None])  # type: ignore[operator]
    for row in range(3):
        for column in range(3):
            assert numbers.result(geometry, (row, column)) == Fraction(float(wanted[0, 0, row, column]))


@pytest.mark.usefixtures("_with_one_more")
@pytest.mark.parametrize("pooling", ALL, ids=lambda pooling: pooling.operation)
def test_every_pooling_is_a_command_with_the_settings_of_its_geometry(pooling: type[PoolGeometry]) -> None:
    name = pooling.operation
    assert name in call("--help")
    text = call(name, "--help")
    assert f"{pooling.kind.title[1:]}." in text
    flags = {"dilation": "--dilation", "ceil_mode": "--ceil-mode", "count_include_pad": "--exclude-pad"}
    for setting, flag in flags.items():
        assert (flag in text) is (setting in pooling.settings()), flag
    printed = call(name, "-i", "5", "-k", "2", "--numbers", "1", "--matrix")
    assert printed.startswith(f"{pooling.kind.title}: window 2 × 2, stride 2")
    assert f"\n{pooling.kind.matrix}, 4 × 25:" in printed
    found = json.loads(call(name, "-i", "5", "-k", "2", "--ceil-mode", "--json"))
    assert (found["operation"], found["output_size"], found["ceil_mode"]) == (name, [3, 3], True)


@pytest.mark.usefixtures("_with_one_more")
def test_refusals_name_every_pooling() -> None:
    result = CliRunner().invoke(app, ["-o", "x"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "conv, transpose, maxpool, avgpool, minpool" in result.output


@pytest.mark.parametrize("pooling", ALL, ids=lambda pooling: pooling.operation)
def test_every_pooling_is_drawn_in_its_own_words(pooling: type[PoolGeometry]) -> None:
    geometry = pooling((4, 4), 2, padding=1, ceil_mode=True)
    assert said(geometry) == "window 2 × 2, stride 2, padding 1, ceil mode"
    for view in ("gather", "matrix"):
        scene = draw(geometry, view, 3).scene
        assert scene.title == pooling.kind.title
        assert pooling.kind.calculation.split("{")[0] in scene.frames[4].line
    entries = {text for row in matrix_texts(geometry) for text in row} - {"0"}
    assert entries
    assert all(entry[0] == pooling.kind.entry[0] for entry in entries)


def test_a_window_of_padding_only_has_no_winner() -> None:
    geometry = uc.operators.MaxPoolGeometry(1, 2, 2, 1, 2)
    assert not geometry.taps_of((0,))[0]
    with pytest.raises(uc.errors.GeometryError, match="sees padding only, its maximum is −∞; leave out numbers"):
        draw(geometry, numbers=1)


@pytest.mark.parametrize("pooling", POOLINGS, ids=lambda pooling: pooling.operation)
@pytest.mark.parametrize("axes", [2, 3])
def test_a_trace_knows_every_pooling_of_torch(pooling: type[PoolGeometry], axes: int) -> None:
    assert f"{pooling.kind.torch}{axes}d" in WINDOW_RULES
    name = "".join(part.capitalize() for part in pooling.kind.torch.split("_"))
    layer: nn.Module = getattr(nn, f"{name}{axes}d")(3, stride=2, padding=1, ceil_mode=True)
    found = uc.trace(nn.Sequential(layer), (2, *(6 + n for n in range(axes)))).layers[0].geometry
    assert found == pooling(tuple(6 + n for n in range(axes)), 3, 2, 1, ceil_mode=True)

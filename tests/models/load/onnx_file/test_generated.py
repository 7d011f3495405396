"""Generated networks, exported: the file has the sizes, MACs, fields and values of the module."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

import unconv as uc
from unconv.network.trace.graph import Graph
from unconv.operators.by_axes import CONV_LAYER, CONV_TRANSPOSE_LAYER

KINDS = ("conv", "transposed", "max_pool", "avg_pool", "norm", "act", "resize", "pad", "residual", "join")
ACTS: tuple[type[nn.Module], ...] = (nn.ReLU, nn.GELU, nn.LeakyReLU, nn.Hardswish, nn.ELU, nn.SiLU, nn.Softplus)
WIDEST = 20


class Beside(nn.Module):
    """A layer whose output is added to its input, or put beside it."""

    def __init__(self, layer: nn.Module, added: bool) -> None:
        super().__init__()
        self.layer, self.added = layer, added

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x)
        return x + made if self.added else torch.cat([x, made], 1)


def draw_layer(draw: Any, kind: str, channels: int, size: tuple[int, ...]) -> nn.Module | None:
    """A layer for maps of that size; None where the window that was drawn does not fit."""
    axes = len(size)

    def numbers(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    if kind in ("residual", "join"):
        kernel = tuple(2 * n + 1 for n in numbers(0, 1))
        options = {"padding": tuple(n // 2 for n in kernel), "groups": draw(st.sampled_from([1, 2]))}
        return Beside(CONV_LAYER[axes](channels, channels, kernel, **options), kind == "residual")
    if kind == "act":
        return draw(st.sampled_from(ACTS))()
    if kind == "norm":
        norms = (getattr(nn, f"BatchNorm{axes}d")(channels), nn.GroupNorm(2, channels))
        norms += (getattr(nn, f"InstanceNorm{axes}d")(channels, affine=True),)
        # A norm over one place is refused by torch.
        return (
            draw(st.sampled_from(norms if min(size) > 1 else norms[:1]))
            if kind == "norm"
            else draw(st.sampled_from(ACTS))()
        )
    if kind == "resize":
        mode = draw(st.sampled_from(["nearest", ("linear", "bilinear", "trilinear")[axes - 1]]))
        corners = None if mode == "nearest" else draw(st.booleans())
        return nn.Upsample(scale_factor=2, mode=mode, align_corners=corners) if max(size) * 2 <= WIDEST else None
    if kind == "pad":
        filling = draw(st.sampled_from(["Zero", "Reflection", "Replication"]))
        sides = tuple(draw(st.integers(0, min(2, min(size) - 1))) for _ in range(2 * axes))
        return getattr(nn, f"{filling}Pad{axes}d")(sides)
    kernel, stride, dilation = numbers(1, 3), numbers(1, 3), numbers(1, 2)
    options = {"stride": stride}
    if kind.endswith("pool"):
        options |= {"padding": tuple(draw(st.integers(0, n // 2)) for n in kernel), "ceil_mode": draw(st.booleans())}
        if kind == "avg_pool":
            return getattr(nn, f"AvgPool{axes}d")(kernel, **options, count_include_pad=draw(st.booleans()))
        return getattr(nn, f"MaxPool{axes}d")(kernel, **options, dilation=dilation)
    options |= {"padding": numbers(0, 2), "dilation": dilation, "groups": draw(st.sampled_from([1, 2]))}
    if kind == "conv":
        return CONV_LAYER[axes](channels, draw(st.sampled_from([2, 4])), kernel, **options, bias=draw(st.booleans()))
    options["output_padding"] = tuple(
        draw(st.integers(0, max(pair) - 1)) for pair in zip(stride, dilation, strict=True)
    )
    return CONV_TRANSPOSE_LAYER[axes](channels, draw(st.sampled_from([2, 4])), kernel, **options)


@st.composite
def networks(draw: Any) -> tuple[nn.Module, tuple[int, ...]]:
    """A chain of layers of one to three dimensions, and the size of its input."""
    axes = draw(st.integers(1, 3))
    start = (4, *(draw(st.integers(5, 9)) for _ in range(axes)))
    # A convolution tells which axis holds channels; a file has no norm of groups that would.
    x, layers = torch.zeros(1, *start), list[nn.Module]([CONV_LAYER[axes](4, 4, 1)])
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=3, max_size=7)):
        layer = draw_layer(draw, kind, x.shape[1], tuple(x.shape[2:]))
        try:
            made = x if layer is None else layer.eval()(x)
        except RuntimeError:
            continue
        if layer is not None and max(made.shape[2:]) <= WIDEST:
            layers.append(layer)
            x = made
    # What goes on is a layer with MACs, of one more.
    layers.append(CONV_LAYER[axes](x.shape[1], 2, 1))
    return nn.Sequential(*layers).eval(), start


def facts(graph: Graph) -> list[tuple[Any, ...]]:
    """Operator, size, MACs, field and its exactness of every layer that multiplies or pools."""
    return [
        (one.operator, one.output_shape, one.macs, one.receptive_field, one.exact)
        for one in graph.layers
        if one.macs or one.operator.endswith("pool")
    ]


@settings(max_examples=15, deadline=None)
@given(made=networks())
def test_exported_chains_are_traced_as_their_modules(
    made: tuple[nn.Module, tuple[int, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    model, size = made
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    x = torch.randn(1, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), str(path), dynamo=False, opset_version=20)
    assert facts(uc.trace(str(path))) == facts(uc.trace(model, size))
    with torch.no_grad():
        torch.testing.assert_close(uc.load_model(str(path)).module(x), model(x), atol=1e-4, rtol=1e-4)

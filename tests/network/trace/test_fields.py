"""Fields of traced networks against the NaN oracle: every unit of every stage, borders included."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from unconv.network.trace.trace import trace

sys.path.insert(0, str(Path(__file__).parent))
from connections import boxes, gradient_box, positive, probes, stages

SIZES = {1: (5, 24), 2: (4, 9), 3: (3, 5)}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVG_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveMaxPool3d}
REFLECT = {1: nn.ReflectionPad1d, 2: nn.ReflectionPad2d, 3: nn.ReflectionPad3d}
REPLICATE = {1: nn.ReplicationPad1d, 2: nn.ReplicationPad2d, 3: nn.ReplicationPad3d}


KINDS = [
    *("conv", "conv", "conv", "transpose", "transpose", "max", "avg", "adaptive"),
    *("zero", "reflect", "replicate", "residual", "concat", "up", "crop", "gate"),
]


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.branch(x))


class Concat(nn.Module):
    """Two branches side by side, back to two channels by a sum over pairs."""

    def __init__(self, one: nn.Module, two: nn.Module) -> None:
        super().__init__()
        self.one, self.two = one, two

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.cat([self.one(x), self.two(x)], 1).chunk(2, 1)
        return first.mul_(0.5) + second


class Upsample(nn.Module):
    def __init__(self, factor: float, mode: str = "nearest") -> None:
        super().__init__()
        self.factor, self.mode = factor, mode

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.factor, mode=self.mode)


class Meeting(nn.Module):
    """A branch at half the size, resized to meet what went around it."""

    def __init__(self, corners: bool) -> None:
        super().__init__()
        self.corners = corners

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)
        return x + F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=self.corners)


class Crop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 1:] if x.shape[2] > 2 else x


class Gate(nn.Module):
    """Squeeze and excitation."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean(tuple(range(2, x.dim())), keepdim=True).sigmoid()


@st.composite
def stage(draw: st.DrawFn, dims: int, size: tuple[int, ...]) -> nn.Module:
    def several(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    def same_conv() -> nn.Module:
        half, holes = draw(st.integers(0, 1)), draw(st.integers(1, 2))
        return CONV[dims](2, 2, 2 * half + 1, padding=half * holes, dilation=holes)

    kind = draw(st.sampled_from(KINDS))
    if kind == "conv":
        mode = draw(st.sampled_from(["zeros", "zeros", "circular"]))
        groups = draw(st.sampled_from([1, 2]))
        numbers = (several(1, 4), several(1, 3), several(0, 2), several(1, 2))
        return CONV[dims](2, 2, *numbers, groups=groups, padding_mode=mode)
    if kind == "transpose":
        stride, holes = several(1, 3), several(1, 2)
        extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, holes, strict=True))
        return TRANSPOSE[dims](2, 2, several(1, 4), stride, several(0, 2), extra, dilation=holes)
    if kind in ("max", "avg"):
        kernel = several(1, 3)
        pads = tuple(draw(st.integers(0, k // 2)) for k in kernel)
        pool = MAX_POOL if kind == "max" else AVG_POOL
        return pool[dims](kernel, several(1, 3), pads, ceil_mode=draw(st.booleans()))
    if kind == "adaptive":
        return ADAPTIVE[dims](draw(st.integers(1, 4)))
    if kind == "zero":
        return nn.ZeroPad2d(several(0, 2) * 2) if dims == 2 else nn.ConstantPad1d((1, 2), 0.5)
    if kind in ("reflect", "replicate"):
        pads = tuple(draw(st.integers(0, min(2, s - 1))) for s in reversed(size) for _ in range(2))
        return (REFLECT if kind == "reflect" else REPLICATE)[dims](pads)
    makers = {
        "residual": lambda: Residual(same_conv()),
        "concat": lambda: Concat(same_conv(), same_conv()),
        "up": lambda: Upsample(draw(st.sampled_from([2, 3, 1.5]))),
        "crop": Crop,
        "gate": Gate,
    }
    return makers[kind]()


@st.composite
def networks(draw: st.DrawFn) -> tuple[nn.Sequential, tuple[int, ...]]:
    dims = draw(st.sampled_from([1, 1, 2, 2, 2, 3]))
    size = tuple(draw(st.integers(*SIZES[dims])) for _ in range(dims))
    children: list[nn.Module] = []
    x = torch.ones((1, 2, *size), dtype=torch.float64)
    for _ in range(draw(st.integers(1, 5))):
        child = draw(stage(dims, tuple(x.shape[2:]))).double().eval()
        try:
            y = child(x)
        except (RuntimeError, ValueError):
            continue
        if y.numel() and max(y.shape[2:]) <= 40:
            children.append(child)
            x = y.detach()
    return nn.Sequential(*children, nn.ReLU()), size


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_every_units_box_equals_its_connections(network: tuple[nn.Sequential, tuple[int, ...]]) -> None:
    model, size = network
    positive(model)
    graph = trace(model, (2, *size))
    for name, output in enumerate(stages(model, probes(2, size))):
        truth = boxes(output, size)
        assert str(name) in graph
        for unit, box in truth.items():
            assert graph.field_box(str(name), unit) == box, (name, unit)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=3), st.integers(5, 12), st.integers(5, 12))
def test_branches_resized_to_meet_are_followed_cell_by_cell(corners: list[bool], height: int, width: int) -> None:
    size = (height, width)
    children = [child for corner in corners for child in (nn.Conv2d(2, 2, 3, padding=1), Meeting(corner))]
    model = positive(nn.Sequential(*children))
    graph = trace(model, (2, *size))
    image = torch.ones((1, 2, *size), dtype=torch.float64, requires_grad=True)
    output = model(image).sum(1)[0]
    for unit, most in boxes(model(probes(2, size)), size).items():
        least, box = gradient_box(output[unit], image), graph.field_box(graph.layers[-1], unit)
        for (start, stop), (first, last), (one, end) in zip(least, box, most, strict=True):
            # Between what reaches the unit and what torch reads, cells of weight 0 among it.
            assert one <= first <= start < stop <= last <= end, unit
    for layer in graph:
        assert all(axis.period <= extent for axis, extent in zip(layer.receptive_field.axes, size, strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_periodic_fields_contain_every_units_box(network: tuple[nn.Sequential, tuple[int, ...]]) -> None:
    model, size = network
    mirrors = tuple(kind for kinds in (REFLECT, REPLICATE) for kind in kinds.values())
    if any(isinstance(child, mirrors) or getattr(child, "padding_mode", "zeros") != "zeros" for child in model):
        return  # to the periodic field a repeated cell is padding
    graph = trace(model, (2, *size))
    layer = graph.layers[-1]
    for unit in torch.cartesian_prod(*map(torch.arange, layer.output_shape[1:])).reshape(-1, len(size)).tolist():
        box, field = graph.field_box(layer, unit), layer.receptive_field.of(unit)
        for (start, stop), (first, last) in zip(box, field, strict=True):
            assert start == stop or first <= start < stop <= last

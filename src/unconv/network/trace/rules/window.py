"""Rules of operations with a window: convolution, pooling, padding, resizing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

from unconv.errors import GeometryError
from unconv.network.trace import macs
from unconv.network.trace.links import Link, Spread, Window, link_adaptive_pool, link_padding, link_resize
from unconv.network.trace.operation import OperatorCall, Outcome
from unconv.network.trace.values import Read, Value
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import POOLINGS, PoolGeometry
from unconv.operators.geometry.sizes import spread_out


def along_last(call: OperatorCall, value: Value, links: Sequence[Link | None], keeps_channels: bool = True) -> Value:
    """An operation that links the last dimensions and keeps the others, or mixes the one before (the channels)."""
    rank, count = len(value.layout), len(links)
    reads: list[Read | None] = [Read(dim) for dim in range(rank - count)]
    if not keeps_channels:
        reads[-1] = None
    reads.extend(Read(rank - count + n, link) for n, link in enumerate(links))
    return call.graph.derive([(value, reads)], call.shape)


def convolution(call: OperatorCall) -> Outcome:
    """A convolution or a transposed convolution."""
    image, weight = call.value("input"), call["weight"]
    value = image if image is not None else call.values[0]
    size = tuple(call["input"].shape[2:])
    count, transposed = len(size), bool(call["transposed"])
    stride, padding, dilation, extra = (
        spread_out(call[name], count) for name in ("stride", "padding", "dilation", "output_padding")
    )
    kernel = tuple(weight.shape[2:])
    geometry: Geometry
    if transposed:
        geometry = ConvTransposeGeometry(size, kernel, stride, padding, extra, dilation)
    else:
        geometry = ConvGeometry(size, kernel, stride, padding, dilation)
    work = macs.convolution_macs(call["input"].shape, weight.shape, call.shape, transposed)
    operator = "conv_transpose" if transposed else "conv"
    if image is None or call.value("weight") is not None:
        out = call.graph.unknown(call.values, call.shape)
        note = "the kernel is computed from the input: every unit counts as seeing everything"
        return Outcome(operator, (out,), geometry=geometry, groups=call["groups"], macs=work, note=note)
    kind = Spread if transposed else Window
    links = [kind(k, s, p, d) for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True)]
    out = along_last(call, value, links, keeps_channels=False)
    return Outcome(operator, (out,), geometry=geometry, groups=call["groups"], macs=work)


def deformable_convolution(call: OperatorCall) -> Outcome:
    """A convolution whose taps lie where offsets say, between the cells; interpolation is not counted."""
    weight = call["weight"].shape
    work = macs.convolution_macs(call["input"].shape, weight, call.shape, transposed=False)
    out = call.graph.unknown(call.values, call.shape)
    note = "its taps lie where its offsets say: every unit counts as seeing everything"
    return Outcome("deform_conv2d", (out,), groups=call["groups"], macs=work, note=note)


def pool(pooling: type[PoolGeometry], call: OperatorCall) -> Outcome:
    """A pooling, with or without its switches."""
    operator, value = pooling.kind.torch, call.values[0]
    count = int(call.name[len(operator)])
    size = tuple(call.first.shape[-count:])
    kernel = spread_out(call["kernel_size"], count)
    stride = spread_out(call["stride"], count) if call["stride"] else kernel
    padding = spread_out(call["padding"], count)
    dilation = spread_out(call.get("dilation", 1), count)
    settings = {name: dilation if name == "dilation" else call[name] for name in pooling.settings()}
    geometry, note = None, ""
    try:
        geometry = pooling(size, kernel, stride, padding, **settings)
    except GeometryError as error:
        note = f"torch pools here, though no full window fits, so there is no geometry ({error})"
    links = [
        None if (k, s, p) == (1, 1, 0) else Window(k, s, p, d)
        for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True)
    ]
    out = along_last(call, value, links)
    return Outcome(operator, (out,) * len(call.outputs), geometry=geometry, note=note)


def adaptive_pool(call: OperatorCall) -> Outcome:
    """Adaptive average or max pooling: each unit's window follows from the two sizes."""
    value, count = call.values[0], len(call["output_size"])
    pairs = zip(call.first.shape[-count:], call.shape[-count:], strict=True)
    out = along_last(call, value, [link_adaptive_pool(size, output) for size, output in pairs])
    operator = "adaptive_max_pool" if "max" in call.name else "adaptive_avg_pool"
    return Outcome(operator, (out,) * len(call.outputs))


_PAD_MODES = {"reflection": "reflect", "replication": "replicate", "circular": "circular"}


def pad(call: OperatorCall) -> Outcome:
    """Padding with a constant, by reflection, by replication or round in a circle."""
    value, amounts = call.values[0], [int(amount) for amount in call.get("pad", call.get("padding"))]
    mode = _PAD_MODES.get(call.name.split("_")[0], "constant")
    rank = len(value.layout)
    reads: list[Read | None] = [Read(dim) for dim in range(rank)]
    for n, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        dim = rank - 1 - n
        if before or after:
            shift = Window(pad_before=before)
            link = shift if mode == "constant" else link_padding(call.first.shape[dim], before, after, mode)
            reads[dim] = Read(dim, link)
    return Outcome("pad", (call.graph.derive([(value, reads)], call.shape),))


_RESIZE_KINDS = {
    "upsample_nearest": "nearest",
    "upsample_nearest_exact": "nearest_exact",
    "upsample_linear": "linear",
    "upsample_bilinear": "linear",
    "upsample_trilinear": "linear",
    "upsample_bicubic": "cubic",
}


def resize(call: OperatorCall) -> Outcome:
    """Interpolation to another size."""
    stem = call.name.removesuffix("_aa")
    kind = _RESIZE_KINDS[stem[:-2]] + ("_aa" if call.name.endswith("_aa") else "")
    count = int(stem[-2])
    value, corners = call.values[0], bool(call.get("align_corners", False))
    names = ("scales",) if count == 1 else ("scales_d", "scales_h", "scales_w")[-count:]
    links = []
    for n, name in enumerate(names):
        size, output, factor = call.first.shape[n - count], call.shape[n - count], call.get(name)
        scale = 1 / Fraction(factor).limit_denominator(4096) if factor else None
        links.append(link_resize(size, output, kind, corners, scale))
    return Outcome("interpolate", (along_last(call, value, links),))


def pixel_shuffle(call: OperatorCall) -> Outcome:
    """Channels to pixels: each cell becomes a block of r × r units."""
    pairs = zip(call.first.shape[-2:], call.shape[-2:], strict=True)
    links = [link_resize(a, b, "nearest", scale=Fraction(a, b)) for a, b in pairs]
    out = along_last(call, call.values[0], links, keeps_channels=False)
    return Outcome("pixel_shuffle", (out,))


def pixel_unshuffle(call: OperatorCall) -> Outcome:
    """Pixels to channels: each unit reads a block of r × r cells."""
    factor = int(call["downscale_factor"])
    links = [Window(factor, factor) for _ in range(2)]
    return Outcome("pixel_unshuffle", (along_last(call, call.values[0], links, keeps_channels=False),))


def im2col(call: OperatorCall) -> Outcome:
    """Blocks to columns (``F.unfold``): the positions of the window become one dimension."""
    value, graph = call.values[0], call.graph
    size = call.first.shape[-2:]
    rows = zip(size, call["kernel_size"], call["stride"], call["padding"], call["dilation"], strict=True)
    geometry = ConvGeometry(*map(tuple, zip(*rows, strict=True)))
    links = [Window(k, s, p[0], d) for _, k, s, p, d in _axes(geometry)]
    batch = [Read(dim) for dim in range(len(value.layout) - 3)]
    reads = [*batch, None, Read(len(batch) + 1, links[0]), Read(len(batch) + 2, links[1])]
    grid = graph.derive([(value, reads)], (*call.shape[:-1], *geometry.output_size))
    return Outcome("unfold", (graph.reshape(grid, call.shape),), geometry=geometry)


def _axes(geometry: Geometry) -> list[tuple[int, int, int, tuple[int, int], int]]:
    rows = (geometry.input_size, geometry.kernel_size, geometry.stride, geometry.padding, geometry.dilation)
    return list(zip(*rows, strict=True))


OperationRule = Callable[[OperatorCall], Outcome]

WINDOW_RULES: dict[str, OperationRule] = {
    "convolution": convolution,
    "deform_conv2d": deformable_convolution,
    **{
        f"{pooling.kind.torch}{n}d{ending}": partial(pool, pooling)
        for pooling in POOLINGS
        if pooling.kind.torch
        for n in (1, 2, 3)
        for ending in ("", "_with_indices")
    },
    **{f"adaptive_{kind}_pool{n}d": adaptive_pool for kind in ("avg", "max") for n in (1, 2, 3)},
    "constant_pad_nd": pad,
    **{f"{mode}_pad{n}d": pad for mode in ("reflection", "replication") for n in (1, 2, 3)},
    **{f"upsample_{kind}{n}d": resize for kind in ("nearest", "nearest_exact") for n in (1, 2, 3)},
    "upsample_linear1d": resize,
    "upsample_bilinear2d": resize,
    "upsample_trilinear3d": resize,
    "upsample_bicubic2d": resize,
    "upsample_bilinear2d_aa": resize,
    "upsample_bicubic2d_aa": resize,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "im2col": im2col,
}

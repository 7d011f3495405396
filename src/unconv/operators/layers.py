"""torch's layers as geometries, and geometries as torch's layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unconv.errors import GeometryError
from unconv.operators.by_axes import CONV_LAYER, CONV_TRANSPOSE_LAYER
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry
from unconv.operators.geometry.sizes import Pairs, per_axis, spread_out

_CONV = tuple(CONV_LAYER.values())
_TRANSPOSED = tuple(CONV_TRANSPOSE_LAYER.values())
_MAX_POOL: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVG_POOL: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_AXES: dict[type[nn.Module], int] = {
    kind: axes for table in (CONV_LAYER, CONV_TRANSPOSE_LAYER, _MAX_POOL, _AVG_POOL) for axes, kind in table.items()
}
_ZERO_PAD: dict[int, Any] = {1: nn.ZeroPad1d, 2: nn.ZeroPad2d, 3: nn.ZeroPad3d}
_CONSTANT_PAD: dict[int, Any] = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}


def geometry_of(layer: nn.Module, size: int | Sequence[int] | Tensor) -> Geometry:
    """The geometry of a layer for an input of some size.

    Args:
        layer: ``nn.Conv1d`` to 3d, ``nn.ConvTranspose1d`` to 3d, ``nn.MaxPool1d`` to 3d or ``nn.AvgPool1d`` to 3d, or
            one with a method ``geometry(size)``. What a padding is filled with (``padding_mode``) is no part of a
            geometry; whether the input is large enough for it is checked.
        size: an int for all axes, one per axis, with channels in front, with batch and channels, or a tensor that has
            such a shape; channels have to be the layer's.

    Raises :class:`~unconv.errors.GeometryError` for other layers and for sizes that do not fit.

    >>> geometry_of(nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 224, 224)).output_size
    (112, 112)
    >>> geometry_of(nn.ConvTranspose2d(8, 3, 4, 2, 1), torch.zeros(1, 8, 7, 5)).output_size
    (14, 10)
    """
    one: Any = layer
    own = getattr(layer, "geometry", None)
    if callable(own):
        # Layers that have it lie above this part, and say how many axes they have, by a number or by their kernels.
        sizes = _sizes(layer, size, getattr(one, "axes", None) or len(one.kernel_size))
        return _geometry(own, sizes)
    axes = next((count for kind, count in _AXES.items() if isinstance(layer, kind)), None)
    if axes is None:
        raise GeometryError(
            f"geometry: {_named(layer)} is no layer with one geometry; give nn.Conv1d to 3d, "
            "nn.ConvTranspose1d to 3d, nn.MaxPool1d to 3d or nn.AvgPool1d to 3d"
        )
    sizes = _sizes(layer, size, axes)
    if isinstance(layer, _CONV):
        padding: Any = one.padding if isinstance(one.padding, str) else spread_out(one.padding, axes)
        kernel, step, holes = _each(axes, one.kernel_size, one.stride, one.dilation)
        conv = ConvGeometry(sizes, kernel, step, padding, holes)
        _check_filling(one.padding_mode, conv)
        return conv
    if isinstance(layer, _TRANSPOSED):
        settings = (one.kernel_size, one.stride, one.padding, one.output_padding, one.dilation)
        return _geometry(ConvTransposeGeometry, sizes, *_each(axes, *settings))
    if isinstance(layer, tuple(_MAX_POOL.values())):
        windows = _each(axes, one.kernel_size, one.stride, one.padding, one.dilation)
        return _geometry(MaxPoolGeometry, sizes, *windows, ceil_mode=one.ceil_mode)
    if getattr(one, "divisor_override", None) is not None:
        raise GeometryError(
            f"geometry: {type(layer).__name__} with divisor_override {one.divisor_override} is no mean, which an "
            "AvgPoolGeometry is; leave it out, or multiply behind it"
        )
    windows = _each(axes, one.kernel_size, one.stride, one.padding)
    return _geometry(AvgPoolGeometry, sizes, *windows, one.ceil_mode, one.count_include_pad)


def layer_of(
    geometry: Geometry,
    in_channels: int | None = None,
    out_channels: int | None = None,
    *,
    groups: int = 1,
    bias: bool = True,
    dim: int | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """A layer of torch whose outputs have the sizes of a geometry; its weights are fresh.

    Where torch has no layer with such a padding, as where the two of an axis differ, it is an ``nn.Sequential`` of
    ``padding`` and ``layer``, or, transposed, of ``layer`` and ``crop``. That the size comes out is checked by a run
    without values.

    Args:
        geometry: any.
        in_channels, out_channels: of the layer; a pooling keeps channels and needs none.
        groups, bias, device, dtype: as in torch.
        dim: how many axes the layer has, where the geometry has one that stands for all.

    Raises :class:`~unconv.errors.GeometryError` where torch has no such layer.

    >>> layer_of(ConvGeometry(input_size=(7, 7), kernel_size=3, stride=2, padding=((0, 1), (1, 1))), 8, 16)
    Sequential(
      (padding): ZeroPad2d((1, 1, 0, 1))
      (layer): Conv2d(8, 16, kernel_size=(3, 3), stride=(2, 2))
    )
    """
    whole = _repeated(geometry, dim)
    channels = _channels(whole, in_channels, out_channels)
    settings = {"groups": groups, "bias": bias, "dtype": dtype} if whole.kind.weighted else {}
    try:
        sketch = _made(whole, channels, settings | ({"device": "meta"} if whole.kind.weighted else {}))
        x = torch.empty((1, channels[0], *whole.input_size), device="meta", dtype=dtype)
        sizes = tuple(sketch(x).shape[2:])
        made = _made(whole, channels, settings | ({"device": device} if whole.kind.weighted else {}))
    except (RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, GeometryError):
            raise
        raise GeometryError(f"to_torch: torch has no such layer: {str(error).partition(chr(10))[0]}") from error
    if sizes != whole.output_size:
        raise GeometryError(
            f"to_torch: {type(whole).__name__} comes to {whole.output_size}, torch's layer to {sizes}; make the "
            "padding of both ends equal"
        )
    return made


def _made(geometry: Geometry, channels: tuple[int, int], settings: dict[str, Any]) -> nn.Module:
    axes = geometry.dimensions
    even = all(before == after for before, after in geometry.padding)
    one: Any = geometry
    if isinstance(geometry, ConvTransposeGeometry):
        shared = tuple(min(pair) for pair in geometry.padding)
        kind: Any = CONV_TRANSPOSE_LAYER[axes]
        layer = kind(
            *channels, one.kernel_size, one.stride, shared, one.output_padding, dilation=one.dilation, **settings
        )
        crops = [(least - before, least - after) for (before, after), least in zip(one.padding, shared, strict=True)]
        return layer if even else nn.Sequential(OrderedDict(layer=layer, crop=_ZERO_PAD[axes](_sides(crops))))
    if isinstance(geometry, MaxPoolGeometry):
        # torch takes half of the kernel at most, of a dilated one too.
        even = even and all(before <= k // 2 for (before, _), k in zip(one.padding, one.kernel_size, strict=True))
    padding = tuple(before for before, _ in geometry.padding) if even else 0
    filling = _ZERO_PAD[axes]
    if isinstance(geometry, ConvGeometry):
        kind = CONV_LAYER[axes]
        layer = kind(*channels, one.kernel_size, one.stride, padding, one.dilation, **settings)
    elif isinstance(geometry, MaxPoolGeometry):
        layer = _MAX_POOL[axes](one.kernel_size, one.stride, padding, one.dilation, ceil_mode=one.ceil_mode)
        filling = lambda sides: _CONSTANT_PAD[axes](sides, float("-inf"))  # noqa: E731
    elif isinstance(geometry, AvgPoolGeometry):
        if not even and not geometry.count_include_pad:
            raise GeometryError(
                "to_torch: torch has no average pooling that leaves two different paddings out of the mean; make the "
                "padding of both ends equal, or count it"
            )
        layer = _AVG_POOL[axes](one.kernel_size, one.stride, padding, one.ceil_mode, one.count_include_pad)
    else:
        raise GeometryError(f"to_torch: no layer is known for a {type(geometry).__name__}")
    return layer if even else nn.Sequential(OrderedDict(padding=filling(_sides(geometry.padding)), layer=layer))


def _sides(pairs: Pairs | list[tuple[int, int]]) -> tuple[int, ...]:
    """As torch's paddings want them, the last axis first."""
    return tuple(side for pair in reversed(pairs) for side in pair)


def _repeated(geometry: Geometry, dim: int | None) -> Geometry:
    """The geometry on ``dim`` axes."""
    if dim is None or dim == geometry.dimensions:
        return geometry
    if geometry.dimensions != 1 or dim not in (2, 3):
        raise GeometryError(
            f"to_torch: a geometry of {geometry.dimensions} axes cannot be one of dim {dim!r}; one axis can stand for "
            "2 or 3"
        )
    one: Any = geometry
    names = ["input_size", "kernel_size", "stride", "padding", *type(geometry).settings()]
    values = {name: getattr(one, name) for name in names}
    made: Geometry = type(one)(**{n: v * dim if isinstance(v, tuple) else v for n, v in values.items()})
    return made


def _channels(geometry: Geometry, in_channels: int | None, out_channels: int | None) -> tuple[int, int]:
    if not geometry.kind.weighted:
        if None not in (in_channels, out_channels) and in_channels != out_channels:
            raise GeometryError(f"to_torch: a pooling keeps its {in_channels} channels; leave {out_channels} out")
        return (1, 1)
    counts = (in_channels, out_channels)
    if None in counts:
        raise GeometryError("to_torch: a layer with weights needs in_channels and out_channels")
    first, second = per_axis("to_torch", "channels", counts, 2, least=1)
    return first, second


def _geometry(kind: Any, *settings: Any, **named: Any) -> Geometry:
    made: Geometry = kind(*settings, **named)
    return made


def _named(layer: Any) -> str:
    return f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__


def _each(axes: int, *values: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(spread_out(value, axes) for value in values)


def _sizes(layer: nn.Module, size: Any, axes: int) -> tuple[int, ...]:
    """The size of each axis; channels in front of it have to be the layer's."""
    shape = tuple(size.shape) if isinstance(size, Tensor) else size
    if isinstance(size, Tensor) and len(shape) not in (axes + 1, axes + 2):
        raise GeometryError(
            f"geometry: a tensor of shape {shape} is not (channels, *size) or (batch, channels, *size) with {axes} axes"
        )
    if isinstance(shape, Sequence) and not isinstance(shape, str) and len(shape) in (axes + 1, axes + 2):
        channels, expected = shape[-axes - 1], getattr(getattr(layer, "conv", layer), "in_channels", None)
        # A lazy layer has 0 until it has seen an input.
        if expected and channels != expected:
            raise GeometryError(
                f"geometry: {type(layer).__name__} takes {expected} channels, and size {tuple(shape)} has {channels}"
            )
        shape = tuple(shape)[-axes:]
    return per_axis("geometry", "size", shape, axes, least=1)


def _check_filling(mode: str, geometry: ConvGeometry) -> None:
    """Refuse an input that is too small to be continued as a padding mode does."""
    spare = {"reflect": 1, "circular": 0}.get(mode)
    if spare is None:
        return
    for axis, (size, pads) in enumerate(zip(geometry.input_size, geometry.padding, strict=True)):
        if max(pads) > size - spare:
            raise GeometryError(
                f"geometry: padding {max(pads)} with padding_mode {mode!r} needs {max(pads) + spare} cells"
                f"{geometry.axis_name(axis)}, and there are {size}"
            )

"""Resize of ONNX: torch's interpolation where it is the same, else cells picked axis by axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.models.load.onnx_file.node import Node

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
_TORCHS = frozenset({"half_pixel", "pytorch_half_pixel", "align_corners"})


def resize(node: Node, x: Tensor, *given: Any) -> Tensor:
    """``Resize`` and ``Upsample`` to sizes, or by factors, of all axes or of some."""
    size, scales = _target(node, x, given)
    axes = [n for n, (before, after) in enumerate(zip(x.shape, size, strict=True)) if before != after or scales[n] != 1]
    if not axes:
        return x
    mode = node.get("mode", "nearest")
    places = _coordinates(node)
    spatial = range(2, x.dim())
    plain = all(axis in spatial for axis in axes) and len(spatial) in _MODES
    options: dict[str, Any] = {"size": size[2:]}
    exact = [size[n] == floor(x.shape[n] * scales[n]) for n in spatial]
    if plain and all(exact) and any(size[n] != x.shape[n] * scales[n] for n in spatial):
        options = {"scale_factor": [scales[n] for n in spatial], "recompute_scale_factor": False}
    smooth = bool(node.get("antialias", 0))
    name = _torch_mode(node, mode, places, [scales[n] for n in axes], len(spatial)) if plain else None
    if name is not None:
        corners = {} if name.startswith("nearest") else {"align_corners": places == "align_corners"}
        if corners and smooth:
            corners["antialias"] = True
        return F.interpolate(x, mode=name, **options, **corners)
    if mode == "cubic" or smooth:
        node.refuse(f"{mode} resizing with {places}{' and antialias' if smooth else ''} is nothing that torch has")
    for axis in axes:
        x = _pick(node, x, axis, size[axis], scales[axis], mode, places)
    return x


def _coordinates(node: Node) -> str:
    """How cells of the output stand over those of the input; before opset 11 there was one way."""
    if node.operator == "Upsample" or node.opset < 11:
        return "asymmetric"
    places: str = node.get("coordinate_transformation_mode", "half_pixel")
    if places == "tf_crop_and_resize":
        node.refuse("tf_crop_and_resize reads a stretch that the file names; it is not known here")
    return places


def _target(node: Node, x: Tensor, given: Sequence[Any]) -> tuple[list[int], list[float]]:
    """The size of each axis of the output, and the factor of each."""
    old = node.operator == "Upsample" or node.opset < 11
    factors = node.setting("scales", (x, *given), 1 if old else 2)
    sizes = None if old else node.setting("sizes", (x, *given), 3)
    axes = [axis % x.dim() for axis in node.get("axes", range(x.dim()))]
    size, scales = list(x.shape), [1.0] * x.dim()
    if sizes:
        if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            node.refuse("sizes that keep the aspect are not known; give scales, or sizes that stretch")
        for axis, wanted in zip(axes, sizes, strict=True):
            size[axis], scales[axis] = wanted, wanted / x.shape[axis]
    else:
        for axis, factor in zip(axes, factors or (), strict=True):
            size[axis], scales[axis] = floor(x.shape[axis] * factor), factor
    return size, scales


def _torch_mode(node: Node, mode: str, places: str, scales: Sequence[float], axes: int) -> str | None:
    """torch's mode that reads the same cells with the same weights; None where there is none."""
    if mode == "nearest":
        rounding = node.get("nearest_mode", "round_prefer_floor") if node.opset >= 11 else "floor"
        if places == "asymmetric" and rounding == "floor":
            return "nearest"
        up = all(scale >= 1 and scale == int(scale) for scale in scales)
        centred = places in ("half_pixel", "pytorch_half_pixel")
        return "nearest-exact" if centred and rounding.startswith("round") and up else None
    if places not in _TORCHS:
        return None
    if mode == "cubic":
        usual = node.get("cubic_coeff_a", -0.75) == -0.75 or bool(node.get("antialias", 0))
        return "bicubic" if axes == 2 and usual and not node.get("exclude_outside", 0) else None
    return _MODES[axes] if axes == 2 or not node.get("antialias", 0) else None


def _pick(node: Node, x: Tensor, axis: int, size: int, scale: float, mode: str, places: str) -> Tensor:
    """One axis: the cells, and for linear ones those after them, weighed."""
    length = x.shape[axis]
    at = [_source(n, length, size, scale, places) for n in range(size)]
    if mode == "nearest":
        rounding = node.get("nearest_mode", "round_prefer_floor") if node.opset >= 11 else "floor"
        return _cells(x, axis, [_round(place, rounding) for place in at])
    at = [min(max(place, 0.0), length - 1.0) for place in at]
    shape = [size if n == axis else 1 for n in range(x.dim())]
    after = torch.tensor([place - floor(place) for place in at], dtype=x.dtype, device=x.device).view(shape)
    first = _cells(x, axis, [floor(place) for place in at])
    return first * (1 - after) + _cells(x, axis, [floor(place) + 1 for place in at]) * after


def _source(n: int, length: int, size: int, scale: float, places: str) -> float:
    """Where the centre of an output cell stands in the input.

    >>> [_source(n, 2, 4, 2.0, "half_pixel") for n in range(4)], _source(3, 2, 4, 2.0, "align_corners")
    ([-0.25, 0.25, 0.75, 1.25], 1.0)
    """
    if places == "asymmetric":
        return n / scale
    if places == "align_corners":
        return n * (length - 1) / (size - 1) if size > 1 else 0.0
    if places == "pytorch_half_pixel" and size == 1:
        return 0.0
    shift = length / 2 * (1 - size / (scale * length)) if places == "half_pixel_symmetric" else 0.0
    return shift + (n + 0.5) / scale - 0.5


def _round(place: float, rounding: str) -> int:
    """The nearest cell; halves go down or up as the name says.

    >>> _round(0.5, "round_prefer_floor"), _round(0.5, "round_prefer_ceil"), _round(0.2, "ceil")
    (0, 1, 1)
    """
    if rounding == "floor":
        return floor(place)
    if rounding == "ceil":
        return ceil(place)
    return ceil(place - 0.5) if rounding == "round_prefer_floor" else floor(place + 0.5)


def _cells(x: Tensor, axis: int, places: Sequence[int]) -> Tensor:
    inside = [min(max(place, 0), x.shape[axis] - 1) for place in places]
    return x.index_select(axis, torch.tensor(inside, device=x.device))

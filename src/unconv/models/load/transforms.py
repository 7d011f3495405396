"""Picture transforms as people hold them: torchvision's presets and Compose, timm's, any callable, as a Preprocess."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import nn

from unconv.errors import ModelError
from unconv.models.load.own_transform import try_transform
from unconv.models.load.preprocess import Preprocess

Transform: TypeAlias = Preprocess | Callable[[Any], Any]

# Steps that only change how a picture is stored, by the names that torchvision and timm give them.
STORAGE = (
    *("ToTensor", "PILToTensor", "MaybeToTensor", "MaybePILToTensor", "ToImage", "ToPureTensor", "Identity"),
    *("ConvertImageDtype", "ToDtype"),
)
# What changes the picture, in the order in which it is done.
USUAL = ("Resize", "CenterCrop", "Normalize")
# Packages whose steps mean what their names say.
PACKAGES = ("torchvision", "timm", "torch")
# Torchvision's preset of clips.
VIDEO = "VideoClassification"


def as_preprocess(transform: Any, channels: int | None = None) -> tuple[Preprocess, tuple[str, ...]]:
    """A picture transform in whatever form, and what a reader should know of how it is applied.

    Known are a :class:`~unconv.models.load.preprocess.Preprocess`, torchvision's presets (``weights.transforms()``), a
    ``Compose`` (or ``nn.Sequential``) of Resize, CenterCrop, steps to a tensor and Normalize, in this order, of
    torchvision (also v2) and timm: they become a Preprocess with the same sizes, mean and std. All else is applied as
    it is, to a Pillow picture or else to a tensor in [0, 1]; mean and std are found out from what it makes of black and
    white pictures. It must make pictures of one size, and the same each time.

    Args:
        transform: the transform.
        channels: of the network, as far as that is known: where a Normalize has one value, it is for all of them.

    Raises :class:`~unconv.errors.ModelError` for what cannot be called, and as
    :func:`~unconv.models.load.own_transform.try_transform` does.

    >>> from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor
    >>> compose = Compose([Resize(36), CenterCrop(32), ToTensor(), Normalize([0.5] * 3, [0.25] * 3)])
    >>> print(as_preprocess(compose)[0])
    resized covering 36x36 (bilinear), centre 32x32, mean (0.5, 0.5, 0.5), std (0.25, 0.25, 0.25)
    """
    if isinstance(transform, Preprocess):
        return transform, ()
    if isinstance(transform, type) or not callable(transform):
        what = f"the class {transform.__name__}" if isinstance(transform, type) else f"a {type(transform).__name__}"
        raise ModelError(
            f"transform: {what} is no picture transform; give weights.transforms(), a Compose, or "
            "Preprocess(size=(224, 224), ...)"
        )
    known = read_preset(transform) if hasattr(transform, "resize_size") else _composed(transform, channels)
    if known is not None:
        return known
    own, size, mean, std = try_transform(transform, channels == 1)
    note = f"pictures are prepared by {own}, as it is: they are shown as it leaves them; labels of pixels do not follow"
    return Preprocess(size, size, mean, std, own=own), (note,)


def read_transform(text: str) -> Preprocess | None:
    """The transform that a text of its values stands for, as scans keep it; None for the user's own, and other texts.

    Nothing is executed: the values are literals.

    >>> read_transform(repr(Preprocess(size=(96, 96), resize=(96, 96)))).size
    (96, 96)
    >>> read_transform("none") is None
    True
    """
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Preprocess":
            return None
        values = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg is not None}
        return Preprocess(**values)
    except (SyntaxError, ValueError, TypeError, ModelError):
        return None


def first_channels(module: nn.Module) -> int | None:
    """How many channels a network's first convolution takes, None without one.

    >>> first_channels(nn.Sequential(nn.Conv2d(1, 8, 3)))
    1
    """
    kinds = nn.Conv2d | nn.Conv3d
    return next((one.in_channels for one in module.modules() if isinstance(one, kinds) and one.in_channels), None)


def read_preset(transform: Any) -> tuple[Preprocess, tuple[str, ...]] | None:
    """A preset of torchvision: for classification, for segmentation, which does not crop, or for videos.

    >>> from torchvision.models.video import R3D_18_Weights
    >>> read_preset(R3D_18_Weights.DEFAULT.transforms())[0].resize
    (128, 171)
    """
    resize, crop = transform.resize_size, getattr(transform, "crop_size", None)
    interpolation = _interpolation(transform)
    if resize is None or interpolation is None or not hasattr(transform, "mean"):
        return None
    built = _built(resize, crop, interpolation, _numbers(transform.mean), _numbers(transform.std))
    if built is None or type(transform).__name__ != VIDEO:
        return built
    # It smooths nothing, whatever it makes smaller.
    return replace(built[0], antialias=False), built[1]


def _composed(transform: Any, channels: int | None) -> tuple[Preprocess, tuple[str, ...]] | None:
    """A sequence of known steps in their usual order; None for others."""
    steps = list(_flattened(transform))
    names = [_name(step) for step in steps]
    order = [name for name in names if name not in STORAGE]
    if None in names or order != [name for name in USUAL if name in order] or "Resize" not in order:
        return None
    by_name = {name: step for name, step in zip(names, steps, strict=True) if name in USUAL}
    resize, normalise = by_name["Resize"], by_name.get("Normalize")
    interpolation = _interpolation(resize)
    if interpolation is None or getattr(resize, "max_size", None) is not None or resize.size is None:
        return None
    mean, std = (_numbers(normalise.mean), _numbers(normalise.std)) if normalise is not None else ((0.0,), (1.0,))
    if len(mean) == len(std) == 1:
        count = channels or (1 if normalise is not None else 3)
        mean, std = mean * count, std * count
    crop = by_name["CenterCrop"].size if "CenterCrop" in by_name else None
    return _built(resize.size, crop, interpolation, mean, std)


def _flattened(transform: Any) -> Iterator[Any]:
    inside = transform if isinstance(transform, nn.Sequential) else getattr(transform, "transforms", None)
    if isinstance(inside, Iterable):
        for step in inside:
            yield from _flattened(step)
    else:
        yield transform


def _name(step: Any) -> str | None:
    """The name of a step that is known; None for others, and for known ones that do something else as they are set."""
    name = type(step).__name__
    if type(step).__module__.partition(".")[0] not in PACKAGES:
        return None
    if name in ("ConvertImageDtype", "ToDtype"):
        scales = getattr(step, "scale", True) is True and step.dtype is torch.float32
        return name if scales else None
    return name if name in (*USUAL, *STORAGE) else None


def _interpolation(step: Any) -> str | None:
    given = getattr(step.interpolation, "value", step.interpolation)
    antialiased = getattr(step, "antialias", True) is not False or given == "nearest"
    return given if given in ("bilinear", "bicubic", "nearest") and antialiased else None


def _built(
    resize: Any, crop: Any, interpolation: Any, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[Preprocess, tuple[str, ...]] | None:
    """The transform of such sizes: one side is the shorter one, and keeps the aspect; two are met by stretching."""
    resized, covers = _pair(resize), len(_sides(resize)) == 1
    size = resized if crop is None else _pair(crop)
    notes: tuple[str, ...] = ()
    if crop is None and covers:
        notes = (f"the transform keeps the whole picture, here the central {size[0]}x{size[1]} of it is used",)
    try:
        return Preprocess(size, resized, mean, std, interpolation, "cover" if covers else "stretch"), notes
    except ModelError:
        # Not for pictures in [0, 1], say: applied as it is.
        return None


def _numbers(values: Any) -> tuple[float, ...]:
    """Numbers as they were written: those of a float32 tensor to seven digits."""
    if isinstance(values, torch.Tensor):
        return tuple(float(f"{float(value):.7g}") for value in values.flatten())
    return tuple(float(value) for value in (values if isinstance(values, Sequence) else [values]))


def _sides(size: Any) -> tuple[int, ...]:
    return (int(size),) if isinstance(size, int) else tuple(int(side) for side in size)


def _pair(size: Any) -> tuple[int, int]:
    sides = _sides(size)
    return sides[0], sides[-1]

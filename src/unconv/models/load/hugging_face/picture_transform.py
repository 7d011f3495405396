"""The picture transform of an image processor of transformers: values where it does what they say, else itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from unconv.data.arrays import to_pil
from unconv.errors import ImageError, ModelError
from unconv.models.load.own_transform import PROBE
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.transforms import as_preprocess

# Pillow's numbers of its filters.
FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
# ConvNeXt's processor crops what is smaller, and stretches the rest.
STRETCHED_FROM = 384
# Mean difference of two transforms of noise that are the same but for rounding to bytes, in units of std.
ROUNDING = 0.03


def transform_of(processor: Any, channels: int) -> tuple[Preprocess, tuple[str, ...]]:
    """The transform of an image processor, and what a reader should know of it.

    Values that describe it are taken where they make the same picture of a noisy one; else the processor is applied as
    it is.

    Args:
        processor: what ``AutoImageProcessor`` loads.
        channels: how many the network takes.

    Raises ModelError for a processor that makes no picture of one.
    """
    prepare = _as_callable(processor)
    values = transform_values(processor.to_dict())
    if values is not None and len(values.mean) == channels and _agree(values, prepare):
        return values, ()
    return as_preprocess(prepare, channels)


def transform_values(settings: Mapping[str, Any]) -> Preprocess | None:
    """The transform that the settings of an image processor describe, None where they describe another kind.

    >>> settings = {"do_resize": True, "size": {"shortest_edge": 256}, "do_center_crop": True, "resample": 3}
    >>> settings |= {"crop_size": {"height": 224, "width": 224}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    >>> print(transform_values({**settings, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}))
    resized covering 256x256 (bicubic), centre 224x224, mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5)
    """
    interpolation = FILTERS.get(settings.get("resample", -1))
    size = settings.get("size") if settings.get("do_resize") else None
    in_bytes = settings.get("do_rescale") and math.isclose(settings.get("rescale_factor") or 0, 1 / 255)
    if interpolation is None or not isinstance(size, Mapping) or not in_bytes:
        return None
    known = {key: value for key, value in size.items() if value is not None}
    crop = settings.get("crop_size") if settings.get("do_center_crop") else None
    if known.keys() == {"height", "width"}:
        resize, fit = (known["height"], known["width"]), "stretch"
    elif known.keys() == {"shortest_edge"}:
        resize, fit = (known["shortest_edge"],) * 2, "cover"
    else:
        return None
    cropped = isinstance(crop, Mapping) and {"height", "width"} <= crop.keys()
    out = (crop["height"], crop["width"]) if cropped and crop else resize
    if settings.get("crop_pct") and fit == "cover" and crop is None:
        resize, fit = _convnext(resize[0], settings["crop_pct"])
    mean, std = (settings.get(f"image_{what}") for what in ("mean", "std"))
    if not settings.get("do_normalize"):
        mean, std = (0.0,) * 3, (1.0,) * 3
    try:
        return Preprocess(out, resize, tuple(mean), tuple(std), interpolation, fit)  # type: ignore[arg-type]
    except (ModelError, TypeError):
        # Not for pictures in [0, 1], say.
        return None


def _convnext(side: int, share: float) -> tuple[tuple[int, int], str]:
    if side >= STRETCHED_FROM:
        return (side, side), "stretch"
    return (int(side / share),) * 2, "cover"


def _as_callable(processor: Any) -> Callable[[Any], Tensor]:
    def prepare(picture: Any) -> Tensor:
        made: Tensor = processor(picture, return_tensors="pt")["pixel_values"]
        return made

    prepare.__name__ = type(processor).__name__
    return prepare


def _agree(values: Preprocess, prepare: Callable[[Any], Tensor]) -> bool:
    """Whether values and processor make the same of a picture: noise, so that a shift by half a pixel shows."""
    noise = torch.rand((3, *PROBE), generator=torch.Generator().manual_seed(0))
    noise = (noise * 255).round() / 255
    try:
        made = prepare(to_pil(noise))
    except Exception:  # a processor that refuses pictures in RGB, say, with an error of any family
        return False
    try:
        expected = values(noise)
    except ImageError:
        return False
    return made.shape == expected.shape and bool((made - expected).abs().mean() < ROUNDING)

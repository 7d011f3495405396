"""Input sizes of a model however they are written: (channels, *size), with batch, as a tensor, an int or text."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn

from unconv.errors import ModelError
from unconv.network.run.unwrap_compiled import unwrap_compiled

Shape: TypeAlias = tuple[int, ...]
Sizes: TypeAlias = tuple[Shape, ...]
# What may be given; see as_input_sizes.
InputSize: TypeAlias = Any

# The side of ImageNet's pictures, taken where no size is given.
SIDE = 224
MOST_AXES = 3


def as_input_sizes(given: InputSize, model: nn.Module, operation: str = "trace") -> Sizes:
    """The size of each input, (channels, *axes) without the batch.

    Args:
        given: one input, or a list or tuple with an entry for each of several:

            - (channels, *axes) with one to three axes;
            - the same with the batch in front, where the model's first convolution tells that there is one;
            - a tensor or an array: its shape, with or without the batch;
            - an int: the side of a picture, whose channels the first convolution tells;
            - text: ``"3x224x224"``, ``"224"``;
            - None: what the model says of itself (as timm's do), else pictures of 224 × 224.
        model: the network.
        operation: who asks; messages begin with it.

    Raises :class:`~unconv.errors.ModelError` for what is no size, and for an int or None where no channels are known.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> as_input_sizes((3, 64, 48), model), as_input_sizes((8, 3, 64, 48), model), as_input_sizes(64, model)
    (((3, 64, 48),), ((3, 64, 48),), ((3, 64, 64),))
    >>> as_input_sizes(torch.zeros(8, 3, 64, 48), model), as_input_sizes("3x64x48", model)
    (((3, 64, 48),), ((3, 64, 48),))
    >>> as_input_sizes([(3, 64, 64), (10,)], model)
    ((3, 64, 64), (10,))
    """
    first = first_convolution(model)
    if given is None:
        return (_assumed(model, first, operation),)
    if isinstance(given, Sequence) and not isinstance(given, str) and given and not any(map(_is_number, given)):
        return tuple(_one(entry, first, given, operation) for entry in given)
    return (_one(given, first, given, operation),)


def input_dtypes(given: InputSize) -> list[torch.dtype | None]:
    """What each input's type is, where a tensor was given whose numbers are whole (tokens); None for all else.

    >>> input_dtypes((3, 8, 8)), input_dtypes(torch.zeros(1, 7, dtype=torch.int64))
    ([None], [torch.int64])
    """
    several = isinstance(given, Sequence) and not isinstance(given, str) and not any(map(_is_number, given))
    entries = list(given) if several and given else [given]
    tensors = [isinstance(one, torch.Tensor) and not one.is_floating_point() for one in entries]
    return [one.dtype if whole else None for one, whole in zip(entries, tensors, strict=True)]


def first_convolution(model: nn.Module) -> nn.modules.conv._ConvNd | None:
    """The first convolution in the order of a model's modules, whose channels are known; None without one.

    >>> first_convolution(nn.Sequential(nn.ReLU(), nn.Conv2d(1, 8, 3))).in_channels, first_convolution(nn.ReLU())
    (1, None)
    """
    kinds = nn.modules.conv._ConvNd
    return next((one for one in model.modules() if isinstance(one, kinds) and one.in_channels), None)


def _one(given: Any, first: nn.modules.conv._ConvNd | None, everything: Any, operation: str) -> Shape:
    """One input's size."""
    axes = len(first.kernel_size) if first is not None else None
    if getattr(given, "shape", ()):
        shape = tuple(given.shape)
        batched = len(shape) != axes + 1 if axes is not None else len(shape) > 1
        return _checked(shape[1:] if batched else shape, everything, operation)
    if isinstance(given, str):
        parts = given.lower().replace("×", "x").split("x")
        given = tuple(int(part) for part in parts if part.strip().isdecimal()) if all(parts) else ()
        if len(given) != len(parts):
            raise _refusal(everything, operation)
        given = given[0] if len(given) == 1 else given
    if _is_number(given):
        if first is None:
            raise ModelError(
                f"{operation}: input size {everything!r}: no convolution tells how many channels a picture has; say "
                "(channels, height, width)"
            )
        return _checked((first.in_channels, *(given,) * len(first.kernel_size)), everything, operation)
    if not isinstance(given, Sequence):
        raise _refusal(everything, operation)
    size = tuple(given)
    # A batch in front is known by the channels behind it: (3, 8, 64, 64) are eight frames of three channels.
    if first is not None and axes is not None and len(size) == axes + 2 and size[1] == first.in_channels:
        size = size[1:]
    return _checked(size, everything, operation)


def _checked(size: Sequence[Any], everything: Any, operation: str) -> Shape:
    whole = all(_is_number(number) and number > 0 for number in size)
    if not whole or not 1 <= len(size) <= MOST_AXES + 1:
        raise _refusal(everything, operation)
    return tuple(operator.index(number) for number in size)


def _refusal(given: Any, operation: str) -> ModelError:
    told = f"of shape {tuple(given.shape)}" if getattr(given, "shape", ()) else repr(given)
    return ModelError(
        f"{operation}: input size {told} must be (channels, *axes) in whole numbers with at most {MOST_AXES} axes, "
        "or several of these, as (3, 224, 224)"
    )


def _is_number(given: Any) -> bool:
    return hasattr(given, "__index__") and not isinstance(given, bool) and getattr(given, "shape", ()) == ()


def _assumed(model: nn.Module, first: nn.modules.conv._ConvNd | None, operation: str) -> Shape:
    """The size for a model that none is given for."""
    told = getattr(unwrap_compiled(model), "pretrained_cfg", None)
    size = told.get("input_size") if isinstance(told, Mapping) else None
    if isinstance(size, tuple) and all(isinstance(side, int) for side in size):
        return size
    if first is None or isinstance(first, nn.modules.conv._ConvTransposeNd):
        return (3, SIDE, SIDE)
    if len(first.kernel_size) != 2:
        raise ModelError(
            f"{operation}: the model's first convolution has {len(first.kernel_size)} axes, so that no size can be "
            "assumed; say input_size=(channels, *axes)"
        )
    return (first.in_channels, SIDE, SIDE)

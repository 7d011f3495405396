"""Input sizes of a model however they are written: (channels, *size), with batch, as a tensor, an int or text."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from unconv.describe import by_size, counted
from unconv.errors import ModelError
from unconv.network.run.unwrap_compiled import unwrap_compiled

Shape: TypeAlias = tuple[int, ...]
Sizes: TypeAlias = tuple[Shape, ...]
# What may be given; see as_input_sizes.
InputSize: TypeAlias = Any

# The side of ImageNet's pictures, taken where no size is given.
SIDE = 224
MOST_AXES = 3
# A first number below it may be channels: (2, 16000) is a signal in stereo.
FEWEST = 5


def as_input_sizes(given: InputSize, model: nn.Module, operation: str = "trace", lengths: Sequence[int] = ()) -> Sizes:
    """The size of each input, (channels, *axes) without the batch.

    Args:
        given: one input, or a list or tuple with an entry for each of several:

            - (channels, *axes) with one to three axes;
            - the same with the batch in front, where the model's first convolution tells that there is one;
            - a tensor or an array: its shape, with or without the batch;
            - the axes alone, ``(224, 224)``, for a model that begins with a convolution of so many axes; not where the
              first number is so small that it may be channels, as in (2, 16000);
            - an int: the side of a picture, whose channels the first convolution tells; for a model that begins with
              a linear layer and has no convolution but transposed ones, the features of that;
            - text: ``"3x224x224"``, ``"224x224"``, ``"224"``;
            - None: what the model says of itself (``input_sizes`` of networks from files, timm's configuration), else
              pictures of 224 × 224; for generators that begin with a linear layer its features.
        model: the network.
        operation: who asks; messages begin with it.
        lengths: how many axes each input has, where that is told; then nothing is guessed, and a batch in front is what
            is more than these.

    Raises :class:`~unconv.errors.ModelError` for what is no size, or has not the axes that it is told to have, and for
    an int or None where no channels are known.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> as_input_sizes((3, 64, 48), model), as_input_sizes((8, 3, 64, 48), model), as_input_sizes(64, model)
    (((3, 64, 48),), ((3, 64, 48),), ((3, 64, 64),))
    >>> as_input_sizes(torch.zeros(8, 3, 64, 48), model), as_input_sizes("3x64x48", model)
    (((3, 64, 48),), ((3, 64, 48),))
    >>> as_input_sizes([(3, 64, 64), (10,)], model), as_input_sizes("64x48", model)
    (((3, 64, 64), (10,)), ((3, 64, 48),))
    >>> generator = nn.Sequential(nn.Linear(100, 128), nn.Unflatten(1, (8, 4, 4)), nn.ConvTranspose2d(8, 3, 4, 2))
    >>> as_input_sizes(None, generator), as_input_sizes(100, generator)
    (((100,),), ((100,),))
    """
    known = _Known(first_convolution(model), first_with_weights(model))
    if given is None and states_inputs(model):
        own: Sizes = unwrap_compiled(model).input_sizes  # type: ignore[assignment]
        if not lengths:
            return own
        given = own
    several = isinstance(given, Sequence) and not isinstance(given, str) and given and not any(map(_is_number, given))
    if lengths:
        entries = [_assumed(model, known, operation)] if given is None else list(given) if several else [given]
        if len(entries) != len(lengths):
            raise ModelError(
                f"{operation}: axes of {counted(len(lengths), 'input')} for sizes of {len(entries)}; give those of each"
            )
        return tuple(_of_length(entry, length, operation) for entry, length in zip(entries, lengths, strict=True))
    if given is None:
        return (_assumed(model, known, operation),)
    if several:
        return tuple(_one(entry, known, given, operation, alone=len(given) == 1) for entry in given)
    return (_one(given, known, given, operation, alone=True),)


def states_inputs(model: nn.Module) -> bool:
    """Whether a model says what goes in: ``input_sizes``, each (channels, *axes), and perhaps ``input_dtypes``.

    >>> states_inputs(nn.ReLU())
    False
    """
    return hasattr(type(unwrap_compiled(model)), "input_sizes")


def _of_length(given: Any, length: int, operation: str) -> Shape:
    """One input's size with so many axes, a batch in front left out."""
    entry = given.shape if getattr(given, "shape", ()) else _read_text(given, given, operation)
    size = (entry,) if _is_number(entry) else tuple(entry) if isinstance(entry, Sequence) else ()
    whole = size and all(_is_number(number) and number > 0 for number in size)
    if not whole or not length <= len(size) <= length + 1:
        raise ModelError(
            f"{operation}: input size {_told(given)} must be one number for each axis that axes names, {length} in "
            "all, or that with the batch in front"
        )
    return tuple(operator.index(number) for number in size[-length:])


@dataclass(frozen=True)
class _Known:
    """What a model's own layers tell of its input."""

    first: nn.modules.conv._ConvNd | None
    begins: nn.Module | None

    @property
    def features(self) -> int | None:
        """What a model takes that begins with a linear layer, and has no convolution but transposed ones."""
        pictures = self.first is not None and not isinstance(self.first, nn.modules.conv._ConvTransposeNd)
        return self.begins.in_features if isinstance(self.begins, nn.Linear) and not pictures else None

    @property
    def axes(self) -> int | None:
        return len(self.first.kernel_size) if self.first is not None else None


def tell_added_channels(given: InputSize, sizes: Sizes) -> str:
    """What a message of a failure says where channels were put in front of a size, which may be why; else nothing.

    >>> tell_added_channels((16000,), ((1, 16000),))
    "; the input counted as 1×16000, its channels first: axes says what each axis is where that is wrong, as axes='t'"
    >>> tell_added_channels((1, 16000), ((1, 16000),))
    ''
    """
    entry = given[0] if isinstance(given, list | tuple) and len(given) == 1 and not _is_number(given[0]) else given
    entry = tuple(entry.lower().split("x")) if isinstance(entry, str) else (entry,) if _is_number(entry) else entry
    if len(sizes) > 1 or not isinstance(entry, list | tuple) or len(sizes[0]) != len(entry) + 1:
        return ""
    return (
        f"; the input counted as {by_size(sizes[0])}, its channels first: axes says what each axis is where that is "
        "wrong, as axes='t'"
    )


def input_dtypes(given: InputSize, model: nn.Module | None = None) -> list[torch.dtype | None]:
    """What each input's type is, where a tensor was given whose numbers are whole (tokens); None for all else.

    A model that says so itself is believed.

    >>> input_dtypes((3, 8, 8)), input_dtypes(torch.zeros(1, 7, dtype=torch.int64))
    ([None], [torch.int64])
    """
    if model is not None and states_inputs(model):
        return list(getattr(unwrap_compiled(model), "input_dtypes", [None]))
    several = isinstance(given, Sequence) and not isinstance(given, str) and not any(map(_is_number, given))
    entries = list(given) if several and given else [given]
    tensors = [isinstance(one, torch.Tensor) and not one.is_floating_point() for one in entries]
    return [one.dtype if whole else None for one, whole in zip(entries, tensors, strict=True)]


def told_dtypes(given: InputSize, model: nn.Module) -> list[torch.dtype] | None:
    """The type of each input where one of them tells: tokens their own, the others that of the parameters.

    >>> told_dtypes([(3, 8), torch.zeros(1, 7, dtype=torch.int64)], nn.Linear(8, 2))
    [torch.float32, torch.int64]
    """
    kinds = input_dtypes(given)
    if not any(kinds):
        return None
    like = next((one.dtype for one in model.parameters() if one.is_floating_point()), torch.get_default_dtype())
    return [kind or like for kind in kinds]


def first_convolution(model: nn.Module) -> nn.modules.conv._ConvNd | None:
    """The first convolution in the order of a model's modules, whose channels are known; None without one.

    >>> first_convolution(nn.Sequential(nn.ReLU(), nn.Conv2d(1, 8, 3))).in_channels, first_convolution(nn.ReLU())
    (1, None)
    """
    kinds = nn.modules.conv._ConvNd
    return next((one for one in model.modules() if isinstance(one, kinds) and one.in_channels), None)


def first_with_weights(model: nn.Module) -> nn.Module | None:
    """The first layer with weights of its own, in the order of a model's modules; None without one.

    >>> first_with_weights(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    Linear(in_features=784, out_features=10, bias=True)
    """
    return next((one for one in model.modules() if next(one.parameters(recurse=False), None) is not None), None)


def _one(given: Any, known: _Known, everything: Any, operation: str, alone: bool) -> Shape:
    """One input's size; ``alone``: it is the only one."""
    first, axes = known.first, known.axes
    if getattr(given, "shape", ()):
        shape = tuple(given.shape)
        batched = len(shape) != axes + 1 if axes is not None else len(shape) > 1
        return _checked(shape[1:] if batched else shape, everything, operation)
    given = _read_text(given, everything, operation)
    if _is_number(given):
        if known.features is not None and given == known.features:
            return (known.features,)
        if first is None:
            begins = (
                "" if known.features is None else f", or ({known.features},) for the linear layer that it begins with"
            )
            raise ModelError(
                f"{operation}: input size {everything!r}: no convolution tells how many channels a picture has; say "
                f"(channels, height, width){begins}"
            )
        return _checked((first.in_channels, *(given,) * len(first.kernel_size)), everything, operation)
    if not isinstance(given, Sequence):
        raise _refusal(everything, operation)
    size = tuple(given)
    # A batch in front is known by the channels behind it: (3, 8, 64, 64) are eight frames of three channels.
    if first is not None and axes is not None and len(size) == axes + 2 and size[1] == first.in_channels:
        size = size[1:]
    # Two numbers for a convolution of pictures are height and width: with channels there were three.
    if alone and first is not None and known.begins is first and len(size) == axes and size[0] >= FEWEST:
        size = (first.in_channels, *size)
    return _checked(size, everything, operation)


def _read_text(given: Any, everything: Any, operation: str) -> Any:
    """The numbers that a text says, one alone or several; anything else as it is."""
    if not isinstance(given, str):
        return given
    parts = given.lower().replace("×", "x").split("x")
    numbers = tuple(int(part) for part in parts if part.strip().isdecimal()) if all(parts) else ()
    if len(numbers) != len(parts):
        raise _refusal(everything, operation)
    return numbers[0] if len(numbers) == 1 else numbers


def _checked(size: Sequence[Any], everything: Any, operation: str) -> Shape:
    whole = all(_is_number(number) and number > 0 for number in size)
    if not whole or not 1 <= len(size) <= MOST_AXES + 1:
        raise _refusal(everything, operation)
    return tuple(operator.index(number) for number in size)


def _refusal(given: Any, operation: str) -> ModelError:
    return ModelError(
        f"{operation}: input size {_told(given)} must be (channels, *axes) in whole numbers with at most {MOST_AXES} "
        "axes, or several of these, as (3, 224, 224)"
    )


def _told(given: Any) -> str:
    return f"of shape {tuple(given.shape)}" if getattr(given, "shape", ()) else repr(given)


def _is_number(given: Any) -> bool:
    return hasattr(given, "__index__") and not isinstance(given, bool) and getattr(given, "shape", ()) == ()


def _assumed(model: nn.Module, known: _Known, operation: str) -> Shape:
    """The size for a model that none is given for."""
    first = known.first
    told = getattr(unwrap_compiled(model), "pretrained_cfg", None)
    size = told.get("input_size") if isinstance(told, Mapping) else None
    if isinstance(size, tuple) and all(isinstance(side, int) for side in size):
        return size
    if first is None or isinstance(first, nn.modules.conv._ConvTransposeNd):
        pictures = known.features in (None, 3 * SIDE * SIDE)
        return (3, SIDE, SIDE) if known.features is None or pictures else (known.features,)
    if len(first.kernel_size) != 2:
        raise ModelError(
            f"{operation}: the model's first convolution has {len(first.kernel_size)} axes, so that no size can be "
            "assumed; say input_size=(channels, *axes)"
        )
    return (first.in_channels, SIDE, SIDE)

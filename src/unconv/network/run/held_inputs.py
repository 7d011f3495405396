"""Models of several inputs as models of images: the other inputs are held, by position, by keyword, or in a dict."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from unconv.describe import by_size
from unconv.errors import UnconvError
from unconv.network.run.unwrap_compiled import unwrap_compiled

# What may be given; a single one stands for itself.
Inputs: TypeAlias = Any
Keywords: TypeAlias = Mapping[str, Any] | None


@dataclass(frozen=True)
class Slot:
    """Where one of the images goes."""

    number: int


def hold_inputs(
    model: nn.Module, inputs: Inputs = None, kwargs: Keywords = None, operation: str = "model"
) -> nn.Module:
    """A model as one of images alone: its other inputs are always these.

    ``forward(*images)`` calls the model's own with images and inputs in their places. Layers, weights and hooks are the
    model's own; held tensors for one image, ``(1, ...)``, are for as many as there are.

    Args:
        model: any module; itself where nothing is held.
        inputs: arguments behind the image, one or a tuple; ``...`` marks where the image goes instead: in a dict as
            ``({"image": ..., "step": 3},)``, or behind others.
        kwargs: arguments by keyword, ``...`` likewise.
        operation: who asks; messages begin with it.

    Raises UnconvError for keywords that are no mapping of names, and where the image would go to several places.

    >>> import torch
    >>> class Sum(nn.Module):
    ...     def forward(self, image, step, scale=1):
    ...         return image * scale + step
    >>> hold_inputs(Sum(), (2,), {"scale": 10})(torch.ones(2))
    tensor([12., 12.])
    >>> hold_inputs(Sum(), kwargs={"image": ..., "step": 1})(torch.ones(2))
    tensor([2., 2.])
    """
    if inputs is None and kwargs is None:
        return model
    args, named = _arguments(inputs, kwargs, operation)
    marks = sum(leaf is ... for leaf in tree_leaves((args, named)))
    if marks > 1:
        raise UnconvError(f"{operation}: inputs and kwargs have {marks} places (...) for the image; give one")
    if not marks:
        args = (..., *args)
    args, named = tree_map(lambda leaf: Slot(0) if leaf is ... else leaf, (args, named))
    return _bound(unwrap_compiled(model), args, named)


def hold_for_trace(
    model: nn.Module, input_size: Any, inputs: Inputs = None, kwargs: Keywords = None, operation: str = "trace"
) -> tuple[nn.Module, Any]:
    """A model as one of images alone, and their sizes, for a trace: as :func:`hold_inputs`, but images are traced.

    Without a size, and where no place is marked, ``inputs`` and ``kwargs`` are all that the model takes; the first
    tensor ``(batch, channel, ...)`` of floats in them is the image. Those of the same height and width are images too;
    the others are held, for one image.

    >>> import torch
    >>> class Two(nn.Module):
    ...     def forward(self, image, other, step):
    ...         return image + other * step
    >>> hold_for_trace(Two(), None, (torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8), 5))[1]
    [(3, 8, 8), (3, 8, 8)]
    """
    if inputs is None and kwargs is None:
        return model, input_size
    args, named = _arguments(inputs, kwargs, operation)
    marked = any(leaf is ... for leaf in tree_leaves((args, named)))
    image = None
    if input_size is None and not marked and (inputs is not None or _names_first(model, named)):
        image = next(filter(_is_image, tree_leaves((args, named))), None)
        if image is None:
            raise UnconvError(
                f"{operation}: none of the inputs is a tensor (batch, channel, ...) of floats; give input_size for the "
                "image in front of them"
            )
        input_size = tuple(image.shape[1:])
    elif not marked:
        args = (..., *args)
    sizes = [input_size]

    def open_leaf(leaf: Any) -> Any:
        if leaf is ... or (image is not None and leaf is image):
            return Slot(0)
        if _is_image(leaf) and isinstance(input_size, tuple) and tuple(leaf.shape[2:]) == input_size[1:] != ():
            sizes.append(tuple(leaf.shape[1:]))
            return Slot(len(sizes) - 1)
        batch = isinstance(leaf, Tensor) and leaf.ndim > 0 and image is not None and len(leaf) == len(image)
        return leaf[:1] if batch else leaf

    args, named = tree_map(open_leaf, (args, named))
    return _bound(unwrap_compiled(model), args, named), sizes[0] if len(sizes) == 1 else sizes


def describe_held(inputs: Inputs = None, kwargs: Keywords = None) -> str:
    """What is held beside the images, as a text by which it can be told from other inputs.

    >>> import torch
    >>> describe_held((3, torch.zeros(1, 2)), {"scale": 2})
    'inputs 3, float32 1×2 of sum 0; scale 2'
    """

    def told(value: Any) -> str:
        leaves = ["..." if leaf is ... else _told(leaf) for leaf in tree_leaves(value)]
        return ", ".join(leaves)

    args, named = _arguments(inputs, kwargs, "inputs")
    parts = [f"inputs {told(args)}"] if args else []
    return "; ".join([*parts, *(f"{name} {told(value)}" for name, value in named.items())])


def _told(leaf: Any) -> str:
    if not isinstance(leaf, Tensor):
        return " ".join(repr(leaf).split())[:60]
    kind = str(leaf.dtype).removeprefix("torch.")
    return f"{kind} {by_size(leaf.shape) or 'number'} of sum {float(leaf.detach().double().sum()):.12g}"


def _arguments(inputs: Inputs, kwargs: Keywords, operation: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if kwargs is not None and not (isinstance(kwargs, Mapping) and all(isinstance(name, str) for name in kwargs)):
        raise UnconvError(f"{operation}: kwargs is a {type(kwargs).__name__}; give a dict of arguments by their names")
    several = isinstance(inputs, list | tuple) and not hasattr(inputs, "_fields")
    args = tuple(inputs) if several else () if inputs is None else (inputs,)
    return args, dict(kwargs or {})


def _bound(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> nn.Module:
    """The same module, held once more, with a forward of images alone: it shares layers, weights and hooks."""
    bound: nn.Module = type(model).__new__(type(model))
    vars(bound).update(vars(model))
    # What the instance has in place of its class's forward, where somebody has put one there.
    vars(bound)["forward"] = _HeldForward(bound, vars(model).get("forward"), args, kwargs)
    return bound


@dataclass(eq=False)
class _HeldForward:
    """A forward of images alone; a copy of the module has a copy of it, which runs the copy."""

    module: nn.Module
    own: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __call__(self, *images: Tensor) -> Any:
        given, named = tree_map(lambda leaf: _filled(leaf, images), (self.args, self.kwargs))
        if self.own is not None:
            return self.own(*given, **named)
        return type(self.module).forward(self.module, *given, **named)


def _filled(leaf: Any, images: Sequence[Tensor]) -> Any:
    if isinstance(leaf, Slot):
        return images[leaf.number]
    if isinstance(leaf, Tensor) and leaf.ndim > 0 and len(leaf) == 1 and images[0].ndim > 0:
        return leaf.expand(len(images[0]), *leaf.shape[1:])
    return leaf


def _is_image(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.ndim >= 2


def _names_first(model: nn.Module, kwargs: Mapping[str, Any]) -> bool:
    """Whether the first argument of a model's forward is among those by keyword."""
    return next(_parameters(unwrap_compiled(model)), None) in kwargs


def _parameters(model: nn.Module) -> Iterator[str]:
    try:
        yield from inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return

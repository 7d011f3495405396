"""Convolutions whose way back computes only the cone: where the signal is zero, nothing is multiplied.

The signal that leaves one unit is zero everywhere but at that unit, and spreads by a kernel a layer. Cᵀ of a signal
that is zero outside a box is that of the box alone, put in its place: exact, and as cheap as the box is small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# From this share of the positions on, cutting out and putting back costs more than it saves.
WORTH = 0.7
_BY_AXES = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
# By identity: the quantised convolution has the same name.
CONVOLUTIONS = frozenset(_BY_AXES.values())


class _Search:
    """Whether it is still worth looking for a box."""

    def __init__(self) -> None:
        self.on = True


_SEARCH: ContextVar[_Search] = ContextVar("search")


@contextmanager
def growing() -> Iterator[None]:
    """One way back: boxes grow towards the pixels, and once one is too large to gain by, no other is looked for."""
    token = _SEARCH.set(_Search())
    try:
        yield
    finally:
        _SEARCH.reset(token)


@dataclass(frozen=True, eq=False)
class _Call:
    """What a convolution was called with; ``size`` is that of its input."""

    weight: Tensor
    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


class Convolution(torch.autograd.Function):
    """A convolution with constant kernels, batch first.

    >>> x = torch.rand(2, 3, 9, 9, requires_grad=True)
    >>> weight = torch.rand(4, 3, 3, 3)
    >>> seed = torch.zeros(2, 4, 7, 7)
    >>> seed[0, 1, 5, 2] = 1
    >>> y = Convolution.apply(x, weight, None, (1, 1), (0, 0), (1, 1), 1)
    >>> (one,), (two,) = torch.autograd.grad(y, x, seed), torch.autograd.grad(F.conv2d(x, weight), x, seed)
    >>> torch.allclose(one, two)
    True
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
    ) -> Tensor:
        # The same tensors as torch's own keeps, in the same order: checkpointing counts them.
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.dilation, ctx.groups = stride, padding, dilation, groups
        return _BY_AXES[len(stride)](x, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        (signal,) = signals
        x, weight = ctx.saved_tensors
        call = _Call(weight, x.shape[2:], ctx.stride, ctx.padding, ctx.dilation, ctx.groups)
        search = _SEARCH.get(None) or _Search()
        boxes = nonzero_boxes(signal) if search.on else []
        size = tuple(max(stop - start for start, stop in axis) for axis in zip(*boxes, strict=True))
        if boxes and prod(size) <= WORTH * prod(signal.shape[2:]):
            back = _boxed(call, signal, boxes, size)
        else:
            search.on = False
            back = _transposed(call, signal, call.size, call.padding)
        return back, None, None, None, None, None, None


def nonzero_boxes(signal: Tensor) -> list[tuple[tuple[int, int], ...]]:
    """For each sample of ``(batch, channel, *position)`` the box that holds all that is not zero.

    >>> signal = torch.zeros(2, 1, 5, 6)
    >>> signal[0, 0, 1:3, 4] = 1
    >>> nonzero_boxes(signal)
    [((1, 3), (4, 5)), ((0, 0), (0, 0))]
    """
    used = (signal != 0).any(dim=1)
    boxes: list[list[tuple[int, int]]] = [[] for _ in range(len(signal))]
    for axis in range(1, used.ndim):
        along = used.any(dim=[other for other in range(1, used.ndim) if other != axis]) if used.ndim > 2 else used
        positions = torch.arange(along.shape[1], device=along.device)
        first = torch.where(along, positions, along.shape[1]).amin(dim=1)
        last = torch.where(along, positions + 1, 0).amax(dim=1)
        for box, start, stop in zip(boxes, first.tolist(), last.tolist(), strict=True):
            box.append((start, stop) if start < stop else (0, 0))
    return [tuple(box) for box in boxes]


def _transposed(call: _Call, signal: Tensor, size: Sequence[int], padding: tuple[int, ...]) -> Tensor:
    """Cᵀ of a signal, for an input of that size; torch's own way back, which needs no more of the input."""
    shape = (len(signal), call.weight.shape[1] * call.groups, *size)
    back: Tensor = torch.ops.aten.convolution_backward(
        signal,
        signal.new_empty(()).expand(shape),
        call.weight,
        None,
        call.stride,
        padding,
        call.dilation,
        False,
        [0] * len(size),
        call.groups,
        [True, False, False],
    )[0]
    return back


def _boxed(call: _Call, signal: Tensor, boxes: Sequence[tuple[tuple[int, int], ...]], size: tuple[int, ...]) -> Tensor:
    """Cᵀ of one box a sample, all of one size, each put in its place."""
    channels = call.weight.shape[1] * call.groups
    back = signal.new_zeros((len(signal), channels, *call.size))
    if 0 in size:
        return back
    starts = [
        tuple(min(start, whole - part) for (start, _), part, whole in zip(box, size, signal.shape[2:], strict=True))
        for box in boxes
    ]
    crops = torch.stack([one[_window(start, size)] for one, start in zip(signal, starts, strict=True)])
    reach = [
        (part - 1) * step + dilation * (taps - 1) + 1
        for part, step, dilation, taps in zip(size, call.stride, call.dilation, call.weight.shape[2:], strict=True)
    ]
    spread = _transposed(call, crops, reach, (0,) * len(size))
    for number, start in enumerate(starts):
        target: list[slice] = [slice(None)]
        source: list[slice] = [slice(None)]
        for first, step, pad, length, whole in zip(
            start, call.stride, call.padding, spread.shape[2:], call.size, strict=True
        ):
            begin = first * step - pad
            low, high = max(begin, 0), max(min(begin + length, whole), 0)
            target.append(slice(low, high))
            source.append(slice(low - begin, max(high - begin, low - begin)))
        back[number][tuple(target)] = spread[number][tuple(source)]
    return back


def _window(start: tuple[int, ...], size: tuple[int, ...]) -> tuple[slice, ...]:
    return (slice(None), *(slice(first, first + length) for first, length in zip(start, size, strict=True)))


def convolved(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The convolution that a call of torch asks for, with the cone's way back; None where it is not of that kind.

    Constant kernels, a batch that leads back to the images, padding in numbers or "valid".
    """
    named = dict(zip(("input", "weight", "bias", "stride", "padding", "dilation", "groups"), args, strict=False))
    named.update(kwargs)
    x, weight, bias = named["input"], named["weight"], named.get("bias")
    count = weight.ndim - 2
    if not x.requires_grad or weight.requires_grad or x.ndim != count + 2 or (bias is not None and bias.requires_grad):
        return None
    padding = named.get("padding", 0)
    if isinstance(padding, str):
        if padding != "valid":
            return None
        padding = 0
    stride, padding, dilation = (
        _per_axis(value, count) for value in (named.get("stride", 1), padding, named.get("dilation", 1))
    )
    return Convolution.apply(x, weight, bias, stride, padding, dilation, named.get("groups", 1))  # type: ignore[no-any-return]


def _per_axis(value: Any, count: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return values if len(values) == count else values * count

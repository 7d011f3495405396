"""Convolutions that compute only the cone between a unit and the pixels, forward and back.

The signal that leaves one unit is zero everywhere but at that unit, and spreads by a kernel a layer. Cᵀ of a signal
that is zero outside a box is that of the box alone, put in its place: exact, and as cheap as the box is small. On the
way forward the unit reads of every tensor but a box, which the trace of the network tells; what a
convolution returns outside of it is left at zero, and never looked at.
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
from torch import Tensor, nn

from unconv.visualize.course import Box, Needed, upcoming

# From this share of the positions on, cutting out and putting back costs more than it saves.
WORTH = 0.7
# Boxes of up to so many positions are computed together, all in the size of the largest.
ALONE = 32 * 32
# Up to so many positions a kernel of one tap is multiplied as a matrix: two maps of 14² are 1.2 times as quick as by a
# convolution, of 7² twice, of 3² four times; of 28² they are alike.
FEW = 1024
_BY_AXES = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
# By identity: the quantised convolution has the same name.
_ALL = slice(None)
CONVOLUTIONS = frozenset(_BY_AXES.values())


class _WayBack:
    """One way back: where the signals are, as far as it was told, and whether it is still worth looking for them."""

    def __init__(self, needed: Sequence[Needed]) -> None:
        self._needed = needed
        self._search = True

    def portions(self, signal: Tensor, number: int | None) -> list[_Portion] | None:
        """How to send a signal back through the convolution with that number in the forward pass."""
        if number is not None and number < len(self._needed) and self._needed[number].boxes:
            return _portions(self._needed[number].boxes, signal.shape[2:])
        portions = _portions(nonzero_boxes(signal), signal.shape[2:]) if self._search else None
        self._search = portions is not None
        return portions


_WAY: ContextVar[_WayBack] = ContextVar("way back")


@contextmanager
def way_back(needed: Sequence[Needed] = ()) -> Iterator[None]:
    """One way back. Boxes grow towards the pixels, and once one is too large to gain by, no other is looked for.

    ``needed`` says for each convolution of the forward pass in which boxes of its output the signal is; where it says
    nothing the signal is looked through.
    """
    token = _WAY.set(_WayBack(needed))
    try:
        yield
    finally:
        _WAY.reset(token)


@dataclass(frozen=True, eq=False)
class _Call:
    """What a convolution was called with; ``size`` is that of its input."""

    weight: Tensor
    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def output_size(self) -> tuple[int, ...]:
        """Size of what it returns."""
        return tuple(
            (size + 2 * pad - span) // step + 1
            for size, pad, span, step in zip(
                self.size, self.padding, self.reach((1,) * len(self.size)), self.stride, strict=True
            )
        )

    def reach(self, size: Sequence[int]) -> list[int]:
        """Size of the part of the padded input that a box of outputs reads."""
        return [
            (part - 1) * step + dilation * (taps - 1) + 1
            for part, step, dilation, taps in zip(size, self.stride, self.dilation, self.weight.shape[2:], strict=True)
        ]

    def under(self, start: Sequence[int], lengths: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """The part of the input under a box of outputs, and where in that box's reach it lies: the rest is padding."""
        inside: list[slice] = [slice(None)]
        part: list[slice] = [slice(None)]
        for first, step, pad, length, whole in zip(start, self.stride, self.padding, lengths, self.size, strict=True):
            begin = first * step - pad
            low, high = max(begin, 0), max(min(begin + length, whole), 0)
            inside.append(slice(low, high))
            part.append(slice(low - begin, max(high - begin, low - begin)))
        return tuple(inside), tuple(part)


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
        boxes: tuple[Box, ...] = (),
        number: int | None = None,
    ) -> Tensor:
        # The same tensors as torch's own keeps, in the same order: checkpointing counts them.
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.dilation, ctx.groups, ctx.number = stride, padding, dilation, groups, number
        call = _Call(weight, x.shape[2:], stride, padding, dilation, groups)
        portions = _portions(boxes, call.output_size) if boxes else None
        if portions is None:
            return _convolve(call, x, bias, padding)
        return _forward_in(call, x, bias, portions)

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        (signal,) = signals
        x, weight = ctx.saved_tensors
        call = _Call(weight, x.shape[2:], ctx.stride, ctx.padding, ctx.dilation, ctx.groups)
        portions = (_WAY.get(None) or _WayBack(())).portions(signal, ctx.number)
        back = _transposed(call, signal, x, call.padding) if portions is None else _boxed(call, signal, portions)
        return back, *(None,) * 8


_KERNELS: ContextVar[dict[int, tuple[Tensor, Tensor]] | None] = ContextVar("kernels", default=None)


@contextmanager
def kept_kernels() -> Iterator[None]:
    """Forward passes of one model, between which kernels do not change: what is made of them is made once."""
    token = _KERNELS.set({})
    try:
        yield
    finally:
        _KERNELS.reset(token)


def _laid_out(weight: Tensor, x: Tensor) -> Tensor:
    """Kernels in the memory format of what they meet, in which torch would bring them at every call."""
    kept = _KERNELS.get()
    if kept is None or not isinstance(weight, nn.Parameter):
        return weight
    if id(weight) not in kept:
        kept[id(weight)] = weight, weight.detach().contiguous(memory_format=memory_format(x))
    return kept[id(weight)][1]


def memory_format(x: Tensor) -> torch.memory_format:
    """Channels last where a tensor has them so, else contiguous.

    >>> memory_format(torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last))
    torch.channels_last
    """
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    return last if last is not None and x.is_contiguous(memory_format=last) else torch.contiguous_format


def _empty(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=memory_format(like))


def nonzero_boxes(signal: Tensor) -> list[Box]:
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


def _is_matrix(call: _Call, x: Tensor, padding: tuple[int, ...]) -> bool:
    """Whether the kernel is but a matrix, and positions are so few that it is quicker to multiply by it."""
    return (
        call.weight.ndim == 4
        and call.weight.shape[2:] == (1, 1)
        and (*call.stride, *padding, call.groups) == (1, 1, 0, 0, 1)
        and len(x) * x.shape[2] * x.shape[3] <= FEW
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def _convolve(call: _Call, x: Tensor, bias: Tensor | None, padding: tuple[int, ...]) -> Tensor:
    if _is_matrix(call, x, padding):
        # Into a tensor of its own: autograd lets nobody rectify a view in place that was made here.
        out = _empty(x, (len(x), len(call.weight), *x.shape[2:]))
        out.permute(0, 2, 3, 1).copy_(F.linear(x.permute(0, 2, 3, 1), call.weight[:, :, 0, 0], bias))
        return out
    return _BY_AXES[len(padding)](x, call.weight, bias, call.stride, padding, call.dilation, call.groups)


def _transposed(call: _Call, signal: Tensor, x: Tensor, padding: tuple[int, ...]) -> Tensor:
    """Cᵀ of a signal, for an input like ``x``; torch's own way back, which does not look into it."""
    if _is_matrix(call, signal, padding):
        return torch.matmul(signal.permute(0, 2, 3, 1), call.weight[:, :, 0, 0]).permute(0, 3, 1, 2)
    back: Tensor = torch.ops.aten.convolution_backward(
        signal,
        x,
        call.weight,
        None,
        call.stride,
        padding,
        call.dilation,
        False,
        [0] * len(padding),
        call.groups,
        [True, False, False],
    )[0]
    return back


def _boxed(call: _Call, signal: Tensor, portions: Sequence[_Portion]) -> Tensor:
    """Cᵀ of one box a sample, each put in its place."""
    channels = call.weight.shape[1] * call.groups
    back = _empty(signal, (len(signal), channels, *call.size)).zero_()
    for portion in portions:
        crops = torch.cat([signal[_window(run.rows, run.start, portion.size)] for run in portion.runs])
        under = _empty(signal, (portion.count, channels, *call.reach(portion.size)))
        spread = _transposed(call, crops, under, (0,) * len(portion.size))
        for run, ones in zip(portion.runs, portion.parts(spread), strict=True):
            target, source = call.under(run.start, spread.shape[2:])
            back[(run.rows, *target)] = ones[(_ALL, *source)]
    return back


def _forward_in(call: _Call, x: Tensor, bias: Tensor | None, portions: Sequence[_Portion]) -> Tensor:
    """The convolution at one box a sample, zero elsewhere."""
    out = _empty(x, (len(x), len(call.weight), *call.output_size)).zero_()
    for portion in portions:
        crops = _empty(x, (portion.count, x.shape[1], *call.reach(portion.size))).zero_()
        for run, part in zip(portion.runs, portion.parts(crops), strict=True):
            source, target = call.under(run.start, crops.shape[2:])
            part[(_ALL, *target)] = x[(run.rows, *source)]
        found = _convolve(call, crops, bias, (0,) * len(portion.size))
        for run, part in zip(portion.runs, portion.parts(found), strict=True):
            out[_window(run.rows, run.start, portion.size)] = part
    return out


@dataclass(frozen=True)
class _Run:
    """Samples that follow each other and whose boxes begin at the same place."""

    rows: slice
    start: tuple[int, ...]


@dataclass(frozen=True)
class _Portion:
    """Samples computed together: their boxes, grown to one size, and where each of them begins."""

    size: tuple[int, ...]
    runs: tuple[_Run, ...]

    @property
    def count(self) -> int:
        """How many samples."""
        return sum(run.rows.stop - run.rows.start for run in self.runs)

    def parts(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Of what belongs to all samples, what belongs to each run."""
        return torch.split(crops, [run.rows.stop - run.rows.start for run in self.runs])


def _portions(boxes: Sequence[Box], whole: Sequence[int]) -> list[_Portion] | None:
    """How to compute one box a sample; None where that is hardly less than the whole."""
    sizes = [tuple(stop - start for start, stop in box) for box in boxes]
    largest = tuple(map(max, zip(*sizes, strict=True)))
    grouped: dict[tuple[int, ...], list[int]] = {}
    for number, size in enumerate(sizes):
        grouped.setdefault(size if prod(largest) > ALONE else largest, []).append(number)
    work = sum(len(numbers) * prod(size) for size, numbers in grouped.items())
    if work > WORTH * len(boxes) * prod(whole):
        return None
    return [_portion(size, numbers, boxes, whole) for size, numbers in grouped.items() if 0 not in size]


def _portion(size: tuple[int, ...], numbers: Sequence[int], boxes: Sequence[Box], whole: Sequence[int]) -> _Portion:
    starts = {number: _inside(boxes[number], size, whole) for number in numbers}
    runs: list[_Run] = []
    for number, start in starts.items():
        if runs and runs[-1].start == start and runs[-1].rows.stop == number:
            runs[-1] = _Run(slice(runs[-1].rows.start, number + 1), start)
        else:
            runs.append(_Run(slice(number, number + 1), start))
    return _Portion(size, tuple(runs))


def _inside(box: Box, size: Sequence[int], whole: Sequence[int]) -> tuple[int, ...]:
    """Where a box grown to some size begins, so that it stays inside the whole."""
    return tuple(min(start, total - part) for (start, _), part, total in zip(box, size, whole, strict=True))


def _window(rows: slice, start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return (rows, slice(None), *(slice(first, first + length) for first, length in zip(start, size, strict=True)))


def convolved(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The convolution that a call of torch asks for, with the cone's way back; None where it is not of that kind.

    Constant kernels, a batch that leads back to the images, padding in numbers or "valid".
    """
    named = dict(zip(("input", "weight", "bias", "stride", "padding", "dilation", "groups"), args, strict=False))
    named.update(kwargs)
    x, weight, bias = named["input"], named["weight"], named.get("bias")
    number, boxes = upcoming(weight)
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
    found: Tensor = Convolution.apply(
        x, _laid_out(weight, x), bias, stride, padding, dilation, named.get("groups", 1), boxes, number
    )
    return found


def _per_axis(value: Any, count: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return values if len(values) == count else values * count

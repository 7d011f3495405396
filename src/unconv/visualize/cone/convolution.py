"""Convolutions that compute only the cone between a unit and the pixels, forward and back.

The signal that leaves one unit is zero everywhere but at that unit, and spreads by a kernel a layer. Cᵀ of a signal
that is zero outside a box is that of the box alone, put in its place: exact, and as cheap as the box is small. On the
way forward the unit reads of every tensor but a box, which the trace of the network says; what a
convolution returns outside of it is left at zero, and never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from unconv.operators.geometry.receptive import Box
from unconv.operators.geometry.sizes import spread_out
from unconv.visualize.cone.boxes import Portion, find_nonzero_boxes, plan_portions, slice_boxes
from unconv.visualize.cone.kernels import ConvCall, Kept, convolve, empty_like, lay_out, transpose
from unconv.visualize.cone.schedule import Needed, next_convolution

_ALL = slice(None)


class _WayBack:
    """One way back: where the signals are, as far as it is known, and whether it is still worth looking for them."""

    def __init__(self, needed: Sequence[Needed]) -> None:
        self._needed = needed
        self._search = True

    def portions(self, signal: Tensor, number: int | None) -> list[Portion] | None:
        """How to send a signal back through the convolution with that number in the forward pass."""
        if number is not None and number < len(self._needed) and self._needed[number].boxes:
            return plan_portions(self._needed[number].boxes, signal.shape[2:])
        portions = plan_portions(find_nonzero_boxes(signal), signal.shape[2:]) if self._search else None
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


class Convolution(torch.autograd.Function):
    """A convolution with constant kernels, batch first.

    >>> import torch.nn.functional as F
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
        kept: Kept | None = None,
    ) -> Tensor:
        # The same tensors as torch's own keeps, in the same order: checkpointing counts them.
        ctx.save_for_backward(x, weight)
        ctx.size, ctx.geometry, ctx.number, ctx.kept = x.shape[2:], (stride, padding, dilation, groups), number, kept
        call = ConvCall(weight, x.shape[2:], stride, padding, dilation, groups)
        portions = plan_portions(boxes, call.output_size) if boxes else None
        if portions is None:
            return convolve(call, x, bias, padding)
        return _convolve_boxes(call, x, bias, portions)

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        (signal,) = signals
        _, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        call = ConvCall(weight, ctx.size, stride, padding, dilation, groups)
        return send_back(call, signal, ctx.number), *(None,) * 9


def send_back(call: ConvCall, signal: Tensor, number: int | None) -> Tensor:
    """Cᵀ of a signal, of its cone alone where that is less; ``number``: of the convolution in the forward pass."""
    portions = (_WAY.get(None) or _WayBack(())).portions(signal, number)
    if portions is None:
        return transpose(call, signal, call.size, call.padding)
    return _send_back_boxes(call, signal, portions)


def _send_back_boxes(call: ConvCall, signal: Tensor, portions: Sequence[Portion]) -> Tensor:
    """Cᵀ of one box a sample, each put in its place."""
    channels = call.weight.shape[1] * call.groups
    back = empty_like(signal, (len(signal), channels, *call.size)).zero_()
    for portion in portions:
        crops = torch.cat([signal[slice_boxes(run.rows, run.start, portion.size)] for run in portion.runs])
        spread = transpose(call, crops, call.reach(portion.size), (0,) * len(portion.size))
        for run, ones in zip(portion.runs, portion.parts(spread), strict=True):
            target, source = call.under(run.start, spread.shape[2:])
            back[(run.rows, *target)] = ones[(_ALL, *source)]
    return back


def _convolve_boxes(call: ConvCall, x: Tensor, bias: Tensor | None, portions: Sequence[Portion]) -> Tensor:
    """The convolution at one box a sample, zero elsewhere."""
    out = empty_like(x, (len(x), len(call.weight), *call.output_size)).zero_()
    for portion in portions:
        crops = empty_like(x, (portion.count, x.shape[1], *call.reach(portion.size))).zero_()
        for run, part in zip(portion.runs, portion.parts(crops), strict=True):
            source, target = call.under(run.start, crops.shape[2:])
            part[(_ALL, *target)] = x[(run.rows, *source)]
        found = convolve(call, crops, bias, (0,) * len(portion.size))
        for run, part in zip(portion.runs, portion.parts(found), strict=True):
            out[slice_boxes(run.rows, run.start, portion.size)] = part
    return out


def convolve_on_cone(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The convolution that a call of torch asks for, with the cone's way back; None where it is not of that kind.

    Constant kernels, a batch that leads back to the images, padding in numbers or "valid".
    """
    named = dict(zip(("input", "weight", "bias", "stride", "padding", "dilation", "groups"), args, strict=False))
    named.update(kwargs)
    x, weight, bias = named["input"], named["weight"], named.get("bias")
    number, boxes = next_convolution(weight)
    count = weight.ndim - 2
    if not x.requires_grad or weight.requires_grad or x.ndim != count + 2 or (bias is not None and bias.requires_grad):
        return None
    padding = named.get("padding", 0)
    if isinstance(padding, str):
        if padding != "valid":
            return None
        padding = 0
    stride, padding, dilation = (
        spread_out(value, count) for value in (named.get("stride", 1), padding, named.get("dilation", 1))
    )
    kernels, kept = lay_out(weight, x)
    found: Tensor = Convolution.apply(
        x, kernels, bias, stride, padding, dilation, named.get("groups", 1), boxes, number, kept
    )
    return found

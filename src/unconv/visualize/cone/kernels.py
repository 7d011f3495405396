"""Calls of convolutions with constant kernels, forward and back, by what is quickest of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unconv.operators.by_axes import CONV
from unconv.operators.transpose.choice import MANY_CHANNELS
from unconv.operators.transpose.conv_transpose import conv_transpose

# Up to so many positions a kernel of one tap is multiplied as a matrix: two maps of 14² are 1.2 times as quick as by a
# convolution, of 7² twice, of 3² four times; of 28² they are alike.
FEW = 1024
# By identity: the quantised convolution has the same name.
CONVOLUTIONS = frozenset(CONV.values())


@dataclass(frozen=True, eq=False)
class ConvCall:
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


def _is_matrix(call: ConvCall, x: Tensor, padding: tuple[int, ...]) -> bool:
    """Whether the kernel is but a matrix, and positions are so few that it is quicker to multiply by it."""
    return (
        call.weight.ndim == 4
        and call.weight.shape[2:] == (1, 1)
        and (*call.stride, *padding, call.groups) == (1, 1, 0, 0, 1)
        and len(x) * x.shape[2] * x.shape[3] <= FEW
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def convolve(call: ConvCall, x: Tensor, bias: Tensor | None, padding: tuple[int, ...]) -> Tensor:
    """The convolution, with another padding than the call's."""
    if _is_matrix(call, x, padding):
        # Into a tensor of its own: autograd lets nobody rectify a view in place that was made here.
        out = empty_like(x, (len(x), len(call.weight), *x.shape[2:]))
        out.permute(0, 2, 3, 1).copy_(F.linear(x.permute(0, 2, 3, 1), call.weight[:, :, 0, 0], bias))
        return out
    return CONV[len(padding)](x, call.weight, bias, call.stride, padding, call.dilation, call.groups)


def transpose(call: ConvCall, signal: Tensor, size: Sequence[int], padding: tuple[int, ...]) -> Tensor:
    """Cᵀ of a signal, for an input of some size, with another padding than the call's; it does not look into it."""
    spans = call.reach(signal.shape[2:])
    extra = tuple(length + 2 * pad - span for length, pad, span in zip(size, padding, spans, strict=True))
    if call.weight.shape[1] * call.groups < MANY_CHANNELS:
        # The pixels' own convolution: few channels come out of its transpose, which has forms that are quicker.
        return conv_transpose(signal, call.weight, None, call.stride, padding, extra, call.groups, call.dilation)
    if _is_matrix(call, signal, padding):
        return torch.matmul(signal.permute(0, 2, 3, 1), call.weight[:, :, 0, 0]).permute(0, 3, 1, 2)
    back: Tensor = torch.ops.aten.convolution_backward(
        signal,
        empty_like(signal, (len(signal), call.weight.shape[1] * call.groups, *size)),
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


@dataclass(frozen=True, eq=False)
class Kept:
    """Kernels as a model has them, in a version of theirs, and what was made of them.

    Attributes:
        weight: the model's own.
        version: of it, which an operation in place changes.
        laid_out: the same numbers in the memory format of what they meet.
        scaled: by factors, see :meth:`scale`; with what these were made of, so that it lives as long.
    """

    weight: Tensor
    version: int
    laid_out: Tensor
    scaled: dict[tuple[float, ...], tuple[Tensor, Sequence[Tensor | None]]] = field(default_factory=dict)

    def scale(self, factor: Callable[[], Tensor], parts: Sequence[Tensor | None], number: float) -> Tensor:
        """The kernels, each by a factor, which is known by the tensors and the number that it is made of.

        >>> weight = torch.ones(2, 1, 1, 1)
        >>> kept, factors = Kept(weight, weight._version, weight), torch.tensor([2.0, 3.0])
        >>> kept.scale(lambda: factors, [factors], 0.0).flatten()
        tensor([2., 3.])
        """
        key = number, *(value for part in parts if part is not None for value in (id(part), part._version))
        if key not in self.scaled:
            factors = factor().view(-1, *(1,) * (self.laid_out.ndim - 1))
            self.scaled[key] = self.laid_out * factors, parts
        return self.scaled[key][0]


_KERNELS: ContextVar[dict[int, Kept] | None] = ContextVar("kernels", default=None)


@contextmanager
def keep_kernels() -> Iterator[None]:
    """Several forward passes of a model: what is made of its kernels is made once, unless they change."""
    token = _KERNELS.set({})
    try:
        yield
    finally:
        _KERNELS.reset(token)


def lay_out(weight: Tensor, x: Tensor) -> tuple[Tensor, Kept | None]:
    """Kernels in the memory format of what they meet, in which torch would bring them at every call, and as kept."""
    kept = _KERNELS.get()
    if kept is None or not isinstance(weight, nn.Parameter):
        return weight, None
    known = kept.get(id(weight))
    if known is None or known.version != weight._version:
        laid = weight.detach().contiguous(memory_format=memory_format(x))
        known = kept[id(weight)] = Kept(weight, weight._version, laid)
    return known.laid_out, known


def memory_format(x: Tensor) -> torch.memory_format:
    """Channels last where a tensor has them so, else contiguous.

    >>> memory_format(torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last))
    torch.channels_last
    """
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    return last if last is not None and x.is_contiguous(memory_format=last) else torch.contiguous_format


def empty_like(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Memory in the type, place and format of a tensor."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=memory_format(like))

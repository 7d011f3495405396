"""A tensor's state: its class, the memory it points to, what it wants of autograd, and its values if copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

_LAZY = (UninitializedParameter, UninitializedBuffer)
# Told apart by less than the others.
_PLAIN = frozenset({Tensor, nn.Parameter})
# Bytes up to which values are copied and compared together with others'.
SMALL = 1 << 16


class TensorState(NamedTuple):
    """A tensor and what it was at one moment, its values aside.

    Attributes:
        tensor: itself.
        cls: its class, which a lazy parameter changes when it comes to a shape.
        data: another tensor in the same memory, which stays there when the tensor is pointed elsewhere.
        wants_gradient: its ``requires_grad``.
        gradient: its ``grad``, of a leaf.
    """

    tensor: Tensor
    cls: type[Tensor]
    data: Tensor
    wants_gradient: bool
    gradient: Tensor | None

    @property
    def name(self) -> str:
        """What it is called in an error."""
        return self.cls.__name__

    def put_back(self) -> None:
        """Give the tensor back what has changed."""
        tensor = self.tensor
        if type(tensor) is not self.cls:
            tensor.__class__ = self.cls
        if not _same_place(tensor, self.data):
            tensor.data = self.data
        if not tensor.is_leaf:
            return
        if tensor.requires_grad != self.wants_gradient:
            # Tensors made in inference mode change there only.
            with torch.inference_mode() if tensor.is_inference() else nullcontext():
                tensor.requires_grad = self.wants_gradient
        if tensor.grad is not self.gradient:
            tensor.grad = self.gradient


class Values(NamedTuple):
    """What stands in stretches of memory, as bytes, at one moment; small ones are copied and compared together."""

    memories: tuple[Tensor, ...]
    copied: Tensor
    name: str = "values of tensors"

    def put_back(self) -> None:
        """Write back what has changed."""
        if torch.equal(_joined(self.memories), self.copied):
            return
        for now, before in zip(
            self.memories, torch.split(self.copied, [len(one) for one in self.memories]), strict=True
        ):
            if not torch.equal(now, before):
                now.copy_(before)


def read_tensors(tensors: Iterable[Tensor], copy: Callable[[Tensor], bool]) -> list[TensorState | Values]:
    """What tensors are now; the values, too, of those that are to be copied.

    >>> weight = torch.zeros(2, 3)
    >>> states = read_tensors([weight], copy=lambda _: True)
    >>> _ = weight.add_(1)
    >>> for state in states:
    ...     state.put_back()
    >>> weight.sum()
    tensor(0.)
    """
    states: list[TensorState | Values] = []
    small: dict[torch.device, list[Tensor]] = {}
    for tensor in tensors:
        data = tensor.data
        states.append(
            TensorState(tensor, type(tensor), data, tensor.requires_grad, tensor.grad if tensor.is_leaf else None)
        )
        memory = _bytes_of(data) if copy(tensor) else None
        if memory is None:
            continue
        if len(memory) <= SMALL:
            small.setdefault(memory.device, []).append(memory)
        else:
            states.append(Values((memory,), memory.clone()))
    states.extend(Values(tuple(memories), torch.cat(memories)) for memories in small.values())
    return states


def _joined(memories: Sequence[Tensor]) -> Tensor:
    return memories[0] if len(memories) == 1 else torch.cat(tuple(memories))


def _same_place(tensor: Tensor, data: Tensor) -> bool:
    """Whether two tensors are the same stretch of the same memory."""
    if type(data) is Tensor and type(tensor) in _PLAIN and data.layout == torch.strided and data.is_cpu:
        return tensor.is_set_to(data) and tensor.dtype == data.dtype
    return _place(tensor) == _place(data)


def _place(tensor: Tensor) -> tuple[Any, ...] | None:
    """Which stretch of which memory a tensor is; None where it has none of its own (sparse, or made of others)."""
    if tensor.layout != torch.strided or is_traceable_wrapper_subclass(tensor):
        return None
    if isinstance(tensor, _LAZY):
        return (tensor.untyped_storage()._cdata,)
    stretch = (tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype)
    return (tensor.untyped_storage()._cdata, *stretch)


def _bytes_of(tensor: Tensor) -> Tensor | None:
    """The memory behind a tensor, all of it, as bytes; None where there is none."""
    plain = type(tensor) is Tensor and tensor.layout == torch.strided
    if tensor.is_meta or (not plain and (_place(tensor) is None or isinstance(tensor, (FakeTensor, *_LAZY)))):
        return None
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())

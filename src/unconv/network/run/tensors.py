"""A tensor's state: its class, the memory it points to, what it wants of autograd, and its values if copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

_LAZY = (UninitializedParameter, UninitializedBuffer)


@dataclass(frozen=True, eq=False)
class TensorState:
    """A tensor and what it was at one moment.

    Attributes:
        tensor: itself.
        cls: its class, which a lazy parameter changes when it comes to a shape.
        data: another tensor in the same memory, which stays there when the tensor is pointed elsewhere.
        wants_gradient: its ``requires_grad``.
        gradient: its ``grad``, of a leaf.
        values: a copy of the bytes of its storage; None where they were not copied.
    """

    tensor: Tensor
    cls: type[Tensor]
    data: Tensor
    wants_gradient: bool
    gradient: Tensor | None
    values: Tensor | None

    @property
    def name(self) -> str:
        """What it is called in an error."""
        return self.cls.__name__

    def put_back(self) -> None:
        """Give the tensor back what has changed."""
        tensor = self.tensor
        if type(tensor) is not self.cls:
            tensor.__class__ = self.cls
        if _place(tensor) != _place(self.data):
            tensor.data = self.data
        if tensor.is_leaf and tensor.requires_grad != self.wants_gradient:
            # Tensors made in inference mode change there only.
            with torch.inference_mode(tensor.is_inference()):
                tensor.requires_grad_(self.wants_gradient)
        if tensor.is_leaf and tensor.grad is not self.gradient:
            tensor.grad = self.gradient
        if self.values is not None:
            now = _bytes_of(self.data)
            if now is not None and not torch.equal(now, self.values):
                now.copy_(self.values)


def read_tensor(tensor: Tensor, copy: bool) -> TensorState:
    """What a tensor is now; its values, too, if they are to be copied.

    >>> weight = torch.zeros(2, 3)
    >>> state = read_tensor(weight, copy=True)
    >>> _ = weight.add_(1)
    >>> state.put_back()
    >>> weight.sum()
    tensor(0.)
    """
    data = tensor.data
    values = _bytes_of(data) if copy else None
    return TensorState(
        tensor,
        type(tensor),
        data,
        tensor.requires_grad,
        tensor.grad if tensor.is_leaf else None,
        None if values is None else values.clone(),
    )


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
    if _place(tensor) is None or tensor.is_meta or isinstance(tensor, (FakeTensor, *_LAZY)):
        return None
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())

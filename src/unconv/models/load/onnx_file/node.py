"""Nodes of ONNX files: an operator with its attributes, and the settings that some versions pass as inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unconv.errors import ModelError, one_line


@dataclass(frozen=True, eq=False)
class Node:
    """One node.

    Attributes:
        name: the file's, or the operator with the node's number where it has none.
        operator: with its domain in front, where that is not onnx's own.
        attributes: by name, as plain values.
        inputs: names of the values that it takes; "" for one that is left out.
        outputs: names of the values that it makes.
        opset: the version of its operator's domain.
        captures: names of the values that graphs inside it read from around it.
        run: computes the outputs of known inputs; onnx's reference.
    """

    name: str
    operator: str
    attributes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opset: int = 0
    captures: tuple[str, ...] = ()
    run: Callable[..., list[Any]] | None = field(default=None, repr=False)

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute, text as such, or a default."""
        value = self.attributes.get(attribute, default)
        return value.decode() if isinstance(value, bytes) else value

    def setting(self, attribute: str, given: Sequence[Any], position: int, default: Any = None) -> Any:
        """What older versions hold as an attribute and newer ones take as an input, as plain numbers."""
        if attribute in self.attributes:
            return self.get(attribute)
        value = given[position] if position < len(given) else None
        return default if value is None else self.numbers(value, attribute)

    def evaluate(self, given: Sequence[Any]) -> dict[str, Any]:
        """The outputs, by name, of inputs that are all known; raises ModelError where onnx cannot compute them."""
        if self.run is None:
            self.refuse("it cannot be computed of constants")
        try:
            outputs = self.run(dict(zip(self.inputs, given, strict=True)))
        except Exception as error:
            # The reference raises errors of numpy's and of its own.
            raise ModelError(
                f"node {self.name} ({self.operator}): onnx cannot compute it of constants: {one_line(error)}"
            ) from error
        return {name: value for name, value in zip(self.outputs, outputs, strict=True) if name}

    def numbers(self, value: Any, what: str) -> Any:
        """A known value as plain numbers, in a list unless it is one; refused where it follows from the input."""
        if isinstance(value, Tensor):
            self.refuse(f"its {what} follows from the values of the network's input; it has to be fixed")
        return value.tolist()

    def refuse(self, why: str) -> NoReturn:
        """Raise the ModelError that names node and operator.

        >>> Node("pool", "MaxPool", {}, ("x",), ("y",)).refuse("rank 7 is not known")
        Traceback (most recent call last):
        unconv.errors.ModelError: node pool (MaxPool): rank 7 is not known
        """
        raise ModelError(f"node {self.name} ({self.operator}): {why}")


def torch_type(dtype: np.dtype[Any]) -> torch.dtype:
    """torch's type of numpy's, or of those that ml_dtypes adds; whole numbers below a byte are held in one.

    Raises ModelError for what torch does not have.

    >>> torch_type(np.dtype(np.float16)), torch_type(np.dtype(np.uint16))
    (torch.float16, torch.uint16)
    """
    name = {"int4": "int8", "uint4": "uint8", "int2": "int8", "uint2": "uint8"}.get(dtype.name, dtype.name)
    kind = getattr(torch, name, None)
    if not isinstance(kind, torch.dtype):
        raise ModelError(f"values of type {dtype.name} are nothing that torch has")
    return kind


def to_tensor(value: NDArray[Any]) -> Tensor:
    """A tensor with a copy of an array's values.

    >>> to_tensor(np.ones(2, np.float16))
    tensor([1., 1.], dtype=torch.float16)
    """
    kind = torch_type(value.dtype)
    if value.dtype.name.endswith(("int4", "int2")):
        return torch.from_numpy(value.astype(np.uint8 if value.dtype.name.startswith("u") else np.int8))
    if value.dtype.kind in "fiubc":
        return torch.from_numpy(value.copy())
    # Types that numpy has not itself go by their bits.
    bits: np.dtype[Any] = np.dtype(f"u{value.dtype.itemsize}")
    return torch.from_numpy(np.ascontiguousarray(value).reshape(-1).view(bits).copy()).view(kind).reshape(value.shape)


def as_tensor(value: Any, beside: Tensor | None = None) -> Tensor:
    """A value as a tensor, on the device of another; made from numbers, so that a trace sees what they are.

    >>> as_tensor(np.array([1, 2])), as_tensor(torch.ones(1))
    (tensor([1, 2]), tensor([1.]))
    """
    if isinstance(value, Tensor):
        return value
    return torch.tensor(value.tolist(), dtype=torch_type(value.dtype), device=None if beside is None else beside.device)

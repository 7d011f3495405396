"""Foreign objects of a pickle as descriptions, and the table of the functions that may be called in their place.

The functions are torch's own for tensors, without what a file may hang on one: hooks, attributes, a class of its own.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Named:
    """A class or function that a file names, neither imported nor called: ``argparse.Namespace``."""

    name: str


@dataclass(eq=False)
class Foreign:
    """An object of a class that is not known here, as its file describes it; pickle's opcodes fill it in.

    Attributes:
        kind: the class, or the function that would make it, by name.
        arguments: what that would be called with.
        state: what it would be given then, its attributes mostly.
        entries: what it holds as a mapping, or by number as a list.
    """

    kind: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    entries: dict[Any, Any] = field(default_factory=dict)

    def extend(self, items: list[Any]) -> None:
        """Add to what it holds as a list."""
        self.entries.update(enumerate(items, start=len(self.entries)))


@cache
def tensor_makers() -> Mapping[str, Any]:
    """What names of a file stand for: functions that make tensors and plain containers, number formats.

    >>> tensor_makers()["torch.float16"], "builtins.eval" in tensor_makers()
    (torch.float16, False)
    """
    makers: dict[str, Any] = {
        "collections.OrderedDict": OrderedDict,
        "torch.Size": torch.Size,
        "torch.serialization._get_layout": torch.serialization._get_layout,
        "torch.storage.UntypedStorage": torch.UntypedStorage,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
        "torch._utils._rebuild_qtensor": _quantized,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch._utils._rebuild_sparse_tensor": _torch("_rebuild_sparse_tensor"),
        "torch._utils._rebuild_meta_tensor_no_storage": _torch("_rebuild_meta_tensor_no_storage"),
        "torch._utils._rebuild_device_tensor_from_numpy": _on_device,
        "torch._utils._rebuild_device_tensor_from_cpu_tensor": _on_device,
        "torch._utils._rebuild_xla_tensor": _on_device,
        "torch._tensor._rebuild_from_type_v2": _of_type,
        "_codecs.encode": _encode,
        "copyreg._reconstructor": _reconstruct,
        "builtins.bytes": _bytes,
        "builtins.set": set,
    }
    for kind in torch._storage_classes - {torch.storage.TypedStorage, torch.UntypedStorage}:
        storage_type: Callable[[str], Any] = torch.serialization.StorageType
        makers[f"torch.{kind.__name__}"] = storage_type(kind.__name__)
    values = [value for value in vars(torch).values() if isinstance(value, torch.dtype | torch.qscheme)]
    return {**makers, **{str(value): value for value in values}}


def is_maker(value: object) -> bool:
    """Whether something is a function of the table, and may be called."""
    return any(value is maker for maker in _callables())


@cache
def _callables() -> tuple[Any, ...]:
    return tuple(value for value in tensor_makers().values() if callable(value) and value is not torch.UntypedStorage)


def _torch(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(torch._utils, name)
    return function


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *rest: Any) -> Tensor:
    metadata = rest[2] if len(rest) > 2 else None
    made: Tensor = _torch("_rebuild_tensor_v2")(storage, offset, size, stride, False, OrderedDict(), metadata)
    return made


def _tensor_of_dtype(storage: Any, offset: int, size: Any, stride: Any, *rest: Any) -> Tensor:
    made: Tensor = _torch("_rebuild_tensor_v3")(storage, offset, size, stride, False, OrderedDict(), *rest[2:4])
    return made


def _quantized(storage: Any, offset: int, size: Any, stride: Any, parameters: Any, *_: Any) -> Tensor:
    made: Tensor = _torch("_rebuild_qtensor")(storage, offset, size, stride, parameters, False, OrderedDict())
    return made


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _of_type(maker: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    """A tensor of a subclass, as a plain one; where it has no storage of its own, the description of one."""
    if is_maker(maker):
        return maker(*arguments)
    return Foreign(kind.name if isinstance(kind, Named) else "tensor subclass", tuple(arguments))


def _on_device(data: Any, dtype: Any, *_: Any) -> Any:
    return data.to(dtype) if isinstance(data, Tensor) else data


def _encode(text: str, encoding: str = "latin-1") -> bytes:
    """Bytes in pickles of protocol 2; a codec of any other name would be imported."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes in another encoding than latin1")
    return text.encode("latin-1")


def _bytes(content: bytes = b"") -> bytes:
    """Empty bytes in pickles of protocol 2; of a number, as many would be made."""
    return content


def _reconstruct(kind: Any, *_: Any) -> Any:
    """Objects in pickles of protocols 0 and 1."""
    return Foreign(kind.name) if isinstance(kind, Named) else Foreign(type(kind).__name__)

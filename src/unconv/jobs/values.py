"""Serialisation of a job's state as JSON and named tensors, back to the last bit.

Nothing is pickled, so that reading a checkpoint runs no code of whoever wrote it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from math import isfinite
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

from unconv.errors import JobError

if TYPE_CHECKING:
    from torch import Tensor

Types: TypeAlias = "tuple[type[Any], ...]"
Tensors: TypeAlias = "dict[str, Tensor]"


def pack(value: Any, tensors: Tensors, types: Types = (), name: str = "state") -> Any:
    """The value as JSON, its tensors added to ``tensors`` under names that say where they were.

    Values are None, bool, int, float, str, paths, list, tuple, dict, dense tensors, torch.Generator, and the
    dataclasses listed in ``types``. Raises :class:`~unconv.jobs.JobError` for anything else.

    >>> pack({"step": 3, "sizes": (4, 5)}, {})
    {'dict': [['step', 3], ['sizes', {'tuple': [4, 5]}]]}
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if isfinite(value) else {"float": repr(value)}
    if isinstance(value, PurePath):
        return {"path": os.fspath(value)}
    if kind is list:
        return [pack(entry, tensors, types, f"{name}.{index}") for index, entry in enumerate(value)]
    if kind is tuple:
        return {"tuple": pack(list(value), tensors, types, name)}
    if kind is dict:
        entries = value.items()
        return {"dict": [[pack(k, tensors, types, name), pack(v, tensors, types, f"{name}.{k}")] for k, v in entries]}
    if kind in types:
        names = [field.name for field in fields(value)]
        content = {key: pack(getattr(value, key), tensors, types, f"{name}.{key}") for key in names}
        return {"type": kind.__qualname__, "fields": content}
    packed = _pack_torch(value, tensors, name)
    if packed is None:
        raise JobError(
            f"checkpoint: {name} is a {kind.__qualname__}, which a checkpoint cannot hold; give tensors, numbers, "
            "texts, lists and dicts of them, or name its dataclass in Checkpoint(types=...)"
        )
    return packed


def _pack_torch(value: Any, tensors: Tensors, name: str) -> dict[str, Any] | None:
    torch = sys.modules.get("torch")  # where torch was never imported there are no tensors
    if torch is None:
        return None
    if type(value) is torch.Generator:
        return {"torch generator": _add(value.get_state(), tensors, name), "device": str(value.device)}
    if type(value) is not torch.Tensor or value.is_quantized or value.layout != torch.strided:
        return None
    return {
        "tensor": _add(value, tensors, name),
        "order": _memory_order(value),
        "complex": value.is_complex(),
        "device": str(value.device),
        "requires_grad": value.requires_grad,
    }


def _memory_order(tensor: Tensor) -> list[int]:
    """The axes from the slowest to the fastest in memory: channels-last comes back as channels-last."""
    order = sorted(range(tensor.ndim), key=tensor.stride().__getitem__, reverse=True)
    return order if tensor.permute(order).is_contiguous() else list(range(tensor.ndim))


def _add(tensor: Tensor, tensors: Tensors, name: str) -> str:
    import torch

    while name in tensors:
        name += "'"
    tensor = tensor.detach().resolve_conj().resolve_neg()
    tensor = tensor.permute(_memory_order(tensor))
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    # A copy: safetensors refuses tensors that share their memory.
    tensors[name] = tensor.to("cpu", copy=True, memory_format=torch.contiguous_format)
    return name


def unpack(packed: Any, tensors: Tensors, types: Types = ()) -> Any:
    """The value that :func:`pack` was given, equal to the last bit.

    >>> unpack(pack({"step": 3, "sizes": (4, 5)}, {}), {})
    {'step': 3, 'sizes': (4, 5)}
    """
    if isinstance(packed, list):
        return [unpack(entry, tensors, types) for entry in packed]
    if not isinstance(packed, dict):
        return packed
    if "float" in packed:
        return float(packed["float"])
    if "path" in packed:
        return Path(packed["path"])
    if "tuple" in packed:
        return tuple(unpack(packed["tuple"], tensors, types))
    if "dict" in packed:
        return {unpack(key, tensors, types): unpack(entry, tensors, types) for key, entry in packed["dict"]}
    if "type" in packed:
        content = {key: unpack(entry, tensors, types) for key, entry in packed["fields"].items()}
        return _record(packed["type"], content, types)
    return _unpack_torch(packed, tensors)


def _record(name: str, content: dict[str, Any], types: Types) -> Any:
    kind = next((kind for kind in types if kind.__qualname__ == name), None)
    if kind is None:
        raise JobError(f"checkpoint: holds a {name}, which this run does not know; name it in Checkpoint(types=...)")
    # Field by field: what was valid when it was made need not be made again.
    value = object.__new__(kind)
    for key, entry in content.items():
        object.__setattr__(value, key, entry)
    return value


def _unpack_torch(packed: dict[str, Any], tensors: Tensors) -> Any:
    import torch

    if "torch generator" in packed:
        generator = torch.Generator(packed["device"])
        generator.set_state(tensors[packed["torch generator"]])
        return generator
    stored = tensors[packed["tensor"]]
    tensor = torch.view_as_complex(stored) if packed["complex"] else stored
    inverse = sorted(range(tensor.ndim), key=packed["order"].__getitem__)
    return tensor.permute(inverse).to(packed["device"]).requires_grad_(packed["requires_grad"])

"""Archives of torch.export (``.pt2``): the program as JSON, and its tensors, of which nothing is run."""

from __future__ import annotations

import json
import pickle
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unconv.errors import ModelError, one_line, printable
from unconv.models.load.exported_program.values import DTYPES
from unconv.models.load.weights.torch_file import NotWeightsError, TorchFile, read_torch

AGAIN = "write it again with torch.export.save of torch 2.8 or later, or export to ONNX: torch.onnx.export(...)"
# The version of the program's schema that is known.
SCHEMA = 8


@dataclass(frozen=True, eq=False)
class Archive:
    """What a file holds.

    Attributes:
        file: its name.
        program: the JSON of the program: graph, signature, ranges of sizes.
        weights: parameters and buffers by their names in the model.
        constants: other fixed tensors by name.
    """

    file: str
    program: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    constants: Mapping[str, Tensor]


def read_archive(path: Path) -> Archive:
    """Read a file of torch.export.

    Raw tensors are read as bytes, pickled ones by the reader of weights, which imports and calls nothing; example
    inputs are left alone. Raises ModelError, in one line that names the member, for all else.
    """
    file = printable(path)
    if not path.is_file():
        raise ModelError(f"{file}: {'not a file' if path.exists() else 'no such file'}; name a file of torch.export")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(_Members(file, archive))
    except ModelError:
        raise
    except Exception as error:
        # A broken archive fails in any way its members can: BadZipFile, KeyError, ValueError, RuntimeError.
        raise ModelError(f"{file}: is no archive of torch.export, or a damaged one: {one_line(error)}") from error


@dataclass(frozen=True)
class _Members:
    """The members of an archive by their names below its one folder."""

    file: str
    archive: zipfile.ZipFile

    def names(self) -> dict[str, str]:
        return {name.partition("/")[2]: name for name in self.archive.namelist()}

    def read(self, name: str) -> bytes:
        return self.archive.read(self.names()[name])

    def refuse(self, member: str, why: str) -> ModelError:
        return ModelError(f"{self.file}: {printable(member)} {why}")


def _read(members: _Members) -> Archive:
    names = members.names()
    programs = [name for name in names if name.startswith("models/") and name.endswith(".json")]
    if any(name.startswith("data/aotinductor/") for name in names):
        raise ModelError(f"{members.file}: holds compiled code, which is not run; save the program: torch.export.save")
    if not programs:
        raise ModelError(f"{members.file}: holds no program in the form that is known here; {AGAIN}")
    if len(programs) > 1:
        raise ModelError(f"{members.file}: holds {len(programs)} programs; save the one that is wanted")
    if members.read("byteorder").strip() != b"little":
        raise ModelError(f"{members.file}: its numbers are big-endian; {AGAIN}")
    program = json.loads(members.read(programs[0]))
    version = program["schema_version"]["major"]
    if version != SCHEMA:
        raise ModelError(f"{members.file}: its schema has version {version}, {SCHEMA} is known; {AGAIN}")
    name = programs[0].removeprefix("models/").removesuffix(".json")
    weights, constants = (
        _tensors(members, f"data/{what}", name, f"_{what}_config") for what in ("weights", "constants")
    )
    return Archive(members.file, program, weights, constants)


def _tensors(members: _Members, folder: str, name: str, ending: str) -> dict[str, Tensor]:
    """The tensors that a configuration names, or those of one pickle, as torch 2.8 wrote it."""
    config = f"{name}{ending}.json"
    if f"{folder}/{config}" not in members.names():
        if f"{folder}/{name}.pt" not in members.names():
            raise ModelError(f"{members.file}: has no {folder}/{config}; {AGAIN}")
        return _pickled_by_name(members, f"{folder}/{name}.pt")
    entries = json.loads(members.read(f"{folder}/{config}"))["config"]
    # Tensors that share memory are views of one member.
    memory: dict[str, Tensor] = {}
    tensors = {}
    for key, entry in entries.items():
        member = f"{folder}/{entry['path_name']}"
        if not entry["path_name"].startswith(("weight_", "tensor_")):
            raise members.refuse(member, "is an object of a class, not a tensor; nothing of it is run")
        if entry["use_pickle"]:
            tensors[key] = _pickled(members, member)
            continue
        meta = entry["tensor_meta"]
        if member not in memory:
            memory[member] = _numbers(members.read(member), DTYPES[meta["dtype"]])
        sizes, strides = ([one["as_int"] for one in meta[what]] for what in ("sizes", "strides"))
        empty = 0 in sizes
        whole = torch.empty(0, dtype=DTYPES[meta["dtype"]]) if empty else memory[member]
        offset = 0 if empty else meta["storage_offset"]["as_int"]
        tensors[key] = whole.reshape(sizes) if empty else torch.as_strided(whole, sizes, strides, offset)
    return tensors


def _numbers(content: bytes, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)


def _pickled(members: _Members, member: str) -> Tensor:
    held = _unpickled(members, member)
    if not isinstance(held.value, Tensor):
        raise members.refuse(member, f"is pickled, and no tensor{_named(held)}; nothing of it is run")
    return held.value.detach()


def _pickled_by_name(members: _Members, member: str) -> dict[str, Tensor]:
    if not members.read(member):
        return {}
    held = _unpickled(members, member)
    plain = isinstance(held.value, Mapping) and all(isinstance(one, Tensor) for one in held.value.values())
    if not plain:
        raise members.refuse(member, f"is pickled, and no tensors by name{_named(held)}; nothing of it is run")
    return {str(key): one.detach() for key, one in held.value.items()}


def _unpickled(members: _Members, member: str) -> TorchFile:
    """What a pickled member holds, objects of classes as descriptions."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "member.pt"
        copy.write_bytes(members.read(member))
        try:
            return read_torch(copy)
        except (NotWeightsError, pickle.UnpicklingError) as error:
            raise members.refuse(member, "is pickled, and no tensor; nothing of it is run") from error


def _named(held: TorchFile) -> str:
    return f" ({', '.join(map(printable, held.names[:3]))})" if held.names else ""

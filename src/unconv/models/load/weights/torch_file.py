"""Files that torch wrote, and pickles of tensors, read without importing or calling what they name."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.serialization import MAGIC_NUMBER

from unconv.models.load.weights.inert_pickle import InertPickle

# Members of a tar archive, which torch wrote before its version 0.1.10.
OF_TAR = ("storages", "tensors", "pickle")
# Set in the environment, it lets torch.load read with torch's own guard alone.
GUARD = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


class NotWeightsError(ValueError):
    """A file of another kind; its message says which, and what to do about it."""


@dataclass(frozen=True, eq=False)
class TorchFile:
    """What a file holds, foreign objects as descriptions.

    Attributes:
        value: the object that was saved.
        names: classes and functions that it names and that were neither imported nor called.
        script: whether it is an archive of TorchScript, whose code was passed over.
    """

    value: Any
    names: tuple[str, ...] = ()
    script: bool = False


def read_torch(path: Path) -> TorchFile:
    """Read what ``torch.save``, ``torch.jit.save`` or ``pickle.dump`` wrote, in any of torch's formats.

    Raises NotWeightsError for archives of another kind, pickle.UnpicklingError for what is no pickle, and whatever else
    a broken file leads to.
    """
    names: dict[str, None] = {}
    module = InertPickle(names)
    # Torch wonders aloud about old formats; whether it can read them decides.
    with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
        warnings.simplefilter("ignore")
        is_zip = _starts_with(path, b"PK\x03\x04")
        script = is_zip and _is_script(path)
        if script:
            value = _load(_without_code(path), module)
        elif is_zip or _is_tar(path):
            value = _load(path, module)
        else:
            value = _pickled(path, module)
    return TorchFile(value, tuple(names), script)


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic


def _load(file: Path | io.BytesIO, module: InertPickle) -> Any:
    if os.getenv(GUARD, "").lower() not in ("1", "y", "yes", "true"):
        return torch.load(file, map_location="cpu", pickle_module=module, weights_only=False)
    # Torch takes no other unpickler then, and its own refuses all foreign objects.
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise NotWeightsError(f"holds objects that torch refuses under {GUARD}; unset it, nothing is run") from error


def _pickled(path: Path, module: InertPickle) -> Any:
    """A pickle, or several of torch, the first of which is its number."""
    with path.open("rb") as stream:
        try:
            first = module.load(stream, encoding="latin1")
        except Exception as error:
            # What is no pickle fails in any way that its bytes can be read as one.
            raise pickle.UnpicklingError from error
    return _load(path, module) if first == MAGIC_NUMBER else first


def _is_script(path: Path) -> bool:
    """Whether a zip archive is one of TorchScript; refuses those that torch.save and torch.jit.save did not write."""
    if not zipfile.is_zipfile(path):
        raise NotWeightsError("is cut off: a zip archive, as torch.save writes, without its end; copy it again")
    with zipfile.ZipFile(path) as archive:
        entries = [name.partition("/")[2] for name in archive.namelist()]
        if "data.pkl" in entries:
            return "constants.pkl" in entries
        if any(entry.startswith(("models/", "archive_format")) for entry in entries):
            raise NotWeightsError(
                "is a program of torch.export, a whole network: give FILE.pt2 as the MODEL, or save model.state_dict()"
            )
        if any(name.endswith(".npy") for name in archive.namelist()):
            raise NotWeightsError("is an archive of numpy; save model.state_dict() with torch.save or safetensors")
        if "config.json" in archive.namelist():
            raise NotWeightsError("is a Keras archive; its weights are of another framework's network")
    raise NotWeightsError("is a zip archive that torch did not write; unpack it and give the file of weights in it")


def _without_code(path: Path) -> io.BytesIO:
    """An archive of TorchScript as one of objects: torch.load would compile and run its code."""
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as objects:
        for name in archive.namelist():
            _, _, entry = name.partition("/")
            if entry in ("data.pkl", "version", "byteorder") or entry.startswith("data/"):
                objects.writestr(name, archive.read(name))
    copy.seek(0)
    return copy


def _is_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:") as archive:
            members = {member.name: member for member in archive.getmembers()}
    except tarfile.TarError:
        return False
    if not members:
        return False
    # A link or a pipe of that name would lead out of the archive.
    if not all(name in members and members[name].isreg() for name in OF_TAR):
        raise NotWeightsError("is a tar archive; unpack it and give the file of weights in it")
    return True

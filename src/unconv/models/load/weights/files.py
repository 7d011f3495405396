"""Weight files of every form: safetensors, torch's, shards with an index, folders; and ``FILE:PART``, a part of one."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from unconv.data.tensor_file import read_tensors
from unconv.describe import counted, listed
from unconv.errors import ModelError, one_line, printable
from unconv.models.load.weights.choice import part_of, plain_set
from unconv.models.load.weights.contents import Contents, contents_of
from unconv.models.load.weights.foreign import Foreign
from unconv.models.load.weights.torch_file import NotWeightsError, TorchFile, read_torch

SAVE = "save model.state_dict() with torch.save or safetensors"
# How a file begins that is none of torch's, and what it is.
OTHERS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself; fetch it: git lfs pull",
    b"<!doctype": "is a web page; the download asked for something first",
    b"<html": "is a web page; the download asked for something first",
    b"\x89hdf": "is an HDF5 file, as Keras writes them; its weights are of another framework's network",
    b"gguf": f"is a GGUF file, whose numbers are packed; {SAVE}",
    b"\x1f\x8b": "is packed by gzip; unpack it first",
    b"bzh": "is packed by bzip2; unpack it first",
    b"\xfd7zxz": "is packed by xz; unpack it first",
    b"(\xb5/\xfd": "is packed by Zstandard; unpack it first",
}
# What folders of weights hold, the first that is there counts.
IN_FOLDERS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin",
)
ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar")


@dataclass(frozen=True)
class WeightsPath:
    """A file of weights, and the part of it that is wanted: ``last.pt:ema``.

    >>> WeightsPath.read("runs/last.pt:ema")
    WeightsPath(path=PosixPath('runs/last.pt'), part='ema')
    """

    path: Path
    part: str = ""

    def __str__(self) -> str:
        return printable(f"{self.path}:{self.part}" if self.part else self.path)

    @classmethod
    def read(cls, text: str | os.PathLike[str]) -> WeightsPath:
        """Of a file whose name has a colon in itself, the file that is there counts."""
        whole = Path(text).expanduser()
        before, colon, part = str(text).rpartition(":")
        if not colon or not before or not part or "/" in part or "\\" in part or whole.exists():
            return cls(whole)
        return cls(Path(before).expanduser(), part)


def read_weights(path: Path) -> Contents:
    """Read the tensors of a file, or of a folder, that holds weights; nothing in it is imported or run.

    Args:
        path: a safetensors file; what ``torch.save``, ``torch.jit.save`` or ``pickle.dump`` wrote, be it a state dict,
            a training checkpoint or a whole module; the index of several such files (``*.index.json``); a folder with
            one of these under a usual name.

    Raises ModelError for what is missing, broken, none of these, or holds no tensors by name.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "linear.pth"
    >>> torch.save({"epoch": 3, "state_dict": torch.nn.Linear(2, 1).state_dict()}, path)
    >>> list(read_weights(path).tensors)
    ['state_dict.weight', 'state_dict.bias']
    """
    name = f"weights {printable(path)}"
    try:
        contents = _read_folder(path) if path.is_dir() else _read_file(path, name)
    except ModelError:
        raise
    except NotWeightsError as error:
        raise ModelError(f"{name}: {error}") from error
    except pickle.UnpicklingError as error:
        raise ModelError(f"{name}: is no weights file, or a damaged one; {SAVE}") from error
    except FileNotFoundError as error:
        if re.match(r"https?:/", str(path)):
            raise ModelError(f"{name}: is an address, not a file; download it and give the file") from error
        raise ModelError(
            f"{name}: there is no such file; weights are a file of yours, and the published ones are taken without it"
        ) from error
    except Exception as error:
        # A broken file fails in any way the reader's formats can (EOFError, RuntimeError, SafetensorError …).
        raise ModelError(f"{name}: cannot be read: {one_line(error)}") from error
    if not contents.tensors:
        holds = f", but {contents.notes[-1]}" if contents.notes else ""
        raise ModelError(f"{name}: no tensors by name in it{holds}; {SAVE}")
    return contents


def _read_file(path: Path, name: str) -> Contents:
    with path.open("rb") as stream:
        head = stream.read(64)
    # A safetensors file is the length of a JSON header, in 8 bytes, and the header.
    if head[8:9] == b"{":
        return contents_of(read_tensors(path, name, ModelError).tensors)
    if not head:
        raise NotWeightsError("is empty; copy it again")
    other = next((what for magic, what in OTHERS.items() if head.lower().startswith(magic)), None)
    if other is not None:
        raise NotWeightsError(other)
    if head.startswith(b"{"):
        return _read_shards(path)
    file = read_torch(path)
    return contents_of(file.value, _notes(file))


def _read_folder(folder: Path) -> Contents:
    if (folder / ".metadata").exists():
        raise NotWeightsError(
            "is a checkpoint of torch.distributed in pieces; make a file of it: "
            "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE"
        )
    there = [folder / name for name in IN_FOLDERS if (folder / name).is_file()]
    files = sorted(file for file in folder.iterdir() if file.suffix in ENDINGS and file.is_file())
    if not there and len(files) != 1:
        names = f"; name one of {listed(printable(file.name) for file in files)}" if files else ""
        raise NotWeightsError(f"is a folder, with {counted(len(files), 'file')} of weights{names}")
    file = (there or files)[0]
    read = read_weights(file)
    return Contents(read.tensors, read.places, (f"{printable(file.name)} of the folder was read", *read.notes))


def _read_shards(index: Path) -> Contents:
    """The tensors that an index names, from the files beside it that it names for them."""
    try:
        shards = json.loads(index.read_text(encoding="utf-8")).get("weight_map")
    except (ValueError, AttributeError):
        shards = None
    if not isinstance(shards, Mapping) or not shards:
        raise NotWeightsError("is JSON, but no index of weights (it has no weight_map)")
    tensors: dict[str, Any] = {}
    files = list(dict.fromkeys(map(str, shards.values())))
    for file in files:
        if Path(file).name != file:
            raise NotWeightsError(f"names {printable(file)}, which is not beside it")
        if not (index.parent / file).is_file():
            raise NotWeightsError(f"names {counted(len(files), 'file')}, of which {printable(file)} is not there")
        tensors |= read_weights(index.parent / file).tensors
    missing = [key for key in shards if key not in tensors]
    if missing:
        raise NotWeightsError(f"names {counted(len(missing), 'tensor')} that its files do not hold: {listed(missing)}")
    return contents_of({key: tensors[key] for key in shards}, (f"read from {counted(len(files), 'file')}",))


def _notes(file: TorchFile) -> tuple[str, ...]:
    """What a file holds beside tensors, and was left alone."""
    notes = []
    if file.script:
        notes.append("an archive of TorchScript: its tensors are read, its code is not run")
    elif isinstance(file.value, Foreign):
        notes.append(f"a whole object, {printable(file.value.kind)}: its tensors are read, nothing of its class is run")
    # What is usual in files of weights stands last, so that it does not hide the rest.
    names = sorted(file.names, key=lambda name: name.startswith(("torch.", "__torch__.", "numpy.")))
    if names:
        notes.append(
            f"classes and functions that the file names, neither imported nor run: {listed(map(printable, names))}"
        )
    return tuple(notes)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The weights in a file by their names in a network, where that network is not at hand.

    Envelopes are opened and the prefixes of wrappers taken off.

    Raises ModelError as :func:`read_weights` does, and where a file holds several sets.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "linear.pth"
    >>> torch.save({"epoch": 3, "state_dict": torch.nn.Linear(2, 1).state_dict()}, path)
    >>> list(read_state_dict(path))
    ['weight', 'bias']
    """
    wanted = WeightsPath.read(path)
    name = f"weights {printable(path)}"
    contents = read_weights(wanted.path)
    if wanted.part:
        contents = part_of(contents, wanted.part, name)
    return plain_set(contents, name)

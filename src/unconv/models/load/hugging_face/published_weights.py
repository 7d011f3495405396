"""The published weights of a network of transformers: read by our own reader, named by transformers."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from unconv.describe import counted, listed
from unconv.errors import ModelError, one_line, printable
from unconv.models.load.hugging_face.files import Files
from unconv.models.load.hugging_face.network import Network, quiet
from unconv.models.load.recipe import Fitted
from unconv.models.load.weights.contents import Contents
from unconv.models.load.weights.files import IN_FOLDERS, read_weights


def load_published(network: Network, files: Files) -> Fitted:
    """The network with the weights of its files, under the names that transformers has for them today."""
    contents = _read_weights(files)
    kinds = {tensor.dtype for tensor in contents.tensors.values() if tensor.is_floating_point()} - {torch.float32}
    tensors = {key: _in_floats(tensor) for key, tensor in contents.tensors.items()}
    with quiet():
        try:
            module, read = network.kind.from_pretrained(
                None,
                config=network.configuration(),
                state_dict=tensors,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
        except Exception as error:  # transformers' own checks of many kinds
            raise ModelError(f"{network.where}: its weights are refused by transformers: {one_line(error)}") from error
    other = [f"{key} {list(there)} for {list(here)}" for key, there, here in sorted(read["mismatched_keys"])]
    told = [("missing", sorted(read["missing_keys"])), ("of another shape", other), ("refused", read["error_msgs"])]
    if any(names for _, names in told):
        differ = ", ".join(f"{len(names)} {what} ({listed(map(printable, names))})" for what, names in told if names)
        raise ModelError(f"{network.where}: its weights do not fit {network.kind.__name__}: {differ}")
    notes = [*contents.notes, *(f"{str(kind)[6:]} of the file taken as float32" for kind in sorted(kinds, key=str))]
    if left := sorted(read["unexpected_keys"]):
        notes.append(f"{counted(len(left), 'other tensor')} of the file not taken: {listed(map(printable, left))}")
    return Fitted(module.eval(), tuple(notes))


def _in_floats(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _read_weights(files: Files) -> Contents:
    for name in IN_FOLDERS:
        path = files.find(name)
        if path is not None:
            if name.endswith(".index.json"):
                _fetch_shards(files, path)
            return read_weights(path)
    raise files.missing(f"weights ({IN_FOLDERS[0]})")


def _fetch_shards(files: Files, index: Path) -> None:
    """Bring the files beside an index that it names; what it names elsewhere is refused by its reader."""
    try:
        named = {str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return
    for name in named:
        if Path(name).name == name:
            files.find(name)

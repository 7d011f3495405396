"""An encoding as a file: safetensors for the numbers, JSON in its metadata for the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from unconv._version import __version__
from unconv.data.atomic_write import write_whole
from unconv.errors import SparseError
from unconv.sparse.code.boundary import check_boundary, code_size
from unconv.sparse.code.solution import Trace
from unconv.sparse.code.sparse_tensors import check_codes, sparse_codes, stack_codes

_FORMAT = "unconv.Encoding"
_VERSION = 1
_PER_IMAGE = ("objective", "gap", "steps", "converged")
_PLAIN = ("solver", "boundary", "image_sizes", "penalty", "nonnegative")

Fields: TypeAlias = Mapping[str, Any]


def write(encoding: Fields, nonzeros: Sequence[tuple[Tensor, Tensor]], path: Path) -> None:
    """Write the fields of an encoding, and (indices, values) of each image's codes, whole or not at all."""
    from safetensors.torch import save

    write_whole(path, save(_tensors(encoding, nonzeros), {"unconv": json.dumps(_metadata(encoding))}))


def read(path: Path) -> dict[str, Any]:
    """The fields that :func:`write` wrote."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise SparseError(f"load: {path}: no such file; give one that Encoding.save wrote")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("unconv", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise SparseError(
            f"load: {path}: not a safetensors file ({error}); give one that Encoding.save wrote"
        ) from None
    if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
        raise SparseError(f"load: {path}: holds no encoding; give a file that Encoding.save wrote")
    if metadata.get("version") != _VERSION:
        raise SparseError(
            f"load: {path}: format version {metadata.get('version')}, this unconv reads {_VERSION}; update unconv"
        )
    try:
        encoding = _assemble(metadata, tensors)
        codes = encoding["codes"]
        check_codes(codes if isinstance(codes, tuple) else (codes,))
        return encoding
    except (KeyError, TypeError, IndexError, RuntimeError) as error:
        raise SparseError(f"load: {path}: incomplete or damaged ({error}); encode again".replace("\n", " ")) from None


def _tensors(encoding: Fields, nonzeros: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    tensors = {name: encoding[name] for name in ("dictionary", *_PER_IMAGE)}
    for number, ((indices, values), trace) in enumerate(zip(nonzeros, encoding["trace"], strict=True)):
        tensors |= {f"indices.{number}": indices, f"values.{number}": values}
        tensors |= {f"trace.{number}": torch.stack([trace.seconds, trace.objective, trace.gap])}
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def _metadata(encoding: Fields) -> dict[str, object]:
    codes = encoding["codes"]
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "stack": None if isinstance(codes, tuple) else list(codes.shape),
        **{name: encoding[name] for name in _PLAIN},
        "versions": {"unconv": __version__, "torch": torch.__version__},
    }


def _assemble(metadata: dict[str, object], tensors: dict[str, Tensor]) -> dict[str, Any]:
    dictionary = tensors["dictionary"]
    boundary = check_boundary(str(metadata["boundary"]), "load")
    sizes = tuple(tuple(int(extent) for extent in size) for size in metadata["image_sizes"])  # type: ignore[attr-defined]
    parts = [(tensors[f"indices.{number}"], tensors[f"values.{number}"]) for number in range(len(sizes))]
    stack = metadata["stack"]
    codes: Tensor | tuple[Tensor, ...]
    if stack is None:
        codes = tuple(
            sparse_codes(indices, values, (len(dictionary), *code_size(size, dictionary.shape[2:], boundary, "load")))
            for (indices, values), size in zip(parts, sizes, strict=True)
        )
    else:
        codes = stack_codes(parts, tuple(stack)[1:], dictionary)  # type: ignore[arg-type]
    traces = (Trace(*tensors[f"trace.{number}"].unbind(0)) for number in range(len(sizes)))
    return dict(
        codes=codes,
        trace=tuple(traces),
        solver=str(metadata["solver"]),
        dictionary=dictionary,
        boundary=boundary,
        image_sizes=sizes,
        penalty=tuple(str(text) for text in metadata["penalty"]),  # type: ignore[attr-defined]
        nonnegative=bool(metadata["nonnegative"]),
        **{name: tensors[name] for name in _PER_IMAGE},
    )

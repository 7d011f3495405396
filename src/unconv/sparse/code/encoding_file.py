"""Encodings in files: the numbers as tensors, the rest in the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from unconv._version import __version__
from unconv.data.tensor_file import TensorFormat
from unconv.errors import SparseError
from unconv.sparse.code.boundary import check_boundary, code_size
from unconv.sparse.code.solution import Trace
from unconv.sparse.code.sparse_tensors import check_codes, sparse_codes, stack_codes

_FORMAT = TensorFormat(
    "unconv.Encoding", 1, content="encoding", writer="Encoding.save", error=SparseError, key="format"
)
_PER_IMAGE = ("objective", "gap", "steps", "converged")
_PLAIN = ("solver", "boundary", "image_sizes", "penalty", "nonnegative")

Fields: TypeAlias = Mapping[str, Any]


def write(encoding: Fields, nonzeros: Sequence[tuple[Tensor, Tensor]], path: Path) -> None:
    """Write the fields of an encoding, and (indices, values) of each image's codes, whole or not at all."""
    _FORMAT.write(path, _tensors(encoding, nonzeros), _head(encoding))


def read(path: Path) -> dict[str, Any]:
    """The fields that :func:`write` wrote."""
    where = f"load: {path}"
    file = _FORMAT.read(path, where)
    with _FORMAT.assembling(where):
        encoding = _assemble(file.head, file.tensors)
        codes = encoding["codes"]
        check_codes(codes if isinstance(codes, tuple) else (codes,))
        return encoding


def _tensors(encoding: Fields, nonzeros: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    tensors = {name: encoding[name] for name in ("dictionary", *_PER_IMAGE)}
    for number, ((indices, values), trace) in enumerate(zip(nonzeros, encoding["trace"], strict=True)):
        tensors |= {f"indices.{number}": indices, f"values.{number}": values}
        tensors |= {f"trace.{number}": torch.stack([trace.seconds, trace.objective, trace.gap])}
    return tensors


def _head(encoding: Fields) -> dict[str, object]:
    codes = encoding["codes"]
    return {
        "stack": None if isinstance(codes, tuple) else list(codes.shape),
        **{name: encoding[name] for name in _PLAIN},
        "versions": {"unconv": __version__, "torch": torch.__version__},
    }


def _assemble(head: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    dictionary = tensors["dictionary"]
    boundary = check_boundary(str(head["boundary"]), "load")
    sizes = tuple(tuple(int(extent) for extent in size) for size in head["image_sizes"])
    parts = [(tensors[f"indices.{number}"], tensors[f"values.{number}"]) for number in range(len(sizes))]
    stack = head["stack"]
    codes: Tensor | tuple[Tensor, ...]
    if stack is None:
        codes = tuple(
            sparse_codes(indices, values, (len(dictionary), *code_size(size, dictionary.shape[2:], boundary, "load")))
            for (indices, values), size in zip(parts, sizes, strict=True)
        )
    else:
        codes = stack_codes(parts, tuple(stack)[1:], dictionary)
    traces = (Trace(*tensors[f"trace.{number}"].unbind(0)) for number in range(len(sizes)))
    return dict(
        codes=codes,
        trace=tuple(traces),
        solver=str(head["solver"]),
        dictionary=dictionary,
        boundary=boundary,
        image_sizes=sizes,
        penalty=tuple(str(text) for text in head["penalty"]),
        nonnegative=bool(head["nonnegative"]),
        **{name: tensors[name] for name in _PER_IMAGE},
    )

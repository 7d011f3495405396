"""Outputs of a model or layer however they are held: a tensor, a tuple, a dict, a dataclass; and the main one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from torch import Tensor

# Names under which models return what they were made for, most telling first.
MAIN = ("logits", "out", "scores", "probs", "probabilities", "output", "pred", "prediction", "predictions")


class MainOutput(NamedTuple):
    """The tensor that stands for an output.

    Attributes:
        tensor: None where there is none, or where it cannot be told.
        note: which it is, where there were others or it has a name; empty for a tensor alone.
        leaf: its place among :func:`output_leaves`.
    """

    tensor: Tensor | None
    note: str = ""
    leaf: int = 0


def output_leaves(output: Any) -> list[tuple[tuple[str, ...], Any]]:
    """What an output holds, each with the names on the way to it: keys, fields of dataclasses, indices.

    >>> import torch
    >>> [path for path, _ in output_leaves({"out": torch.ones(1), "more": (torch.ones(1), None)})]
    [('out',), ('more', '0'), ('more', '1')]
    """
    return list(_leaves(output, ()))


def main_output(output: Any) -> MainOutput:
    """The tensor that stands for what a model or a layer returns.

    That is the tensor itself, or the only one in it; among several the one that is called as the outputs of models are
    (``logits``, ``out``, …), else the first. A list with a dict or dataclass for each image, as detectors return, has
    none.

    >>> import torch
    >>> main_output({"logits": torch.ones(1, 5), "hidden_states": torch.ones(1, 7)}).note
    "'logits' of dict"
    >>> main_output((torch.ones(1, 5), torch.ones(1, 7))).note
    'the first of 2 tensors in tuple'
    >>> main_output([{"boxes": torch.ones(3, 4)}]).tensor is None
    True
    """
    if isinstance(output, Tensor):
        return MainOutput(output)
    if isinstance(output, list | tuple) and output and _has_names(output[0]) and not hasattr(output, "_fields"):
        return MainOutput(None)
    tensors = [(n, path, leaf) for n, (path, leaf) in enumerate(_leaves(output, ())) if isinstance(leaf, Tensor)]
    if not tensors:
        return MainOutput(None)
    kind = type(output).__name__
    # Losses are among the outputs of a training, and have no images.
    n, path, tensor = next((one for one in tensors if one[2].ndim), tensors[0])
    for name in MAIN:
        named = [one for one in tensors if one[1] == (name,)]
        if named:
            n, path, tensor = named[0]
            break
    if _has_names(output):
        told = f"'{'.'.join(path)}' of {kind}"
        if len(tensors) > 1 and path[-1] not in MAIN:
            told += f", the first of {len(tensors)} tensors"
        return MainOutput(tensor, told, n)
    return MainOutput(tensor, f"the first of {len(tensors)} tensors in {kind}" if len(tensors) > 1 else "", n)


def describe_output(output: Any) -> str:
    """What an output is, for a message.

    >>> import torch
    >>> describe_output(torch.ones(2, 3)), describe_output([{"boxes": torch.ones(3, 4)}])
    ('shape (2, 3)', 'a list of dict')
    """
    if isinstance(output, Tensor):
        return f"shape {tuple(output.shape)}"
    of = f" of {type(output[0]).__name__}" if isinstance(output, list | tuple) and output else ""
    return f"a {type(output).__name__}{of}"


def _has_names(output: Any) -> bool:
    return isinstance(output, Mapping) or hasattr(output, "_fields") or is_dataclass(output)


def _leaves(output: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(output, Mapping):
        for key, value in output.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(output, list | tuple):
        names = getattr(output, "_fields", None) or range(len(output))
        for name, value in zip(names, output, strict=True):
            yield from _leaves(value, (*path, str(name)))
    elif is_dataclass(output) and not isinstance(output, type):
        for one in fields(output):
            yield from _leaves(getattr(output, one.name), (*path, one.name))
    else:
        yield path, output

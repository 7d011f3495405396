"""Values of activations without a way back to them: masks, counts, detached factors. They are no constants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

# Where a node's metadata say which operation read such values: what looks linear on the graph is not.
DETACHED = "unconv.detached"
# Where they say what an operation does that the graph does not tell: empty where it is linear, a choice by a constant
# mask or a change of a part of a tensor.
PART = "unconv.part"
# Where they say which operation stands before a rectifier that is several operations.
BEFORE = "unconv.before"
# Where they say that a rectifier's result is scaled.
SCALED = "unconv.scaled"
# What takes only shapes and types from its arguments, and what from all but the first.
_READS_NONE = ("_like", "new_", "empty", "requires_grad")
_READS_FIRST = ("_as", "max_unpool", "unpool")


def tensors_in(given: Any) -> Iterator[Tensor]:
    """All tensors among some arguments.

    >>> import torch
    >>> len(list(tensors_in(([torch.ones(1)], {"other": torch.ones(2)}, 3))))
    2
    """
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, (tuple, list)):
        for one in given:
            yield from tensors_in(one)
    elif isinstance(given, dict):
        yield from tensors_in(tuple(given.values()))


def read_by(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterable[Tensor]:
    """The tensors whose numbers a call reads.

    The places of a max-pooling are read by an unpooling, but they are its switches.

    >>> import torch
    >>> x = torch.ones(2)
    >>> [len(list(read_by(func, (x, x), {}))) for func in (torch.zeros_like, Tensor.view_as, torch.dot)]
    [0, 1, 2]
    """
    name = getattr(func, "__name__", "")
    if any(part in name for part in _READS_NONE):
        return ()
    return tensors_in(args[:1] if any(part in name for part in _READS_FIRST) else (args, kwargs))


def mark(tensor: Tensor, key: str, what: Any) -> None:
    """Note something in the metadata of the operation that a tensor comes from."""
    node: Any = tensor.grad_fn
    if node is not None:
        node.metadata[key] = what


def put_back(view: Tensor, result: Tensor) -> Tensor:
    """Overwrite a view of another tensor, which thereby gets a part that was computed elsewhere."""
    view.copy_(result)
    if view._base is not None:
        mark(view._base, PART, "")
    return view

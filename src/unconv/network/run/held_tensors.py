"""Tensors that a model holds: parameters, buffers, and what its modules keep in attributes and in containers."""

from __future__ import annotations

from collections import UserDict, deque
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any

from torch import Tensor, nn

_PLAIN = frozenset({type(None), bool, int, float, str})


def held_tensors(model: nn.Module) -> Iterator[Tensor]:
    """Every tensor that the modules of a model hold, also in lists, dictionaries and dataclasses, once each.

    >>> model = nn.Sequential(nn.BatchNorm1d(3))
    >>> model.kept = {"features": [model[0].weight * 2]}
    >>> [tuple(tensor.shape) for tensor in held_tensors(model)]
    [(3,), (3,), (3,), (3,), (3,), ()]
    """
    seen: set[int] = set()
    waiting: deque[Any] = deque([model])
    while waiting:
        value = waiting.popleft()
        if type(value) in _PLAIN or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (dict, UserDict)):
            waiting.extend(value.values())
        elif isinstance(value, nn.Module) or (is_dataclass(value) and not isinstance(value, type)):
            waiting.extend(getattr(value, "__dict__", {}).values())
        elif isinstance(value, (list, tuple, deque)):
            waiting.extend(value)

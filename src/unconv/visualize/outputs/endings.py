"""Endings of a traced network: whether it returns probabilities, by softmax or sigmoid."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from unconv.network.run.outputs import main_output, output_leaves
from unconv.network.trace.graph import Graph

# Operators of a trace that end in probabilities, one of them in their logarithms.
LOGARITHMS = "log_softmax"
ENDINGS = ("softmax", LOGARITHMS, "sigmoid", "hardsigmoid")
# Operators that leave probabilities what they are: averages, choices and repetitions of them.
KEEPING = ("mean", "avg_pool", "max_pool", "adaptive", "upsample", "interpolate", "dropout", "clone", "cat", "stack")


def ending_of(graph: Graph | None, output: Any = None) -> str | None:
    """What a traced network ends with, ``softmax`` or ``sigmoid``, behind changes of shape; None for all else.

    Args:
        graph: the trace; None where there is none.
        output: what the network returns, where that may be more than one tensor.

    >>> from torch import nn
    >>> from unconv.network.trace.trace import trace
    >>> ending_of(trace(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Sigmoid(), nn.Flatten(0)), (1, 3, 3)))
    'sigmoid'
    """
    endings = endings_of(graph)
    if not endings:
        return None
    tensors = [n for n, (_, leaf) in enumerate(output_leaves(output)) if isinstance(leaf, Tensor)]
    leaf = main_output(output).leaf
    return endings[tensors.index(leaf) if leaf in tensors and len(tensors) == len(endings) else 0]


def endings_of(graph: Graph | None) -> tuple[str | None, ...]:
    """The endings of all tensors that a traced network returns."""
    if graph is None or not graph.returned:
        return ()
    makers = {index: graph.layers[number].operator for name, (number, index) in graph.places.items() if name}
    return tuple(_ending(graph, makers, index) for index in graph.returned)


def _ending(graph: Graph, makers: dict[int, str], index: int) -> str | None:
    """The ending behind a tensor, by its index."""
    operator = makers.get(index)
    if operator in ENDINGS:
        return operator
    if operator is not None and not any(word in operator for word in KEEPING):
        return None
    below = {_ending(graph, makers, parent) for parent, _ in graph.values[index].parents}
    return below.pop() if len(below) == 1 else None

"""Nodes of a program by the calls of the model's modules: those of one call of an innermost module are one group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from unconv.models.load.exported_program.program import Node


@dataclass(frozen=True)
class Group:
    """Nodes that one module runs.

    Attributes:
        path: its name: ``layer1.0.conv1`` of a module of the model, ``layer1.0.add`` of what a module computes between
            those inside it; empty for arithmetic of sizes, which no module runs.
        nodes: in their order.
    """

    path: str
    nodes: tuple[Node, ...]


def group_nodes(nodes: Sequence[Node]) -> tuple[Group, ...]:
    """The nodes in groups, in their order.

    A call whose nodes do not follow one another is taken apart.
    """
    modules = {node.module for node in nodes}
    above = {path[:end] for path in modules for end, letter in enumerate(path) if letter == "."} | {""}
    runs = [(place, tuple(run)) for place, run in groupby(nodes, lambda node: (node.module, node.call))]
    often = Counter(place for place, _ in runs)
    taken = modules | above
    groups = []
    for place, run in runs:
        computing = [node for node in run if not node.of_sizes]
        if place[0] not in above and often[place] == 1 and computing:
            groups.append(Group(place[0], run))
            continue
        for node in run:
            groups.append(Group("" if node.of_sizes else _free_name(node, taken), (node,)))
            taken.add(groups[-1].path)
    return tuple(groups)


def _free_name(node: Node, taken: set[str]) -> str:
    base = name = f"{node.module}.{node.base}".lstrip(".")
    number = 1
    while name in taken:
        # As a trace counts operations of one name.
        name, number = f"{base}#{number}", number + 1
    return name

"""One finding of the audit, and what the rules look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from unconv.network.graph import Graph, Layer
from unconv.network.rule_names import RULES, Severity


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        rule: its name.
        layer: where; "" for the model as a whole.
        message: what is the case, in a line with its numbers.
        fix: what to do, as code.
    """

    rule: str
    layer: str
    message: str
    fix: str

    @property
    def severity(self) -> Severity:
        """``"error"``, ``"warning"`` or ``"hint"``."""
        return RULES[self.rule][0]

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        return {"severity": self.severity, **asdict(self)}

    def __str__(self) -> str:
        return f"{self.severity}: {self.layer or 'model'}: {self.message} [{self.rule}]"


@dataclass(frozen=True, eq=False)
class Subject:
    """What the rules look at: a model and its graph."""

    model: nn.Module
    graph: Graph

    def module(self, layer: Layer) -> nn.Module | None:
        """The module that a layer is the main operation of; None where there is none of that name."""
        if not any(True for _ in self.model.children()):
            return self.model if layer.module_type == type(self.model).__name__ else None
        try:
            return self.model.get_submodule(layer.name.partition("#")[0])
        except AttributeError:
            return None


def axes(values: Iterable[object]) -> str:
    """Numbers of the axes, joined; one where all are the same.

    >>> axes((3, 3)), axes((3, 5)), axes([2])
    ('3', '3×5', '2')
    """
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else "×".join(texts)


def by_size(values: Iterable[object]) -> str:
    """A size, every axis of it.

    >>> by_size((45, 44))
    '45×44'
    """
    return "×".join(map(str, values))


def argument(values: tuple[int, ...]) -> str:
    """A number or a tuple of numbers, as code.

    >>> argument((2, 2)), argument((2, 1))
    ('2', '(2, 1)')
    """
    return str(values[0]) if len(set(values)) == 1 else str(values)

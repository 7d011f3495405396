"""Findings of the audit, and what its rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from keyword import iskeyword
from typing import Any
from unicodedata import normalize

from torch import nn

from unconv.network.audit.audit_rules import AUDIT_RULES, Severity
from unconv.network.audit.sites.location import Location
from unconv.network.run.computed_weights import class_name, has_parts
from unconv.network.trace.graph import Graph, Layer


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        rule: its name.
        layer: where; "" for the model as a whole.
        message: what is the case, in a line with its numbers.
        fix: what to do, as code.
        location: the line of a file that makes the layer, or the nearest to it that is known; None where that is none.
    """

    rule: str
    layer: str
    message: str
    fix: str
    location: Location | None = field(default=None, compare=False)

    @property
    def severity(self) -> Severity:
        """``"error"``, ``"warning"`` or ``"hint"``."""
        return AUDIT_RULES[self.rule][0]

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        place = None if self.location is None else self.location.to_dict()
        told = {"rule": self.rule, "layer": self.layer, "message": self.message, "fix": self.fix}
        return {"severity": self.severity, **told, "location": place}

    def _repr_html_(self) -> str:
        return findings_table((self,))

    def __str__(self) -> str:
        return f"{self.severity}: {self.layer or 'model'}: {self.message} [{self.rule}]"


def findings_table(findings: Sequence[Finding]) -> str:
    """Findings of an audit for a notebook, the fix below each."""
    if not findings:
        return "<p>no findings</p>"
    head = "".join(f'<th style="text-align:left">{name}</th>' for name in ("severity", "layer", "finding", "rule"))
    lines = []
    for one in findings:
        told = f"{escape(one.message)}<br><code>{escape(one.fix)}</code>"
        if one.location is not None:
            told += f"<br>{escape(str(one.location))}"
        cells = (escape(one.severity), escape(one.layer), told, escape(one.rule))
        lines.append("<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


@dataclass(frozen=True, eq=False)
class Subject:
    """What the rules look at: a model and its graph."""

    model: nn.Module
    graph: Graph

    def module(self, layer: Layer) -> nn.Module | None:
        """The module that a layer is the main operation of; None where there is none of that name."""
        if not has_parts(self.model):
            return self.model if layer.module_type == class_name(self.model) else None
        try:
            return self.model.get_submodule(module_of(layer.name))
        except AttributeError:
            return None

    def spelled(self, layer: Layer) -> str:
        """The module of a layer, as code that reads it from ``model``."""
        return "model" if self.module(layer) is self.model else spelled(self.model, module_of(layer.name))


def spelled(model: nn.Module, name: str, root: str = "model") -> str:
    """A module, by its dotted name in a model, as code that reads it.

    >>> model = nn.ModuleDict({"up": nn.Sequential(nn.ReLU()), "block1-0": nn.ReLU()})
    >>> spelled(model, "up.0"), spelled(model, "up", "self"), spelled(model, ""), spelled(model, "block1-0")
    ('model.up[0]', 'self.up', 'model', 'model.get_submodule("block1-0")')
    """
    code = root
    module: object = model
    for part in name.split(".") if name else []:
        step = _step(module, part)
        if not step:
            return f"{root}.get_submodule({quoted(name)})"
        code += step
        module = getattr(module, part, None)
    return code


def assigned(model: nn.Module, name: str, value: str, root: str = "model") -> str:
    """Code that puts something else in a module's place.

    >>> model = nn.ModuleDict({"up": nn.Sequential(nn.ReLU()), "block1-0": nn.ReLU()})
    >>> assigned(model, "up.0", "nn.Identity()"), assigned(model, "block1-0", "None")
    ('model.up[0] = nn.Identity()', 'setattr(model, "block1-0", None)')
    """
    parent, _, child = name.rpartition(".")
    step = _step(model.get_submodule(parent), child)
    owner = spelled(model, parent, root)
    return f"{owner}{step} = {value}" if step else f"setattr({owner}, {quoted(child)}, {value})"


def quoted(name: str) -> str:
    """A name as a string in code, whatever it holds.

    >>> print(quoted("stage.block1-0"), quoted('say "conv"'), quoted("two\\nlines"))
    "stage.block1-0" 'say "conv"' 'two\\nlines'
    """
    plain = name.isprintable() and not set(name) & set('\\"')
    return f'"{name}"' if plain else ascii(name)


def _step(module: object, part: str) -> str:
    """Code that leads from a module to its child of some name: behind a dot, by its position; "" where neither does."""
    if _is_attribute(part):
        return f".{part}"
    reads = getattr(type(module), "__getitem__", None)
    if not isinstance(module, nn.Module) or reads not in (nn.Sequential.__getitem__, nn.ModuleList.__getitem__):
        return ""
    # Of children with names like "3" and "7" the position is another number, or there is none.
    names = list(module._modules)
    return f"[{part}]" if part in names and names == [str(n) for n in range(len(names))] else ""


def _is_attribute(part: str) -> bool:
    """Whether code can read a part of a name behind a dot; Python takes letters by their NFKC form."""
    mangled = part.startswith("__") and not part.endswith("__")
    return part.isidentifier() and not iskeyword(part) and not mangled and normalize("NFKC", part) == part


def module_of(layer: str) -> str:
    """Name of the module that a layer belongs to: that of the layer, without the number of its use.

    >>> module_of("pool#1")
    'pool'
    """
    return layer.partition("#")[0]


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

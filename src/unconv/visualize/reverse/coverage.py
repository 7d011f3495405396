"""Coverage of a projection: what it went through on its way back, read off the graph that autograd walks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from unconv.tables import html_facts
from unconv.visualize.reverse.autograd_nodes import (
    NORMED,
    UNTOUCHED,
    is_reversed,
    is_switch,
    linear_kind,
    nodes_behind,
    operation_of,
    rectifier_of,
    reversible,
)
from unconv.visualize.reverse.gates import name_products
from unconv.visualize.reverse.rectifiers.detached import BEFORE, DETACHED, PART, SCALED

_WORDS = {
    "Div": "quotient of activations",
    "Convolution": "convolution with computed kernels",
    "NativeBatchNorm": "batch norm over the batch",
    "NativeLayerNorm": "layer norm",
    "NativeGroupNorm": "group norm",
    "ScaledDotProductFlashAttentionForCpu": "attention",
    "ScaledDotProductEfficientAttention": "attention",
    "ScaledDotProductFlashAttention": "attention",
    "CopySlices": "in-place change of a part (not inspected)",
}
_SWITCH_WORDS = {0: "no max-pooling on the way", 1: "1 max-pooling unpooled with its switches"}


@dataclass(frozen=True)
class Coverage:
    """What the rule met between a unit and the pixels.

    Args:
        rule: name of the reverse rule.
        rectifiers: rectifiers on the way, by name; reversed or not.
        reversed: how many of them went back by the rule.
        switches: max-poolings on the way; each goes back through its switches.
        passed: non-linear operations that have no deconvnet meaning (softmax, attention, squeeze-excite and other
            gates, normalisation over the activations), by name; they went back by their own gradient.
        linear: operations that are linear in the activations, by kind; each is passed as it is, by its transpose.

    >>> Coverage("guided", {"relu": 5}, 5, switches=2, passed={"sigmoid": 1}, linear={"convolution": 6}).sentence
    '5 of 5 rectifiers reversed (relu ×5); 2 max-poolings unpooled with their switches; passed as they are:
    convolution ×6; without a deconvnet meaning, by their own gradient: sigmoid ×1'
    """

    rule: str
    rectifiers: Mapping[str, int]
    reversed: int
    switches: int
    passed: Mapping[str, int]
    linear: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Rectifiers between the unit and the pixels, reversed or not."""
        return sum(self.rectifiers.values())

    def _repr_html_(self) -> str:
        return html_facts(f"Coverage of {self.rule}", [("on the way back", self.sentence)])

    @property
    def sentence(self) -> str:
        """The record as one line of text."""
        parts = [f"{self.reversed} of {self.total} rectifiers reversed" + _listed(self.rectifiers, " ({})")]
        parts.append(_SWITCH_WORDS.get(self.switches, f"{self.switches} max-poolings unpooled with their switches"))
        if self.linear:
            parts.append("passed as they are: " + _listed(self.linear, "{}"))
        if self.passed:
            parts.append("without a deconvnet meaning, by their own gradient: " + _listed(self.passed, "{}"))
        return "; ".join(parts)


def read_coverage(value: Tensor, rule: str) -> Coverage:
    """The coverage of everything that lies between a value and the leaves it was computed from."""
    rectifiers: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    linear: Counter[str] = Counter()
    reversed_, switches = 0, 0
    nodes = list(nodes_behind(value))
    products = name_products(nodes)
    for node in nodes:
        rectifier, kind = rectifier_of(node), linear_kind(node)
        if rectifier is not None:
            rectifiers[rectifier] += 1
            reversed_ += is_reversed(node)
        elif is_switch(node):
            switches += 1
        elif operation_of(node) == NORMED:
            linear.update(("convolution", "batch norm"))
        elif DETACHED in node.metadata and (kind is not None or node in products):
            passed[f"{_read_with(node)} with detached activations"] += 1
        elif node.metadata.get(PART):
            passed[node.metadata[PART]] += 1
        elif kind is not None:
            linear[kind] += 1
        elif PART in node.metadata:
            linear[""] += 1
        else:
            name = operation_of(node)
            passed[products.get(node, _WORDS.get(name, _spelled(name)))] += 1
    for counts in (linear, passed):
        # What only moves values, and what is a part of something that is counted.
        counts.pop("", None)
    return Coverage(rule, _ordered(rectifiers), reversed_, switches, _ordered(passed), _ordered(linear))


def ends_rectified(value: Tensor) -> bool:
    """Whether a value is what a rectifier returned, or a concatenation of such.

    >>> import torch
    >>> from unconv.visualize.reverse.rule_mode import RuleMode
    >>> x = torch.ones(2, requires_grad=True)
    >>> with RuleMode("guided"):
    ...     ends_rectified(torch.cat([x.relu(), x.clone().relu_()])), ends_rectified(x.relu() + x)
    (True, False)
    """
    queue: list[Any] = [value.grad_fn]
    while queue:
        node = queue.pop()
        name = "" if node is None else operation_of(node)
        parents = [] if node is None else [parent for parent, _ in node.next_functions]
        if name in ("Cat", "Clone") or (node is not None and SCALED in node.metadata):
            queue.extend(parent for parent in parents if parent is not None)
        elif name == "Copy":
            # The second operand is what was copied; the first is what it overwrote.
            queue.append(parents[-1])
        elif node is None or (name not in UNTOUCHED and reversible(node) is None):
            return False
    return True


def ends_convolved(value: Tensor) -> bool:
    """Whether a value is what a convolution returned."""
    return value.grad_fn is not None and operation_of(value.grad_fn) in ("Convolution", "MkldnnConvolution")


def clipped_from(value: Tensor) -> Any:
    """The node in front of a rectifier that cuts off at its top (ReLU6), if that is what the value comes from."""
    node: Any = value.grad_fn
    while node is not None and operation_of(node) == "Copy":
        node = node.next_functions[-1][0]
    if node is None or reversible(node) not in ("relu6", "clamp"):
        return None
    before = node.metadata.get(BEFORE) or node.next_functions[0][0]
    return before.next_functions[0][0] if before is not None and operation_of(before) == "Anchor" else before


def _read_with(node: Any) -> str:
    return "product" if operation_of(node) in ("Mul", "Div") else linear_kind(node) or _spelled(operation_of(node))


def _spelled(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _listed(counts: Mapping[str, int], template: str) -> str:
    return template.format(", ".join(f"{name} ×{count}" for name, count in counts.items())) if counts else ""

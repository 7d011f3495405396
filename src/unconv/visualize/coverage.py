"""What a projection went through on its way back: read off the graph that autograd walks, not off the modules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

# What torch calls the way back of a rectifier that no rule has touched: scripted or compiled code, mostly.
_UNTOUCHED = {
    "Relu": "relu",
    "Hardtanh": "hardtanh",
    "LeakyRelu": "leaky_relu",
    "PreluKernel": "prelu",
    "RreluWithNoise": "rrelu",
    "Elu": "elu",
    "Silu": "silu",
    "Gelu": "gelu",
    "Hardswish": "hardswish",
    "Mish": "mish",
    "Softplus": "softplus",
    "Threshold": "threshold",
}
_SWITCHES = frozenset({"MaxPool", "AdaptiveMaxPool", "FractionalMaxPool", "MkldnnMaxPool", "Max", "Amax"})
# Linear in the activations, so that autograd is the transpose: Cᵀ for C.
_LINEAR = frozenset(
    {
        *(
            "Linear",
            "MkldnnLinear",
            "Mv",
            "Addmv",
            "T",
            "AvgPool",
            "AdaptiveAvgPool",
            "MkldnnAdaptiveAvgPool",
            "Mean",
            "Sum",
        ),
        *("UpsampleNearest", "UpsampleNearestExact", "UpsampleLinear", "UpsampleBilinear", "UpsampleBilinear2DAa"),
        *("UpsampleBicubic", "UpsampleBicubic2DAa", "UpsampleTrilinear", "GridSampler", "MaxUnpool", "Tril", "Triu"),
        *("Add", "Sub", "Rsub", "Neg", "Cat", "Stack", "Split", "SplitWithSizes", "Unbind", "Slice", "Select", "Index"),
        *("IndexSelect", "Gather", "View", "UnsafeView", "Reshape", "ReshapeAlias", "Permute", "Transpose", "Squeeze"),
        *("Unsqueeze", "Expand", "Repeat", "Clone", "Copy", "Alias", "AsStrided", "ToCopy", "Flip", "Roll", "Unfold"),
        *("Im2Col", "Col2Im", "ConstantPad", "ReflectionPad", "ReplicationPad", "PixelShuffle", "PixelUnshuffle"),
        "ChannelShuffle",
    }
)
# Linear while one of these two arguments is a constant: a product of two activations (a gate, attention) is not.
_FACTORS = {
    "Mul": (0, 1),
    "Div": (0, 1),
    "Mm": (0, 1),
    "Bmm": (0, 1),
    "Convolution": (0, 1),
    "MkldnnConvolution": (0, 1),
    "Addmm": (1, 2),
    "Baddbmm": (1, 2),
}
_WORDS = {
    "Mul": "product of activations",
    "Div": "quotient of activations",
    "Mm": "product of activations",
    "Addmm": "product of activations",
    "Bmm": "product of activations",
    "Baddbmm": "product of activations",
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
        passed: non-linear operations to which no rule has given a meaning (softmax, gates, normalisation over the
            activations), by name; they went back by their own gradient.

    >>> Coverage("guided", {"relu": 5}, reversed=5, switches=2, passed={"sigmoid": 1}).sentence
    '5 of 5 rectifiers reversed (relu ×5); 2 max-poolings unpooled with their switches;
    passed by their own gradient: sigmoid ×1'
    """

    rule: str
    rectifiers: Mapping[str, int]
    reversed: int
    switches: int
    passed: Mapping[str, int]

    @property
    def total(self) -> int:
        """Rectifiers between the unit and the pixels, reversed or not."""
        return sum(self.rectifiers.values())

    @property
    def sentence(self) -> str:
        """The record as one line of text."""
        parts = [f"{self.reversed} of {self.total} rectifiers reversed" + _listed(self.rectifiers, " ({})")]
        parts.append(_SWITCH_WORDS.get(self.switches, f"{self.switches} max-poolings unpooled with their switches"))
        if self.passed:
            parts.append("passed by their own gradient: " + _listed(self.passed, "{}"))
        return "; ".join(parts)


def read_coverage(value: Tensor, rule: str) -> Coverage:
    """The coverage of everything that lies between a value and the leaves it was computed from."""
    rectifiers: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    reversed_, switches = 0, 0
    for node in nodes_behind(value):
        name = _operation(node)
        rectifier = rectifier_of(node)
        if rectifier is not None:
            rectifiers[rectifier] += 1
            reversed_ += is_reversed(node)
        elif is_switch(node):
            switches += 1
        elif not _is_linear(node, name):
            passed[_WORDS.get(name, _spelled(name))] += 1
    return Coverage(rule, _ordered(rectifiers), reversed_, switches, _ordered(passed))


def ends_rectified(value: Tensor) -> bool:
    """Whether a value is what a rectifier returned, or a concatenation of such.

    >>> import torch
    >>> from unconv.visualize.rules import ReverseRule
    >>> x = torch.ones(2, requires_grad=True)
    >>> with ReverseRule("guided"):
    ...     ends_rectified(torch.cat([x.relu(), x.clone().relu_()])), ends_rectified(x.relu() + x)
    (True, False)
    """
    queue: list[Any] = [value.grad_fn]
    while queue:
        node = queue.pop()
        name = "" if node is None else _operation(node)
        parents = [] if node is None else [parent for parent, _ in node.next_functions]
        if name in ("Cat", "Clone"):
            queue.extend(parent for parent in parents if parent is not None)
        elif name == "Copy":
            # The second operand is what was copied; the first is what it overwrote.
            queue.append(parents[-1])
        elif name != "Reversed" and name not in _UNTOUCHED:
            return False
    return True


def ends_convolved(value: Tensor) -> bool:
    """Whether a value is what a convolution returned."""
    return value.grad_fn is not None and _operation(value.grad_fn) in ("Convolution", "MkldnnConvolution")


def clipped_from(value: Tensor) -> Any:
    """The node in front of a rectifier that cuts off at its top (ReLU6), if that is what the value comes from."""
    node: Any = value.grad_fn
    while node is not None and _operation(node) == "Copy":
        node = node.next_functions[-1][0]
    if node is None or _operation(node) != "Reversed" or node.rectifier not in ("relu6", "clamp"):
        return None
    return node.next_functions[0][0]


def nodes_behind(value: Tensor) -> Iterator[Any]:
    """All nodes of autograd's graph between a value and the leaves it was computed from.

    >>> import torch
    >>> [node.name() for node in nodes_behind(2 * torch.ones(1, requires_grad=True).relu())]
    ['MulBackward0', 'ReluBackward0', 'torch::autograd::AccumulateGrad']
    """
    start: Any = value.grad_fn
    seen, queue = {start}, [start]
    while queue:
        node = queue.pop()
        if node is None:
            continue
        yield node
        for parent, _ in node.next_functions:
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)


def _operation(node: Any) -> str:
    """The operation behind a node: MaxPool for ``MaxPool2DWithIndicesBackward0``."""
    name = str(node.name()).rpartition("::")[2]
    return re.sub(r"(\dD|Nd)?(WithIndices)?(Backwards?\d*)?$", "", name)


def is_reversed(node: Any) -> bool:
    """Whether a node is a rectifier that goes back by a rule."""
    return _operation(node) == "Reversed"


def rectifier_of(node: Any) -> str | None:
    """The rectifier whose way back a node is, by a rule or by its own gradient; None for everything else."""
    if is_reversed(node):
        return str(node.rectifier)
    return _UNTOUCHED.get(_operation(node)) if getattr(node, "_saved_min_val", 0) == 0 else None


def is_switch(node: Any) -> bool:
    """Whether a node goes back through the switches of a max-pooling, or of a maximum over axes."""
    return _operation(node) in _SWITCHES


def _is_linear(node: Any, name: str) -> bool:
    if name in _FACTORS:
        first, second = (node.next_functions[index][0] is not None for index in _FACTORS[name])
        return first and not second if name == "Div" else not (first and second)
    if name.endswith("BatchNorm"):
        return not getattr(node, "_saved_training", True)
    return name in _LINEAR or name == "AccumulateGrad"


def _spelled(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _listed(counts: Mapping[str, int], template: str) -> str:
    return template.format(", ".join(f"{name} ×{count}" for name, count in counts.items())) if counts else ""

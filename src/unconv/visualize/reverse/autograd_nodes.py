"""Nodes of autograd's graph: which operation each of them goes back through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

# What torch calls the way back of a rectifier that no rule has touched: scripted or compiled code, mostly.
UNTOUCHED = {
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
# What our own way back of a rectifier is called.
REVERSED = frozenset({"Reversed", "ReversedReLU"})
# And that of a convolution with the batch norm behind it.
NORMED = "ConvolutionNorm"
# Where a node's metadata say that it is a rectifier's, in a pass whose rectifiers keep their own way back.
MARK = "unconv.rectifier"
_SWITCHES = frozenset({"MaxPool", "AdaptiveMaxPool", "FractionalMaxPool", "MkldnnMaxPool", "Max", "Amax"})
# Values in another order or shape: no operation that a reader would count.
RESHAPES = frozenset(
    {
        *("Split", "SplitWithSizes", "Unbind", "Slice", "Select", "Index", "IndexSelect", "Gather", "View"),
        *("UnsafeView", "Reshape", "ReshapeAlias", "Permute", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Repeat"),
        *("Clone", "Copy", "Alias", "AsStrided", "ToCopy", "Flip", "Roll", "Unfold", "T", "Tril", "Triu"),
        *("Im2Col", "Col2Im", "AccumulateGrad", "Anchor"),
    }
)
# Linear in the activations, so that autograd is the transpose: Cᵀ for C.
_LINEAR: Mapping[str, str] = {
    **dict.fromkeys(("Linear", "MkldnnLinear", "Mv", "Addmv", "Mm", "Addmm", "Bmm", "Baddbmm"), "linear layer"),
    **dict.fromkeys(("Convolution", "MkldnnConvolution"), "convolution"),
    **dict.fromkeys(("AvgPool", "AdaptiveAvgPool", "MkldnnAdaptiveAvgPool", "Mean"), "average pooling"),
    **dict.fromkeys(("Add", "Sub", "Rsub"), "addition"),
    **dict.fromkeys(("Cat", "Stack"), "concatenation"),
    **dict.fromkeys(("Mul", "Div", "Neg"), "scaling"),
    **dict.fromkeys(("UpsampleNearest", "UpsampleNearestExact", "UpsampleLinear", "UpsampleBilinear"), "upsampling"),
    **dict.fromkeys(("UpsampleBilinear2DAa", "UpsampleBicubic", "UpsampleBicubic2DAa"), "upsampling"),
    **dict.fromkeys(("UpsampleTrilinear", "GridSampler"), "upsampling"),
    **dict.fromkeys(("ConstantPad", "ReflectionPad", "ReplicationPad"), "padding"),
    **dict.fromkeys(("PixelShuffle", "PixelUnshuffle", "ChannelShuffle"), "shuffle"),
    "Sum": "sum",
    "MaxUnpool": "unpooling",
}
# Linear while one of these two arguments is a constant: a product of two activations (a gate, attention) is not.
FACTORS = {
    "Mul": (0, 1),
    "Div": (0, 1),
    "Mm": (0, 1),
    "Bmm": (0, 1),
    "Convolution": (0, 1),
    "MkldnnConvolution": (0, 1),
    "Addmm": (1, 2),
    "Baddbmm": (1, 2),
}


def nodes_behind(value: Tensor) -> Iterator[Any]:
    """All nodes of autograd's graph between a value and the leaves it was computed from.

    >>> import torch
    >>> [node.name() for node in nodes_behind(2 * torch.ones(1, requires_grad=True).relu())]
    ['MulBackward0', 'ReluBackward0', 'torch::autograd::AccumulateGrad']
    """
    return nodes_from(value.grad_fn)


def nodes_from(start: Any) -> Iterator[Any]:
    """A node and all that it goes back to."""
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


def operation_of(node: Any) -> str:
    """The operation behind a node: MaxPool for ``MaxPool2DWithIndicesBackward0``."""
    name = str(node.name()).rpartition("::")[2]
    return re.sub(r"(\dD|Nd)?(WithIndices)?(Backwards?\d*)?$", "", name)


def is_reversed(node: Any) -> bool:
    """Whether a node is a rectifier that goes back by a rule."""
    return operation_of(node) in REVERSED


def reversible(node: Any) -> str | None:
    """The rectifier that a node is, if a rule takes it back or is known to (a marked one); None for everything else."""
    mark: str | None = node.metadata.get(MARK)
    return str(node.rectifier) if is_reversed(node) else mark


def rectifier_of(node: Any) -> str | None:
    """The rectifier whose way back a node is, by a rule or by its own gradient; None for everything else."""
    if is_reversed(node):
        return str(node.rectifier)
    return UNTOUCHED.get(operation_of(node)) if getattr(node, "_saved_min_val", 0) == 0 else None


def is_switch(node: Any) -> bool:
    """Whether a node goes back through the switches of a max-pooling, or of a maximum over axes."""
    return operation_of(node) in _SWITCHES


def linear_kind(node: Any) -> str | None:
    """What an operation that is linear in the activations is called; empty for one that only moves values.

    None for all others. A constant that is added is none of the reader's business either.

    >>> import torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> [linear_kind(y.grad_fn) for y in (3 * x, x + x, x + 1, x.view(1, 2), x * x)]
    ['scaling', 'addition', '', '', None]
    """
    name = operation_of(node)
    if name in RESHAPES:
        return ""
    if name.endswith("BatchNorm"):
        own = name == "BatchNorm"
        return "batch norm" if own or not getattr(node, "_saved_training", True) else None
    if name not in _LINEAR:
        return None
    if name in FACTORS:
        first, second = (node.next_functions[index][0] is not None for index in FACTORS[name])
        if (not first or second) if name == "Div" else (first and second):
            return None
    if _LINEAR[name] == "addition":
        return "addition" if sum(parent is not None for parent, _ in node.next_functions) > 1 else ""
    if name == "Convolution" and getattr(node, "_saved_transposed", False):
        return "transposed convolution"
    return _LINEAR[name]

"""Products of activations by what they are in a network: squeeze-excite, other gates, attention."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unconv.visualize.reverse.autograd_nodes import FACTORS, NORMED, RESHAPES, REVERSED, UNTOUCHED, operation_of

_SIGMOIDS = frozenset({"Sigmoid", "Hardsigmoid"})
_SOFTMAX = frozenset({"Softmax"})
_POOLED = frozenset({"Mean", "AdaptiveAvgPool", "MkldnnAdaptiveAvgPool"})
_MATRICES = frozenset({"Mm", "Bmm", "Addmm", "Baddbmm"})
_SCALES = RESHAPES | {"Mul", "Div", "Add", "Sub", "MaskedFill"}
# What may stand between the mean over an image and the factors that it gives.
_EXCITES = _SCALES | _SIGMOIDS | {*REVERSED, *UNTOUCHED, "Convolution", "MkldnnConvolution", "Linear", "MkldnnLinear"}
_EXCITES |= {"Addmm", "Mm", NORMED, "BatchNorm", "NativeBatchNorm", "CudnnBatchNorm", "NativeLayerNorm"}


def name_products(nodes: Iterable[Any]) -> dict[Any, str]:
    """Each product of activations by its name, and with an empty name what is a part of one and not counted twice.

    Squeeze-excite: one of the factors comes from a mean over the image (Hu et al. 2018). A gate: one comes from a
    sigmoid. Attention: one of two matrices comes from a softmax (Vaswani et al. 2017), its scores being part of it.

    >>> import torch
    >>> x = torch.rand(1, 4, 5, 5, requires_grad=True)
    >>> y = x * x.mean((2, 3), keepdim=True).relu().sigmoid()
    >>> [name for name in name_products([y.grad_fn]).values() if name]
    ['squeeze-excite']
    """
    named: dict[Any, str] = {}
    for node in nodes:
        name = operation_of(node)
        if name != "Mul" and name not in _MATRICES:
            continue
        factors = [node.next_functions[index][0] for index in FACTORS[name]]
        if None in factors:
            continue
        whole, parts = _attention(factors) if name in _MATRICES else _gate(factors)
        named.setdefault(node, whole)
        named.update(dict.fromkeys(parts, ""))
    return named


def _gate(factors: list[Any]) -> tuple[str, list[Any]]:
    sigmoids = [found for factor in factors if (found := _came_from(factor, _SIGMOIDS, RESHAPES)) is not None]
    pooled = [_came_from(factor, _POOLED, _EXCITES) is not None for factor in factors]
    if sum(pooled) == 1:
        return "squeeze-excite", sigmoids
    return ("gate (product of activations)" if sigmoids else "product of activations"), sigmoids


def _attention(factors: list[Any]) -> tuple[str, list[Any]]:
    parts = [found for factor in factors if (found := _came_from(factor, _SOFTMAX, _SCALES)) is not None]
    scores = [_came_from(_only_parent(part), _MATRICES, _SCALES) for part in parts]
    whole = "attention" if parts else "product of activations"
    return whole, parts + [score for score in scores if score is not None]


def _came_from(node: Any, wanted: frozenset[str], through: frozenset[str]) -> Any:
    """The nearest operation of some kinds that a value came from, through others alone and without a fork."""
    while node is not None and operation_of(node) not in wanted:
        node = _only_parent(node) if operation_of(node) in through else None
    return node


def _only_parent(node: Any) -> Any:
    parents = [parent for parent, _ in node.next_functions if parent is not None]
    # The second operand of a copy is what was copied; the first is what it overwrote.
    if operation_of(node) == "Copy":
        parents = parents[-1:]
    return parents[0] if len(parents) == 1 else None

"""Anchors: places in autograd's graph where a tensor stood, which hold neither the tensor nor its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

if TYPE_CHECKING:
    from weakref import ref


class Anchor(torch.autograd.Function):
    """The identity, of which only the way back is wanted: one number stands for all."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.new_empty(()).expand(x.shape)

    @staticmethod
    def backward(_ctx: Any, *signals: Any) -> Any:
        return signals[0]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a tensor stood in autograd's graph.

    Attributes:
        tensor: one that stands there.
        edge: the place itself.
    """

    tensor: Tensor
    edge: GradientEdge


def anchor(x: Tensor) -> Place:
    """The place of a tensor, which may be overwritten and forgotten from here on.

    >>> x = torch.ones(2, requires_grad=True)
    >>> y = 3 * x
    >>> place = anchor(y)
    >>> torch.autograd.grad(place.tensor, x, torch.ones(2))[0]
    tensor([3., 3.])
    """
    with torch.enable_grad():
        return Place(Anchor.apply(x), get_gradient_edge(x))


# A tensor that stands where it stood, as long as anyone else holds it.
Lent: TypeAlias = "ref[Tensor]"

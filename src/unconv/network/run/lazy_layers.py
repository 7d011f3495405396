"""Lazy layers: parameters that have no shape until something comes in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map


def is_lazy_layer(module: nn.Module) -> bool:
    """Whether parameters of a module itself have no shape yet.

    >>> is_lazy_layer(nn.LazyLinear(5)), is_lazy_layer(nn.Linear(3, 5))
    (True, False)
    """
    return isinstance(module, LazyModuleMixin) and bool(module.has_uninitialized_params())


def give_shapes(module: nn.Module, inputs: Any) -> None:
    """Give the parameters of a lazy layer the shapes that follow from its inputs, of which only the shapes count.

    The layer itself turns into a plain one when it runs. Torch's random numbers stay where they are.

    >>> layer = nn.LazyLinear(5)
    >>> give_shapes(layer, (torch.empty(2, 3),))
    >>> layer.weight.shape
    torch.Size([5, 3])
    """
    with _disable_current_modes(), torch.random.fork_rng(devices=[]):
        real = tree_map(lambda one: torch.empty(one.shape) if isinstance(one, Tensor) else one, tuple(inputs))
        module.initialize_parameters(*real)  # type: ignore[operator]

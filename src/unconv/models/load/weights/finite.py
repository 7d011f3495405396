"""Weights that are numbers: a network with NaN or infinite ones is refused."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from unconv.errors import ModelError


def check_finite(module: nn.Module, name: str) -> None:
    """Refuse a network with NaN or infinite weights, naming the first: everything computed from them would be void.

    A buffer may hold −∞: attention masks do.

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data.fill_(float("nan"))
    >>> check_finite(layer, "net.py:build")
    Traceback (most recent call last):
    unconv.errors.ModelError: net.py:build: weights are not finite: weight has 2 NaN or infinite values of 2
    """
    masks = {key for key, _ in module.named_buffers()}
    tensors: dict[str, Any] = module.state_dict()
    for key, value in tensors.items():
        if is_lazy(value):
            raise ModelError(f"{name}: {key} of a lazy layer has no shape yet; run the network once where it is made")
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        void = value.isnan() | value.isposinf() if key in masks else ~value.isfinite()
        if void.any():
            count = int(void.sum())
            raise ModelError(
                f"{name}: weights are not finite: {key} has {count} NaN or infinite values of {value.numel()}"
            )

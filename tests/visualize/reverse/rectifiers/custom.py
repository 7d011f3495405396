"""Rectifiers that bring their own way back, as networks write them to spare memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Swish(torch.autograd.Function):
    """x·σ(x), of which only x is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        (x,) = ctx.saved_tensors
        gate = torch.sigmoid(x)
        return signals[0] * gate * (1 + x * (1 - gate))


class SwishInPlace(torch.autograd.Function):
    """The same, over its argument."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x.clone())
        x.mul_(torch.sigmoid(x))
        ctx.mark_dirty(x)
        return x

    backward = Swish.backward


class Hardswish(torch.autograd.Function):
    """x·min(max(x + 3, 0), 6) / 6."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * (x + 3).clamp(0, 6) / 6

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        (x,) = ctx.saved_tensors
        return signals[0] * torch.where(x < -3, 0, torch.where(x <= 3, x / 3 + 0.5, 1))

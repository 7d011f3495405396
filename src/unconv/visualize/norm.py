"""Batch norm by its running statistics, whose way back is a factor for each channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class BatchNorm(torch.autograd.Function):
    """Batch norm by its running statistics, whose way back is one product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: Callable[[Tensor], Tensor], factor: Tensor) -> Tensor:
        ctx.factor = factor
        with torch.enable_grad():
            # Torch's own graph is not gone back through, but keeps the tensors that checkpointing counts.
            return norm(x.detach().requires_grad_()).detach()

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        return signals[0] * ctx.factor, None, None


def normed(x: Tensor, *args: Any, **kwargs: Any) -> Tensor | None:
    """What ``F.batch_norm`` gives for such arguments, with a quicker way back; None where it is not of that kind.

    Constant statistics, weights and biases, in the type of the batch, which leads back to the images.

    >>> x, mean, var = torch.rand(2, 3, 4, 4, requires_grad=True), torch.rand(3), torch.rand(3)
    >>> torch.equal(normed(x, mean, var), F.batch_norm(x, mean, var))
    True
    """
    names = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    named = {**dict(zip(names, args, strict=False)), **kwargs}
    mean, var, weight, bias = (named.get(name) for name in names[:4])
    constants = [one for one in (mean, var, weight, bias) if one is not None]
    if not x.requires_grad or x.ndim < 2 or named.get("training") or mean is None or var is None:
        return None
    if any(one.requires_grad or one.dtype != x.dtype for one in constants):
        return None
    factor = torch.rsqrt(var + named.get("eps", 1e-5))
    if weight is not None:
        factor = factor * weight
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return BatchNorm.apply(x, lambda x: F.batch_norm(x, **named), factor.view(shape))  # type: ignore[no-any-return]

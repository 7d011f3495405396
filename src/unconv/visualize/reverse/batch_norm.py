"""Batch norm by its running statistics, whose way back is a factor for each channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.visualize.cone.convolution import Convolution, send_back
from unconv.visualize.cone.kernels import ConvCall


class BatchNorm(torch.autograd.Function):
    """Batch norm by its running statistics, whose way back is one product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: Callable[[Tensor], Tensor], factor: Tensor) -> Tensor:
        ctx.factor = factor
        return _forward(x, norm)

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        return signals[0] * ctx.factor, None, None


class ConvolutionNorm(torch.autograd.Function):
    """Batch norm of what a convolution returned, whose way back goes through both: the kernels bear the factors.

    It leads from the convolution's input, so that whoever else reads the convolution's output has a way back of his
    own.
    """

    @staticmethod
    def forward(
        ctx: Any, _x: Tensor, y: Tensor, norm: Callable[[Tensor], Tensor], call: ConvCall, number: int | None
    ) -> Tensor:
        ctx.call, ctx.number = call, number
        return _forward(y, norm)

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        return send_back(ctx.call, signals[0], ctx.number), *(None,) * 4


def _forward(x: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.enable_grad():
        # Torch's own graph is not gone back through, but keeps the tensors that checkpointing counts.
        return norm(x.detach().requires_grad_()).detach()


@dataclass(frozen=True, eq=False)
class LatestConvolution:
    """The convolution that ran last: its input, in the version that it read, and what it returned."""

    x: Tensor
    version: int
    y: Tensor

    def call(self, y: Tensor) -> Any:
        """The convolution, if that is where a tensor comes from, untouched and unwatched, and its kernels are kept."""
        node: Any = y.grad_fn
        returned: Any = Convolution._backward_cls
        if y is not self.y or self.x._version != self.version or node.__class__ != returned or node.kept is None:
            return None
        return None if y._backward_hooks or y.retains_grad else node


def normalise(x: Tensor, *args: Any, latest: LatestConvolution | None = None, **kwargs: Any) -> Tensor | None:
    """What ``F.batch_norm`` gives for such arguments, with a quicker way back; None where it is not of that kind.

    Constant statistics, weights and biases, in the type of the batch, which leads back to the images.

    >>> x, mean, var = torch.rand(2, 3, 4, 4, requires_grad=True), torch.rand(3), torch.rand(3)
    >>> torch.equal(normalise(x, mean, var), F.batch_norm(x, mean, var))
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
    eps = named.get("eps", 1e-5)

    def factor() -> Tensor:
        scale = torch.rsqrt(var + eps)
        return scale if weight is None else scale * weight

    def norm(x: Tensor) -> Tensor:
        return F.batch_norm(x, **named)

    convolution = None if latest is None else latest.call(x)
    if latest is not None and convolution is not None:
        kernels = convolution.kept.scale(factor, (var, weight), eps)
        stride, padding, dilation, groups = convolution.geometry
        call = ConvCall(kernels, convolution.size, stride, padding, dilation, groups)
        return ConvolutionNorm.apply(latest.x, x.detach(), norm, call, convolution.number)  # type: ignore[no-any-return]
    return BatchNorm.apply(x, norm, factor().view(1, -1, *(1,) * (x.ndim - 2)))  # type: ignore[no-any-return]

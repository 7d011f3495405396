"""Smoothing: a fixed layer that takes every pattern of a stride's period away."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.by_axes import CONV
from unconv.operators.geometry.sizes import Size, per_axis


def smoothing_kernel(stride: int, order: int = 1) -> Float[Tensor, " tap"]:
    """The hold of a stride, ``order`` times convolved with itself: s^−order · (1 … 1) ∗ … ∗ (1 … 1).

    Its spectrum is zero at all multiples of 1/s but the first (Kinoshita & Kiya 2020, section 3).

    >>> smoothing_kernel(2).tolist(), smoothing_kernel(2, order=2).tolist()
    ([0.5, 0.5], [0.25, 0.5, 0.25])
    """
    if order < 1:
        raise GeometryError(f"smooth: order {order} must be at least 1")
    hold = torch.full((stride,), 1 / stride, dtype=torch.float64)
    kernel = hold
    for _ in range(order - 1):
        kernel = F.conv1d(kernel[None, None], hold[None, None], padding=stride - 1)[0, 0]
    return kernel


@tell_wrong_arguments
class Smooth(nn.Module):
    """Averages over a stride's period, so that no pattern of that period is left; nothing is learned.

    Behind an upsampling layer it takes checkerboard patterns from the output, in front of a strided convolution from
    the gradient. Size and channels stay; borders repeat the last cell. One, two or three axes, by the input.

    Args:
        stride: period to be removed; an int, or one per axis.
        order: how often it averages: 1 removes the pattern of a constant, 2 that of a slope too.

    >>> from unconv.operators.checkerboard import stride_pattern
    >>> uneven = nn.ConvTranspose2d(3, 3, kernel_size=3, stride=2)(torch.ones(1, 3, 9, 9))
    >>> stride_pattern(uneven[..., 2:-3, 2:-3], 2) > 0.1, stride_pattern(Smooth(2)(uneven)[..., 2:-3, 2:-3], 2) < 1e-5
    (True, True)
    """

    def __init__(self, stride: Size = 2, order: int = 1) -> None:
        super().__init__()
        self.stride, self.order = stride, order
        smoothing_kernel(1, order)

    def forward(self, x: Float[Tensor, "batch channel *size"]) -> Float[Tensor, "batch channel *size"]:
        """The input without the pattern."""
        count = x.ndim - 2
        steps = per_axis("smooth", "stride", self.stride, count, least=1)
        taps = torch.ones((), dtype=torch.float64)
        spans = []
        for step in steps:
            line = smoothing_kernel(step, self.order)
            taps = taps[..., None] * line
            spans.append(len(line) - 1)
        kernel = taps.to(x).expand(x.shape[1], 1, *taps.shape)
        sides = [side for span in reversed(spans) for side in (span // 2, span - span // 2)]
        padded = F.pad(x, sides, mode="replicate") if prod(taps.shape) > 1 else x
        return CONV[count](padded, kernel, groups=x.shape[1])

    def extra_repr(self) -> str:
        """Arguments."""
        return f"stride={self.stride}, order={self.order}"

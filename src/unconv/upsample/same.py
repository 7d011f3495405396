"""SAME convolution in one, two or three dimensions: what some upsampling layers are made of."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from unconv.operators.by_axes import CONV_LAYER
from unconv.operators.geometry.sizes import Size, per_axis
from unconv.upsample.refusals import refusing


def same_convolution(
    axes: int,
    in_channels: int,
    out_channels: int,
    kernel_size: Size,
    bias: bool,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    """A convolution of stride 1 with SAME padding; torch's own, whose checks and initial weights it has.

    >>> same_convolution(1, 3, 4, 5, True, None, None)
    Conv1d(3, 4, kernel_size=(5,), stride=(1,), padding=same)
    """
    kernel: Any = per_axis("convolution", "kernel", kernel_size, axes, least=1)
    kind = CONV_LAYER[axes]
    with refusing("convolution", in_channels, out_channels):
        return kind(in_channels, out_channels, kernel, padding="same", bias=bias, device=device, dtype=dtype)

"""The transposed convolution: a drop-in for torch's."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Shaped
from torch import Tensor

from unconv.operators.sizes import Size
from unconv.operators.transpose_arguments import resolve

_TORCH: dict[int, Callable[..., Tensor]] = {3: F.conv_transpose1d, 4: F.conv_transpose2d, 5: F.conv_transpose3d}


def conv_transpose(
    x: Shaped[Tensor, "*batch_channels_size"],
    weight: Shaped[Tensor, "in out_per_group *kernel"],
    bias: Shaped[Tensor, " out"] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Shaped[Tensor, "*batch_out_size"]:
    """The transposed convolution, o′ = s(i′ − 1) + d(k − 1) + 1 − 2p + a (Dumoulin & Visin 2016, relation 14).

    >>> conv_transpose(torch.ones(1, 64, 16, 16), torch.ones(64, 3, 4, 4), stride=2, padding=1).shape
    torch.Size([1, 3, 32, 32])
    """
    try:
        return _TORCH[weight.ndim](x, weight, bias, stride, padding, output_padding, groups, dilation)
    except (RuntimeError, TypeError, AttributeError, KeyError):
        resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
        raise

"""The transposed convolution: torch's, by the fastest of its forms."""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor

from unconv.operators.sizes import Size
from unconv.operators.transpose_arguments import resolve
from unconv.operators.transpose_choice import choose_form
from unconv.operators.transpose_fast import TORCH, run_form
from unconv.operators.transpose_forms import channels_last

_LEAST_WORK = 2**21
"""Multiply-adds below which a call costs more than any form could save."""

_PLAIN = (Tensor, torch.nn.Parameter)


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
    if _has_a_choice(x, weight):
        arguments = resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
        positions = x.numel() / weight.shape[0]
        form = choose_form(weight.shape, arguments, channels_last(x, weight), positions)
        if form != "torch":
            batched = x.ndim == weight.ndim
            y = run_form(form, x if batched else x.unsqueeze(0), weight, bias, arguments)
            return y if batched else y.squeeze(0)
    try:
        return TORCH[weight.ndim](x, weight, bias, stride, padding, output_padding, groups, dilation)
    except (RuntimeError, TypeError, AttributeError, KeyError):
        resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
        raise


def _has_a_choice(x: Tensor, weight: Tensor) -> bool:
    """Whether the forms may differ in speed: float32 on a CPU, more than a handful of numbers, nobody watching.

    A subclass of Tensor, a traced or exported graph and autocast get torch's own operator: what they see must be
    *one* transposed convolution.
    """
    if type(x) not in _PLAIN or type(weight) not in _PLAIN or x.dtype is not torch.float32 or not x.is_cpu:
        return False
    if weight.dtype is not torch.float32:
        return False
    if torch.compiler.is_compiling():
        return True
    return x.numel() * weight.numel() >= _LEAST_WORK * weight.shape[0]

"""The transposed convolution: torch's, by the fastest of its forms."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import has_torch_function
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from unconv.arguments import tell_wrong_arguments
from unconv.operators.geometry.sizes import Size
from unconv.operators.transpose.arguments import TransposeArguments, check, resolve
from unconv.operators.transpose.choice import MANY_CHANNELS, Form, choose_form
from unconv.operators.transpose.compiled import compiled_conv_transpose
from unconv.operators.transpose.fast import TORCH, ChosenForm, apply_form
from unconv.operators.transpose.forms import channels_last

_LEAST_WORK = 2**21
"""Multiply-adds below which no form can save what asking for one costs."""

_PLAIN = (Tensor, torch.nn.Parameter)

_HALVES = (torch.bfloat16, torch.float16)
_ROUNDED = (*_HALVES, torch.float32)
"""What autocast brings to half precision."""

_is_exporting = getattr(torch.compiler, "is_exporting", lambda: False)  # torch 2.7 and later


@tell_wrong_arguments
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
    """Transposed convolution in one, two or three dimensions, by the form that is fastest for these shapes.

    A convolution's matrix C, transposed: input i adds ``x[i] · weight[u]`` to output o = s·i + d·u − p, so that

        o′ = s(i′ − 1) + d(k − 1) + 1 − 2p + a

    (Dumoulin & Visin 2016, relations 8–14; a is ``output_padding``). It brings back the *size* that a convolution took
    away, not the values. A drop-in for :func:`torch.nn.functional.conv_transpose1d`, ``2d`` and ``3d``: same arguments,
    results, gradients of any order, dtypes, memory formats, ``torch.func``, ``torch.compile`` and ``torch.export``.

    There is more than one way to add up the same products, and on a CPU they differ in speed::

        x ──▶ ▦ torch                            the library's own kernel; m output channels fill m of 16 vector lanes
        x ──▶ convolve ──▶ s² · m channels ──▶ shuffle                  sub-pixel: few channels come out, s > 1
        x ──▶ × whole kernel ──▶ k² · m planes ──▶ shift and add        scatter: very few come out, or s = 1
        x ──▶ collect ⌈k/s⌉² neighbours ──▶ × phases ──▶ rows of cells  gather: a large kernel meets few inputs

    :func:`~unconv.operators.transpose.choice.choose_form` counts the work of each from the shapes and takes the least;
    :mod:`~unconv.operators.transpose.forms` has them to be read and compared. The RGB or class end of a decoder becomes
    2 to 8 times as fast, the rest stays as it is. Float32 on a CPU has a choice; everything else, all that is
    too small to matter, and whatever an observer watches (autocast, tensor subclasses, function and dispatch modes,
    ``torch.export``) is torch's operator itself. Three things are done otherwise, where torch's kernels for the CPU
    take many times as long: the bias of groups is added behind them; in half precision, by dtype or by autocast, the
    gradient of a bias is a sum of its own, and what is depthwise is computed in float32 and rounded.

    Arguments:
        x: input, (batch, in, *size) or (in, *size).
        weight: (in, out / groups, *kernel), as torch stores it; as many kernel sizes as there are axes.
        bias: one number for each output channel.
        stride, padding, output_padding, dilation: an int, or one per axis, in cells. ``padding`` is that of the
            convolution whose transpose this is: it removes cells from the output. ``output_padding`` adds cells at the
            end, fewer than the stride or the dilation.
        groups: how many groups of channels are kept apart.

    Raises :class:`~unconv.errors.GeometryError` for sizes that do not fit together and
    :class:`~unconv.errors.UnconvError` for tensors that do not.

    >>> x, weight = torch.randn(16, 64, 32, 32), torch.randn(64, 3, 4, 4)
    >>> y = conv_transpose(x, weight, stride=2, padding=1)
    >>> y.shape
    torch.Size([16, 3, 64, 64])
    >>> torch.allclose(y, torch.nn.functional.conv_transpose2d(x, weight, stride=2, padding=1), atol=1e-4)
    True
    """
    if _has_a_choice(x, weight, groups):
        y = _by_best_form(x, weight, bias, (stride, padding, output_padding, groups, dilation))
        if y is not None:
            return y
    if bias is not None and _is_of_another_dtype(bias, weight):
        # Whether torch takes it depends on the kernels that it has for a processor.
        resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
    try:
        if groups != 1 and _has_no_kernel(x, weight, bias, groups):
            return _in_float32(x, weight, bias, (stride, padding, output_padding, groups, dilation))
        if groups != 1 and _bias_goes_apart(x, weight, bias, groups):
            y = TORCH[weight.ndim](x, weight, None, stride, padding, output_padding, groups, dilation)
            return _added(y, bias, weight)
        if groups == 1 and bias is not None and _bias_learns(x, weight, bias):
            return _bias_summed(x, weight, bias, (stride, padding, output_padding, groups, dilation))
        return TORCH[weight.ndim](x, weight, bias, stride, padding, output_padding, groups, dilation)
    except (RuntimeError, TypeError, AttributeError, KeyError):
        # torch's own checks are free where they pass; where they do not, ours find the words.
        resolve(x, weight, bias, stride, padding, output_padding, groups, dilation)
        raise


def _has_a_choice(x: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether forms may differ in speed here, and nobody watches who should see *one* transposed convolution."""
    if type(x) not in _PLAIN or type(weight) not in _PLAIN or weight.ndim not in TORCH:
        return False
    if x.dtype is not torch.float32 or weight.dtype is not torch.float32 or not x.is_cpu:
        return False
    if groups != 1 or weight.shape[1] >= MANY_CHANNELS:
        return False
    if torch.compiler.is_compiling():
        return not _is_exporting() and not torch.is_autocast_enabled("cpu")
    if x.numel() * weight.numel() < _LEAST_WORK * weight.shape[0]:
        return False
    return not _is_watched(x, weight) and not torch.is_autocast_enabled("cpu")


def _is_of_another_dtype(bias: Tensor, weight: Tensor) -> bool:
    return type(bias) in _PLAIN and bias.dtype is not weight.dtype and not torch.is_autocast_enabled(weight.device.type)


def _is_watched(x: Tensor, weight: Tensor) -> bool:
    # Under torch.func and in forward mode, results must not be written in place, and torch has the rules.
    transformed = torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0
    return transformed or has_torch_function((x, weight)) or is_in_torch_dispatch_mode()


def _has_no_kernel(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> bool:
    """Whether torch would come to half precision, for which oneDNN has no depthwise transposed convolution."""
    if type(x) not in _PLAIN or type(weight) not in _PLAIN or weight.ndim not in TORCH or not x.is_cpu:
        return False
    if groups != len(weight) or weight.shape[1] != 1 or not (bias is None or _fits(bias, weight, groups)):
        return False
    return _is_halved(x, weight) and not torch.compiler.is_compiling() and not _is_watched(x, weight)


def _in_float32(x: Tensor, weight: Tensor, bias: Tensor | None, given: tuple[Any, ...]) -> Tensor:
    """torch's result in float32, rounded to what it would have been computed in."""
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    last, planes = channels_last(x, weight), x.ndim == weight.ndim == 4
    with torch.autocast("cpu", enabled=False):
        wide = x.to(torch.float32, memory_format=torch.channels_last if planes else torch.preserve_format)
        y = _added(TORCH[weight.ndim](wide, weight.float(), None, *given), bias, weight)
        return y.to(dtype, memory_format=torch.preserve_format if last else torch.contiguous_format)


def _by_best_form(x: Tensor, weight: Tensor, bias: Tensor | None, given: tuple[Any, ...]) -> Tensor | None:
    """The result by the form chosen; None where that is torch's."""
    compiling = torch.compiler.is_compiling()
    if compiling:
        arguments = TransposeArguments.of(weight.ndim - 2, *given)
        form = choose_form(weight.shape, arguments)
    else:
        given = tuple(tuple(value) if isinstance(value, list) else value for value in given)
        shape = x.shape if x.ndim == weight.ndim else (1, *x.shape)
        form, arguments = _choose(weight.shape, given, channels_last(x, weight), shape)
    if form == "torch":
        return None
    check(x, weight, bias, arguments)
    batched = x if x.ndim == weight.ndim else x.unsqueeze(0)
    y: Tensor
    if compiling:
        y = compiled_conv_transpose(batched, weight, bias, *arguments)
    elif torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        y = ChosenForm.apply(batched, weight, bias, form, arguments)
    else:
        y = apply_form(form, batched, weight, bias, arguments)
    return y if x.ndim == weight.ndim else y.squeeze(0)


def _bias_goes_apart(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> bool:
    """Whether torch would be many times as slow with the bias as without it, for what is its bias."""
    if bias is None or not x.is_cpu or weight.ndim not in TORCH or torch.compiler.is_compiling():
        return False
    if type(x) not in _PLAIN or type(weight) not in _PLAIN:
        return False
    return _fits(bias, weight, groups) and not _is_watched(x, weight)


def _bias_learns(x: Tensor, weight: Tensor, bias: Tensor) -> bool:
    """Whether there will be the gradient of a bias in half precision, and its sum pays for asking."""
    if not (bias.requires_grad and torch.is_grad_enabled()) or not x.is_cpu or weight.ndim not in TORCH:
        return False
    if type(x) not in _PLAIN or type(weight) not in _PLAIN or x.ndim != weight.ndim or not _fits(bias, weight, 1):
        return False
    if not _is_halved(x, weight) or x.numel() * weight.numel() < _LEAST_WORK * weight.shape[0]:
        return False
    return not torch.compiler.is_compiling() and not _is_watched(x, weight)


def _is_halved(x: Tensor, weight: Tensor) -> bool:
    """Whether torch would compute in half precision."""
    if torch.is_autocast_enabled("cpu"):
        return x.dtype in _ROUNDED and weight.dtype in _ROUNDED
    return x.dtype in _HALVES and weight.dtype is x.dtype


def _bias_summed(x: Tensor, weight: Tensor, bias: Tensor, given: tuple[Any, ...]) -> Tensor:
    """torch's result, with a gradient of the bias that is not."""
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    with torch.autocast("cpu", enabled=False):
        y: Tensor = ChosenForm.apply(x, weight, bias, "torch", resolve(x, weight, bias, *given))
    return y


def _fits(bias: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether torch would take it: what is added behind is broadcast, and would be taken in any shape and dtype."""
    return type(bias) in _PLAIN and bias.dtype is weight.dtype and bias.shape == (weight.shape[1] * groups,)


def _added(y: Tensor, bias: Tensor | None, weight: Tensor) -> Tensor:
    return y if bias is None else y.add_(bias.to(y.dtype).view(-1, *(1,) * (weight.ndim - 2)))


@lru_cache(maxsize=4096)
def _choose(
    weight_shape: tuple[int, ...], given: tuple[Any, ...], last: bool, input_shape: tuple[int, ...]
) -> tuple[Form, TransposeArguments]:
    """:func:`choose_form`, remembered: a network asks the same again and again."""
    arguments = TransposeArguments.of(len(weight_shape) - 2, *given)
    return choose_form(weight_shape, arguments, last, input_shape), arguments

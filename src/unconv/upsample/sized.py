"""Transposed convolution to the size that is asked for: no output padding to be found, and SAME."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.geometry.padding import explicit_padding, split_padding
from unconv.operators.geometry.sizes import Padding, Pairs, Size, effective_kernel_size, per_axis
from unconv.operators.transpose.conv_transpose import conv_transpose

_NAME = "conv_transpose"
_SAME = {"same_upper": "upper", "same_lower": "lower"}


@tell_wrong_arguments
def reachable_sizes(
    input_size: int, kernel_size: int, stride: int, padding: tuple[int, int] | str, dilation: int
) -> range:
    """The sizes along an axis that the convolution, whose transpose this is, maps to ``input_size``.

    With SAME they are s(i′ − 1) + 1 … s·i′; with numbers s(i′ − 1) + d(k − 1) + 1 − p₁ − p₂ and up to s − 1 more
    (or d − 1, as torch allows).

    >>> reachable_sizes(5, kernel_size=3, stride=2, padding=(1, 1), dilation=1)
    range(9, 11)
    >>> reachable_sizes(5, kernel_size=3, stride=2, padding="same_upper", dilation=1)
    range(9, 11)
    """
    if isinstance(padding, str):
        return range(stride * (input_size - 1) + 1, stride * input_size + 1)
    least = stride * (input_size - 1) + effective_kernel_size(kernel_size, dilation) - sum(padding)
    return range(max(1, least), least + max(stride, dilation))


@tell_wrong_arguments
def conv_transpose_to(
    x: Float[Tensor, "*batch_channels_size"],
    weight: Float[Tensor, "in out_per_group *kernel"],
    bias: Float[Tensor, " out"] | None = None,
    *,
    output_size: Size | Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Float[Tensor, "*batch_out_size"]:
    """Transposed convolution whose output has the size that is asked for, in one, two or three dimensions.

    Of all sizes that the convolution maps to the input's, ``output_size`` names one; torch wants the same told as
    ``output_padding``.

    Args:
        x: input, (batch, in, *size) or (in, *size).
        weight: (in, out / groups, *kernel), as torch stores it.
        bias: one number for each output channel.
        output_size: an int, one per axis, a whole shape, or a tensor that has it; without it the smallest, and
            s·i′ with SAME.
        stride, dilation: an int, or one per axis.
        padding: that of the convolution whose transpose this is; an int, one per axis, (before, after) pairs,
            ``"same_upper"`` (TensorFlow, ONNX), ``"same_lower"`` (ONNX), or ``"same"`` (torch; stride 1 only).
        groups: how many groups of channels are kept apart.

    Raises :class:`~unconv.errors.GeometryError`, naming those that can be reached, for a size that cannot.

    >>> import torch
    >>> x, weight = torch.randn(1, 8, 22, 22), torch.randn(8, 3, 3, 3)
    >>> skip = torch.randn(1, 5, 45, 44)
    >>> conv_transpose_to(x, weight, output_size=(45, 46), stride=2).shape
    torch.Size([1, 3, 45, 46])
    >>> conv_transpose_to(torch.randn(1, 8, 23, 22), weight, output_size=skip, stride=2, padding="same_upper").shape
    torch.Size([1, 3, 45, 44])
    """
    count = weight.ndim - 2
    inputs = tuple(x.shape[x.ndim - count :])
    kernel = tuple(weight.shape[2:])
    steps = per_axis(_NAME, "stride", stride, count, least=1)
    holes = per_axis(_NAME, "dilation", dilation, count, least=1)
    paddings = padding_by_axis(padding, steps, count)
    wanted = wanted_sizes(_NAME, output_size, x.ndim, count)
    pads: list[tuple[int, int]] = []
    sizes: list[int] = []
    for axis in range(count):
        reachable = reachable_sizes(inputs[axis], kernel[axis], steps[axis], paddings[axis], holes[axis])
        same = paddings[axis] if isinstance(paddings[axis], str) else None
        size = wanted[axis] if wanted is not None else reachable[-1] if same else reachable[0]
        if size not in reachable:
            raise GeometryError(
                f"{_NAME}: output size {size}{_axis_name(axis, count)} cannot be reached from {inputs[axis]} with "
                f"kernel {kernel[axis]}, stride {steps[axis]}, padding {paddings[axis]} and dilation {holes[axis]}; "
                f"{_listed(reachable)} can"
            )
        sizes.append(size)
        pads.append(_pads(paddings[axis], inputs[axis], size, kernel[axis], steps[axis], holes[axis]))
    return _cut_to(x, weight, bias, sizes, pads, steps, holes, groups)


def _cut_to(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    sizes: Sequence[int],
    pads: Pairs | Sequence[tuple[int, int]],
    steps: Sequence[int],
    holes: Sequence[int],
    groups: int,
) -> Tensor:
    """With any two paddings: the smaller is the operator's own, and what the larger has more is cut off."""
    count = len(sizes)
    inputs, kernel = x.shape[x.ndim - count :], weight.shape[2:]
    shared = [min(pair) for pair in pads]
    starts = [before - least for (before, _), least in zip(pads, shared, strict=True)]
    extras = [
        max(0, start + size + 2 * least - step * (inputs[n] - 1) - effective_kernel_size(kernel[n], hole))
        for n, (start, size, least, step, hole) in enumerate(zip(starts, sizes, shared, steps, holes, strict=True))
    ]
    y: Tensor = conv_transpose(x, weight, bias, steps, shared, extras, groups, holes)
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True), start=x.ndim - count):
        if y.shape[axis] != size:
            y = y.narrow(axis, start, size)
    return y


def _pads(
    padding: tuple[int, int] | str, inputs: int, size: int, kernel: int, step: int, holes: int
) -> tuple[int, int]:
    if not isinstance(padding, str):
        return padding
    total = max(0, (inputs - 1) * step + effective_kernel_size(kernel, holes) - size)
    return split_padding(total, _SAME[padding])


def padding_by_axis(padding: Padding, steps: tuple[int, ...], count: int) -> tuple[tuple[int, int] | str, ...]:
    """For each axis (before, after), or a kind of SAME. Raises GeometryError for what is neither.

    >>> padding_by_axis(1, (2, 2), count=2), padding_by_axis("same_upper", (2,), count=1)
    (((1, 1), (1, 1)), ('same_upper',))
    """
    if padding == "same":
        if any(step > 1 for step in steps):
            raise GeometryError(
                f"{_NAME}: padding 'same' with stride {steps} has no single meaning; "
                "use 'same_upper' (TensorFlow, ONNX) or 'same_lower' (ONNX)"
            )
        padding = "same_upper"
    if isinstance(padding, str) and padding in _SAME:
        return (padding,) * count
    return explicit_padding(_NAME, 0 if padding == "valid" else padding, count)


def wanted_sizes(operation: str, output_size: Size | Tensor | None, ndim: int, count: int) -> tuple[int, ...] | None:
    """The size of each axis that is asked for: by an int, one per axis, a shape as long as the input's, or a tensor.

    Args:
        operation: what an error begins with.
        output_size: what was asked for; None for nothing.
        ndim: how many dimensions the input has.
        count: how many of them are axes of size.

    >>> wanted_sizes("resize", (1, 3, 8, 6), ndim=4, count=2), wanted_sizes("resize", 7, ndim=4, count=2)
    ((8, 6), (7, 7))
    """
    if output_size is None:
        return None
    if isinstance(output_size, Tensor):
        if output_size.ndim < count:
            raise GeometryError(
                f"{operation}: a tensor of shape {tuple(output_size.shape)} as output size has no {count} axes of size"
            )
        return tuple(output_size.shape[output_size.ndim - count :])
    if isinstance(output_size, Sequence) and len(output_size) == ndim:
        output_size = output_size[ndim - count :]
    return per_axis(operation, "output size", output_size, count, least=1)


def _axis_name(axis: int, count: int) -> str:
    return f" on axis {axis}" if count > 1 else ""


def _listed(sizes: range) -> str:
    return f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"

"""Padding: numbers, pairs, and the three kinds of SAME."""

from __future__ import annotations

from collections.abc import Sequence

from unconv.errors import GeometryError
from unconv.operators.geometry.sizes import Padding, Pairs, effective_kernel_size, per_axis

_ONNX_SAME = {"same_upper": "upper", "same_lower": "lower"}
Sizes = tuple[int, ...]


def explicit_padding(operation: str, value: object, count: int) -> Pairs:
    """A number, one number per axis, or (before, after) per axis, as pairs.

    >>> explicit_padding("conv", (1, 2), count=2)
    ((1, 1), (2, 2))
    >>> explicit_padding("conv", ((0, 1), (2, 2)), count=2)
    ((0, 1), (2, 2))
    """
    if isinstance(value, str):
        raise GeometryError(
            f"{operation}: padding {value!r} is not known; use 'same', 'same_upper', 'same_lower', 'valid' or numbers"
        )
    if isinstance(value, Sequence) and any(isinstance(entry, Sequence) for entry in value):
        pairs = [entry if isinstance(entry, Sequence) else (entry, entry) for entry in value]
        if len(pairs) != count or any(len(pair) != 2 for pair in pairs):
            raise GeometryError(
                f"{operation}: padding {value} must be one (before, after) pair per axis, {count} in all"
            )
        flat = per_axis(operation, "padding", [side for pair in pairs for side in pair], count=2 * count, least=0)
        return tuple(zip(flat[::2], flat[1::2], strict=True))
    return tuple((side, side) for side in per_axis(operation, "padding", value, count, least=0))


def split_padding(total: int, larger_end: str) -> tuple[int, int]:
    """Total padding as (before, after), the odd row at the ``"upper"`` (far) or ``"lower"`` (near) end.

    >>> split_padding(3, larger_end="upper")
    (1, 2)
    """
    small, large = total // 2, total - total // 2
    return (small, large) if larger_end == "upper" else (large, small)


def window_padding(
    operation: str, padding: Padding, input_size: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes
) -> Pairs:
    """Padding of a convolution or pooling as pairs.

    ``"same"`` keeps the size (torch; stride 1 only). ``"same_upper"``/``"same_lower"`` give o = ⌈i/s⌉ (ONNX, Conv,
    ``auto_pad``; TensorFlow's SAME is the upper one).

    >>> window_padding("conv", "same_upper", (5,), (4,), (2,), (1,))
    ((1, 2),)
    """
    if padding == "valid":
        return ((0, 0),) * len(input_size)
    if padding == "same" and any(step > 1 for step in stride):
        raise GeometryError(
            f"{operation}: padding 'same' with stride {stride} has no single meaning; "
            "use 'same_upper' (TensorFlow, ONNX) or 'same_lower' (ONNX)"
        )
    larger_end = "upper" if padding == "same" else _ONNX_SAME.get(padding) if isinstance(padding, str) else None
    if larger_end is None:
        return explicit_padding(operation, padding, len(input_size))
    pairs = []
    for size, kernel, step, holes in zip(input_size, kernel_size, stride, dilation, strict=True):
        output = -(-size // step)
        total = max(0, (output - 1) * step + effective_kernel_size(kernel, holes) - size)
        pairs.append(split_padding(total, larger_end))
    return tuple(pairs)


def transpose_padding(
    padding: Padding,
    input_size: Sizes,
    kernel_size: Sizes,
    stride: Sizes,
    dilation: Sizes,
    output_padding: Sizes,
) -> tuple[Pairs, Sizes]:
    """Padding of a transposed convolution as pairs, and the output padding that goes with it.

    SAME gives o′ = s·i′ (ONNX, ConvTranspose, ``auto_pad``): the surplus of the kernel over the stride is cut away, and
    where the kernel is smaller than the stride, output padding makes up for it.

    >>> transpose_padding("same_upper", (5,), (4,), (2,), (1,), (0,))
    (((1, 1),), (0,))
    """
    if padding == "valid":
        return ((0, 0),) * len(input_size), output_padding
    if padding == "same" and any(step > 1 for step in stride):
        raise GeometryError(
            f"transpose: padding 'same' with stride {stride} has no single meaning; "
            "use 'same_upper' or 'same_lower' (ONNX) for an output of stride × input"
        )
    larger_end = "upper" if padding == "same" else _ONNX_SAME.get(padding) if isinstance(padding, str) else None
    if larger_end is None:
        return explicit_padding("transpose", padding, len(input_size)), output_padding
    pairs, extras = [], []
    for kernel, step, holes, extra in zip(kernel_size, stride, dilation, output_padding, strict=True):
        surplus = effective_kernel_size(kernel, holes) - step + extra
        pairs.append(split_padding(max(0, surplus), larger_end))
        extras.append(extra + max(0, -surplus))
    return tuple(pairs), tuple(extras)

"""Arguments of a transposed convolution, checked and spelled out once for all of its forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from unconv.errors import GeometryError, UnconvError
from unconv.operators.geometry.sizes import Size, per_axis, transpose_output_size

_NAME = "conv_transpose"


class TransposeArguments(NamedTuple):
    """What :func:`unconv.conv_transpose` was asked for, one int per axis; made by :meth:`of`, which checks them.

    A named tuple, which is frozen and which ``torch.compile`` can make inside a graph.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(
        cls,
        count: int,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        dilation: Size = 1,
    ) -> TransposeArguments:
        """The arguments with one int for each of ``count`` axes.

        >>> TransposeArguments.of(2, stride=2, padding=(1, 0))
        TransposeArguments(stride=(2, 2), padding=(1, 0), output_padding=(0, 0), dilation=(1, 1), groups=1)
        """
        return cls(
            stride=_per_axis("stride", stride, count, least=1),
            padding=_per_axis("padding", padding, count, least=0),
            output_padding=_per_axis("output padding", output_padding, count, least=0),
            dilation=_per_axis("dilation", dilation, count, least=1),
            groups=per_axis(_NAME, "groups", groups, 1, least=1)[0],
        )

    @property
    def spatial(self) -> tuple[tuple[int, ...], ...]:
        """Stride, padding, output padding and dilation, each with one int per axis."""
        return self[:4]

    @property
    def as_torch(self) -> tuple[tuple[int, ...] | int, ...]:
        """What follows input, weight and bias in torch's operator, in its order."""
        return self.stride, self.padding, self.output_padding, self.groups, self.dilation


def resolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> TransposeArguments:
    """Check everything that torch checks, and return the arguments with one int per axis.

    Raises :class:`~unconv.errors.GeometryError` for sizes that do not fit together, and
    :class:`~unconv.errors.UnconvError` for tensors that do not.
    """
    arguments = TransposeArguments.of(count_axes(weight), stride, padding, output_padding, groups, dilation)
    check(x, weight, bias, arguments)
    return arguments


def check(x: Tensor, weight: Tensor, bias: Tensor | None, arguments: TransposeArguments) -> None:
    """Raise unless the tensors fit each other and the arguments."""
    _check_tensors(x, weight, bias)
    _check_channels(x, weight, bias, arguments.groups)
    _check_sizes(x, weight, arguments)


def _per_axis(name: str, value: Size, count: int, least: int) -> tuple[int, ...]:
    """As :func:`.sizes.per_axis`, but one number in a sequence is for all axes, as in torch."""
    values = (value,) * count if type(value) is int else value
    if type(values) is tuple and len(values) == count and all(type(n) is int and n >= least for n in values):
        return values  # what nearly every call has, in a tenth of the time
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    return per_axis(_NAME, name, value, count, least)


def count_axes(weight: Tensor) -> int:
    """1, 2 or 3: as many as the weight has kernel sizes."""
    if not isinstance(weight, Tensor):
        raise UnconvError(f"{_NAME}: weight is a {type(weight).__name__}; give a torch.Tensor")
    count = weight.ndim - 2
    if not 1 <= count <= 3:
        raise UnconvError(
            f"{_NAME}: weight of shape {tuple(weight.shape)} has {weight.ndim} dimensions; it needs "
            "(in, out / groups, *kernel) with 1, 2 or 3 kernel sizes"
        )
    return count


def _check_tensors(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    for name, value in (("input", x), ("bias", bias)):
        if not isinstance(value, Tensor) and not (name == "bias" and value is None):
            raise UnconvError(f"{_NAME}: {name} is a {type(value).__name__}; give a torch.Tensor")
    count = weight.ndim - 2
    if x.ndim not in (count + 1, count + 2):
        raise UnconvError(
            f"{_NAME}: input of shape {tuple(x.shape)} does not fit a weight of shape {tuple(weight.shape)}; it needs "
            f"(channels, *size) or (batch, channels, *size) with {count} sizes"
        )
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and (tensor.dtype, tensor.device) != (x.dtype, x.device):
            raise UnconvError(
                f"{_NAME}: input is {x.dtype} on {x.device}, {name} is {tensor.dtype} on {tensor.device}; "
                "convert one of them"
            )


def _check_channels(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    channels = x.shape[1 - weight.ndim]
    if channels != weight.shape[0]:
        raise UnconvError(
            f"{_NAME}: input has {channels} channels, weight of shape {tuple(weight.shape)} takes {weight.shape[0]}"
        )
    if 0 in weight.shape:
        raise UnconvError(f"{_NAME}: weight of shape {tuple(weight.shape)} is empty; it needs one entry at least")
    if channels % groups:
        raise UnconvError(f"{_NAME}: groups {groups} does not divide the {channels} input channels")
    out = weight.shape[1] * groups
    if bias is not None and tuple(bias.shape) != (out,):
        raise UnconvError(
            f"{_NAME}: bias of shape {tuple(bias.shape)} does not fit {out} output channels; give ({out},)"
        )


def _check_sizes(x: Tensor, weight: Tensor, arguments: TransposeArguments) -> None:
    sizes = x.shape[2 - weight.ndim :]
    for n, (size, k, s, p, a, d) in enumerate(zip(sizes, weight.shape[2:], *arguments.spatial, strict=True)):
        where = "" if len(sizes) == 1 else f" on axis {n}"
        if size < 1:
            raise GeometryError(f"{_NAME}: input size {size}{where} is empty; it needs one cell at least")
        if a >= max(s, d):
            raise GeometryError(
                f"{_NAME}: output padding {a}{where} must be smaller than the stride {s} or the dilation {d}; it only "
                f"chooses among the {s} sizes that a convolution of that stride maps to {size}"
            )
        output = transpose_output_size(size, k, s, (p, p), a, d)
        if output < 1:
            raise GeometryError(
                f"{_NAME}: input {size}, kernel {k}, stride {s}, padding {p}, dilation {d}{where} leave {output} "
                "outputs; reduce the padding"
            )

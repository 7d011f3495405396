"""A transposed convolution in its three forms with the same outputs: transposed, sub-pixel, zeros between cells."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.choices import TransposedForm
from unconv.errors import GeometryError
from unconv.operators.by_axes import CONV_LAYER, CONV_TRANSPOSE_LAYER
from unconv.operators.geometry.conv import ConvTransposeGeometry
from unconv.operators.geometry.sizes import Size
from unconv.operators.transpose.arguments import TransposeArguments
from unconv.operators.transpose.blocks import flipped, stretch
from unconv.upsample.phases import blocks_by_axis, phase_kernels, transposed_kernels
from unconv.upsample.subpixel import SubPixel1d, SubPixel2d, SubPixel3d, pixel_shuffle
from unconv.upsample.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from unconv.upsample.upsamplers import upsampler_name

FORMS: tuple[TransposedForm, ...] = ("transposed", "sub-pixel", "zero-insertion")

_TRANSPOSED = tuple(CONV_TRANSPOSE_LAYER.values())


@dataclass(frozen=True)
class Original:
    """The transposed convolution that a form stands for.

    Attributes:
        kernel_size: one number per axis.
        arguments: stride, padding, output padding and dilation, likewise, and groups.
    """

    kernel_size: tuple[int, ...]
    arguments: TransposeArguments

    def geometry(self, input_size: Size) -> ConvTransposeGeometry:
        """Its geometry, for an input of some size."""
        one = self.arguments
        settings = (one.stride, one.padding, one.output_padding, one.dilation)
        return ConvTransposeGeometry(input_size, self.kernel_size, *settings)


class _Form(nn.Module):
    """A transposed convolution as a convolution of something else."""

    def __init__(self, conv: nn.Module, original: Original) -> None:
        super().__init__()
        self.conv = conv
        self.original = original

    @property
    def axes(self) -> int:
        """How many axes of size there are."""
        return len(self.original.kernel_size)

    def geometry(self, input_size: Size) -> ConvTransposeGeometry:
        """That of the transposed convolution, for an input of some size."""
        return self.original.geometry(input_size)


class SubPixelForm(_Form):
    """A transposed convolution as a convolution at low resolution and a pixel shuffle: what :func:`convert` makes.

    Attributes:
        conv: the convolution; its kernels are the phases of the transposed ones.
        original: the geometry of the transposed convolution.
    """

    def forward(self, x: Float[Tensor, "batch channel *size"]) -> Float[Tensor, "batch out *larger_size"]:
        """What the transposed convolution returns."""
        blocks = blocks_by_axis(self.original.kernel_size, self.original.arguments)
        # Of an input of one cell; what comes after it is the same for others.
        low: Tensor = self.conv(_padded(x, [(axis.before, axis.after) for axis in blocks]))
        y = pixel_shuffle(low, self.original.arguments.stride)
        for n, axis in enumerate(blocks, start=2):
            surplus = axis.count * axis.stride - axis.skip - axis.output_size
            if axis.skip or surplus:
                y = y.narrow(n, axis.skip, y.shape[n] - axis.skip - surplus)
        return y


class ZeroInsertion(_Form):
    """A transposed convolution as a convolution, stride 1, over the input with zeros between its cells.

    The form in which the guide to convolution arithmetic draws it (Dumoulin & Visin 2016, relation 14). Slow: most
    products are with zeros.

    Attributes:
        conv: the convolution, with flipped kernels.
        original: the geometry of the transposed convolution.
    """

    def forward(self, x: Float[Tensor, "batch channel *size"]) -> Float[Tensor, "batch out *larger_size"]:
        """What the transposed convolution returns."""
        one = self.original.arguments
        rows = zip(self.original.kernel_size, one.padding, one.dilation, one.output_padding, strict=True)
        pads = [(d * (k - 1) - p, d * (k - 1) - p + more) for k, p, d, more in rows]
        y: Tensor = self.conv(_padded(stretch(x, one.stride), pads))
        return y


@tell_wrong_arguments
def convert(layer: nn.Module, to: TransposedForm) -> nn.Module:
    """A layer in another form that returns the same, with its weights carried over.

    Args:
        layer: :class:`torch.nn.ConvTranspose1d` to 3d, a ``SubPixel`` layer, or what this function returned.
        to: ``"transposed"``, ``"sub-pixel"`` (convolution at low resolution, pixel shuffle), or ``"zero-insertion"``
            (convolution of the input with zeros between its cells).

    Returns:
        A new module with parameters of its own, on the same device, of the same dtype and mode.

    Raises :class:`~unconv.errors.GeometryError` for other layers, and for a sub-pixel layer whose bias differs from
    phase to phase: a transposed convolution has one number for each channel.

    >>> import torch
    >>> layer = nn.ConvTranspose2d(3, 2, 5, stride=2, padding=2, output_padding=1)
    >>> x = torch.randn(1, 3, 6, 7)
    >>> bool(torch.allclose(convert(layer, "sub-pixel")(x), layer(x), atol=1e-6))
    True
    """
    to = upsampler_name(to)  # type: ignore[assignment]
    if to not in FORMS:
        raise GeometryError(f"convert: {to!r} is not one of {', '.join(FORMS)}")
    original, weight, bias = _taken_apart(layer)
    if to == "transposed":
        made = _transposed(original, weight, bias)
    elif to == "sub-pixel":
        made = _subpixel(original, weight, bias)
    else:
        made = _zero_insertion(original, weight, bias)
    wanted = [one.requires_grad for one in layer.parameters()]
    return made.requires_grad_(all(wanted)).train(layer.training)


def _taken_apart(layer: nn.Module) -> tuple[Original, Tensor, Tensor | None]:
    """The geometry, the kernels as a transposed convolution's, and the bias."""
    conv: Any = layer
    if isinstance(layer, _TRANSPOSED):
        # A subclass may return something else: these two come to sizes of their own, and others are not known.
        if type(layer) not in (*_TRANSPOSED, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d):
            raise GeometryError(
                f"convert: {type(layer).__name__} may take its size from its input; give torch's ConvTranspose"
                f"{len(layer.kernel_size)}d"
            )
        arguments = TransposeArguments(conv.stride, conv.padding, conv.output_padding, conv.dilation, conv.groups)
        return Original(conv.kernel_size, arguments), conv.weight, conv.bias
    if isinstance(layer, SubPixelForm | ZeroInsertion):
        original, inner = layer.original, layer.conv
        weight, bias = inner.weight, inner.bias
        assert isinstance(weight, Tensor)
        assert bias is None or isinstance(bias, Tensor)
        arguments = original.arguments
        if isinstance(layer, ZeroInsertion):
            return original, flipped(weight, arguments.groups), bias
        kernels = transposed_kernels(weight, original.kernel_size, arguments)
        return original, kernels, _one_bias(bias, arguments.stride)
    if isinstance(layer, SubPixel1d | SubPixel2d | SubPixel3d):
        inner, factor = layer.conv, layer.scale_factor
        kernel = tuple(k * s for k, s in zip(inner.kernel_size, factor, strict=True))
        # Torch puts the odd cell of SAME behind, which is in front here.
        padding = tuple(s * ((k - 1) - (k - 1) // 2) for k, s in zip(inner.kernel_size, factor, strict=True))
        surplus = tuple(s * ((k - 1) % 2) for k, s in zip(inner.kernel_size, factor, strict=True))
        if any(surplus):
            raise GeometryError(
                f"convert: a sub-pixel layer with kernel {inner.kernel_size} pads its two sides unequally, which no "
                "transposed convolution of torch does; use odd kernels"
            )
        arguments = TransposeArguments.of(len(factor), factor, padding)
        kernels = transposed_kernels(inner.weight, kernel, arguments)
        return Original(kernel, arguments), kernels, _one_bias(inner.bias, factor)
    raise GeometryError(
        f"convert: {type(layer).__name__} is no transposed convolution; give ConvTranspose1d, 2d or 3d, a sub-pixel "
        "layer, or what convert returned"
    )


def _one_bias(bias: Tensor | None, stride: tuple[int, ...]) -> Tensor | None:
    if bias is None:
        return None
    by_phase = bias.reshape(-1, prod(stride))
    if not bool((by_phase == by_phase[:, :1]).all()):
        raise GeometryError(
            "convert: the bias differs from phase to phase, and a transposed convolution has one number for each "
            "channel; make them equal, or leave the bias out"
        )
    return by_phase[:, 0]


def _transposed(original: Original, weight: Tensor, bias: Tensor | None) -> nn.Module:
    one = original.arguments
    kind: Any = CONV_TRANSPOSE_LAYER[len(one.stride)]
    layer = kind(
        weight.shape[0],
        weight.shape[1] * one.groups,
        original.kernel_size,
        one.stride,
        one.padding,
        one.output_padding,
        one.groups,
        bias is not None,
        one.dilation,
        device="meta",
    )
    return _filled(layer, weight, bias)


def _subpixel(original: Original, weight: Tensor, bias: Tensor | None) -> nn.Module:
    kernels = phase_kernels(weight, original.arguments)
    repeated = None if bias is None else bias.repeat_interleave(prod(original.arguments.stride))
    return SubPixelForm(_convolution(kernels, repeated, original.arguments.groups, 1), original)


def _zero_insertion(original: Original, weight: Tensor, bias: Tensor | None) -> nn.Module:
    one = original.arguments
    return ZeroInsertion(_convolution(flipped(weight, one.groups), bias, one.groups, one.dilation), original)


def _convolution(kernels: Tensor, bias: Tensor | None, groups: int, dilation: Any) -> nn.Module:
    kind: Any = CONV_LAYER[kernels.ndim - 2]
    layer = kind(
        kernels.shape[1] * groups,
        kernels.shape[0],
        tuple(kernels.shape[2:]),
        groups=groups,
        dilation=dilation,
        bias=bias is not None,
        device="meta",
    )
    return _filled(layer, kernels, bias)


def _filled(layer: Any, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A layer made without memory, with these values: copies, so that nothing is shared."""
    layer.weight = nn.Parameter(weight.detach().clone().contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    made: nn.Module = layer
    return made


def _padded(x: Tensor, pads: list[tuple[int, int]]) -> Tensor:
    sides = [side for pair in reversed(pads) for side in pair]
    return F.pad(x, sides) if any(sides) else x

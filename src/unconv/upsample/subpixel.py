"""Sub-pixel convolution: many channels at low resolution, shuffled into few at high."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from unconv._renamed import renamed
from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError, UnconvError
from unconv.operators.geometry.conv import ConvTransposeGeometry
from unconv.operators.geometry.sizes import Size, per_axis
from unconv.upsample.first_cells import WithFactor, first_cells
from unconv.upsample.initialise import icnr_
from unconv.upsample.same import same_convolution


@tell_wrong_arguments
@renamed(factor="upscale_factor", x="input")
def pixel_shuffle(
    input: Shaped[Tensor, "batch channel_phases *size"],
    upscale_factor: Size,
) -> Shaped[Tensor, "batch channel *larger_size"]:
    """Channels to positions, in one, two or three dimensions, as :func:`torch.nn.functional.pixel_shuffle` in two.

    Phases follow each other, the last axis first, within a channel, as in torch. Raises
    :class:`~unconv.errors.GeometryError` where channels are no multiple of the phases.

    >>> pixel_shuffle(torch.tensor([[[1, 3], [2, 4]]]), upscale_factor=2)
    tensor([[[1, 2, 3, 4]]])
    """
    if not isinstance(input, Tensor):
        raise UnconvError(f"pixel shuffle: input is a {type(input).__name__}; give a torch.Tensor")
    x = input
    count = x.ndim - 2
    factors = per_axis("pixel shuffle", "upscale_factor", upscale_factor, count, least=1)
    phases = prod(factors)
    if x.shape[1] % phases:
        raise GeometryError(f"pixel shuffle: {x.shape[1]} channels are no multiple of the {phases} phases of {factors}")
    if count == 2 and factors[0] == factors[1]:
        return F.pixel_shuffle(x, factors[0])
    split = x.reshape(len(x), x.shape[1] // phases, *factors, *x.shape[2:])
    # (batch, channel, *factors, *size) to (batch, channel, size, factor, size, factor, ...)
    order = [axis for n in range(count) for axis in (2 + count + n, 2 + n)]
    sizes = [size * step for size, step in zip(x.shape[2:], factors, strict=True)]
    return split.permute(0, 1, *order).reshape(len(x), x.shape[1] // phases, *sizes)


class _SubPixel(WithFactor):
    axes: int

    @renamed(factor="scale_factor")
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        scale_factor: Size = 2,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.scale_factor = per_axis("sub-pixel", "scale_factor", scale_factor, self.axes, least=1)
        channels = out_channels * prod(self.scale_factor)
        self.conv = same_convolution(self.axes, in_channels, channels, kernel_size, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """ICNR: a fresh layer is a convolution, resized to the nearest, without a pattern."""
        icnr_(self.conv.weight, self.scale_factor)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(
        self, x: Float[Tensor, "batch channel *size"], output_size: Size | Tensor | None = None
    ) -> Float[Tensor, "batch out *larger_size"]:
        """The output, ``scale_factor`` times as large; or its first cells, where a size or tensor is given."""
        y: Tensor = pixel_shuffle(self.conv(x), self.scale_factor)
        return first_cells(y, output_size, self.scale_factor, "sub-pixel")

    def geometry(self, input_size: Size) -> ConvTransposeGeometry:
        """That of the transposed convolution with the same connections, for an input of some size."""
        kernels = per_axis("sub-pixel", "kernel", self.conv.kernel_size, self.axes, least=1)
        # Torch puts the odd cell of SAME behind, which is in front here.
        rows = zip(kernels, self.scale_factor, strict=True)
        padding = [(s * (k // 2), s * ((k - 1) // 2)) for k, s in rows]
        spans = tuple(k * s for k, s in zip(kernels, self.scale_factor, strict=True))
        return ConvTransposeGeometry(input_size, spans, self.scale_factor, padding)

    def extra_repr(self) -> str:
        """Arguments that the convolution inside does not show."""
        return f"scale_factor={self.scale_factor}"


@tell_wrong_arguments
class SubPixel1d(_SubPixel):
    """:class:`SubPixel2d` along one axis."""

    axes = 1


@tell_wrong_arguments
class SubPixel2d(_SubPixel):
    """A convolution that makes ``scale_factor``² times the channels, and a shuffle of these into space (Shi 2016).

    Begins without a checkerboard pattern (ICNR, Aitken et al. 2017).

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: of the convolution at low resolution; an int, or one per axis.
        scale_factor: by which each axis grows; an int, or one per axis.
        bias, device, dtype: as in torch.

    >>> SubPixel2d(8, 3, scale_factor=2)(torch.randn(1, 8, 7, 5)).shape
    torch.Size([1, 3, 14, 10])
    """

    axes = 2


@tell_wrong_arguments
class SubPixel3d(_SubPixel):
    """:class:`SubPixel2d` along three axes."""

    axes = 3

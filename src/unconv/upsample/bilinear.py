"""Bilinear upsampling as a layer, fixed or learned from there on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from unconv._renamed import renamed
from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.geometry.sizes import Size, per_axis
from unconv.operators.transpose.conv_transpose import conv_transpose
from unconv.upsample.first_cells import WithFactor, first_cells
from unconv.upsample.initialise import bilinear_, bilinear_geometry

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


class _Bilinear(WithFactor):
    axes: int

    @renamed(factor="scale_factor")
    def __init__(
        self,
        channels: int,
        scale_factor: Size = 2,
        learnable: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if channels < 1:
            raise GeometryError(f"bilinear: {channels} channels; give 1 or more")
        self.channels = channels
        self.scale_factor = per_axis("bilinear", "scale_factor", scale_factor, self.axes, least=1)
        self.weight: nn.Parameter | None = None
        if learnable:
            kernel = tuple(bilinear_geometry(step)[0] for step in self.scale_factor)
            self.weight = nn.Parameter(torch.empty((channels, 1, *kernel), device=device, dtype=dtype))
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Back to interpolation."""
        if self.weight is not None:
            bilinear_(self.weight, self.scale_factor, groups=self.channels)

    def forward(
        self, x: Float[Tensor, "batch channel *size"], output_size: Size | Tensor | None = None
    ) -> Float[Tensor, "batch channel *larger_size"]:
        """The output, ``scale_factor`` times as large; or its first cells, where a size or tensor is given."""
        if x.ndim != self.axes + 2 or x.shape[1] != self.channels:
            raise GeometryError(
                f"bilinear: shape {tuple(x.shape)} is not (batch, {self.channels}, {', '.join(['size'] * self.axes)})"
            )
        whole = tuple(size * step for size, step in zip(x.shape[2:], self.scale_factor, strict=True))
        return first_cells(self._upsampled(x, whole), output_size, self.scale_factor, "bilinear")

    def _upsampled(self, x: Tensor, whole: tuple[int, ...]) -> Tensor:
        if self.weight is None:
            return F.interpolate(x, size=whole, mode=_MODES[self.axes], align_corners=False)
        # One cell more on each side, a copy of the last: interpolation at the borders too.
        sides = [1] * (2 * self.axes)
        padding = tuple(step + bilinear_geometry(step)[1] for step in self.scale_factor)
        return conv_transpose(
            F.pad(x, sides, mode="replicate"),
            self.weight,
            stride=self.scale_factor,
            padding=padding,
            groups=self.channels,
        )

    def extra_repr(self) -> str:
        """Arguments."""
        return f"{self.channels}, scale_factor={self.scale_factor}, learnable={self.weight is not None}"


@tell_wrong_arguments
class Bilinear1d(_Bilinear):
    """:class:`Bilinear2d` along one axis."""

    axes = 1


@tell_wrong_arguments
class Bilinear2d(_Bilinear):
    """Bilinear interpolation, as it is or where learning begins (Long, Shelhamer & Darrell 2015, section 3.3).

    Fixed it is :func:`torch.nn.functional.interpolate` with ``align_corners=False``; learnable it is a depthwise
    transposed convolution that starts equal to that, borders included.

    Args:
        channels: of input and output.
        scale_factor: by which each axis grows; an int, or one per axis.
        learnable: whether its kernels are parameters.
        device, dtype: of these.

    Raises :class:`~unconv.errors.GeometryError` for another number of channels, and for sizes out of reach.

    >>> x = torch.rand(1, 4, 5, 7)
    >>> bool(torch.allclose(Bilinear2d(4)(x), Bilinear2d(4, learnable=True)(x), atol=1e-6))
    True
    """

    axes = 2


@tell_wrong_arguments
class Bilinear3d(_Bilinear):
    """:class:`Bilinear2d` along three axes."""

    axes = 3

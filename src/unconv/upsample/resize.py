"""Resize-convolution: interpolation first, then a convolution that sees all positions alike."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconv._renamed import renamed
from unconv.arguments import tell_wrong_arguments
from unconv.choices import ResizeMode
from unconv.errors import UnconvError
from unconv.operators.geometry.sizes import Size, per_axis
from unconv.upsample.first_cells import WithFactor
from unconv.upsample.same import same_convolution
from unconv.upsample.sized import wanted_sizes

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class _ResizeConv(WithFactor):
    axes: int

    @renamed(factor="scale_factor")
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size = 3,
        scale_factor: Size = 2,
        mode: ResizeMode = "nearest",
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if mode not in ("nearest", "linear"):
            raise UnconvError(f"resize-convolution: mode {mode!r} is not 'nearest' or 'linear'")
        self.scale_factor = per_axis("resize-convolution", "scale_factor", scale_factor, self.axes, least=1)
        self.mode = mode
        self.conv = same_convolution(self.axes, in_channels, out_channels, kernel_size, bias, device, dtype)

    def forward(
        self, x: Float[Tensor, "batch channel *size"], output_size: Size | Tensor | None = None
    ) -> Float[Tensor, "batch out *larger_size"]:
        """The output, in the size asked for: ints, or a tensor that has it; else ``scale_factor`` times the input's."""
        asked = wanted_sizes("resize-convolution", output_size, x.ndim, self.axes)
        whole = [size * step for size, step in zip(x.shape[2:], self.scale_factor, strict=True)]
        sizes = whole if asked is None else list(asked)
        if self.mode == "nearest":
            # Unlike "nearest", which is off by one cell for some sizes.
            return self.conv(F.interpolate(x, size=sizes, mode="nearest-exact"))  # type: ignore[no-any-return]
        return self.conv(F.interpolate(x, size=sizes, mode=_LINEAR[self.axes], align_corners=False))  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Arguments that the convolution inside does not show."""
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}"


@tell_wrong_arguments
class ResizeConv1d(_ResizeConv):
    """:class:`ResizeConv2d` along one axis."""

    axes = 1


@tell_wrong_arguments
class ResizeConv2d(_ResizeConv):
    """Interpolation, to the nearest or linear, and a convolution of stride 1 (Odena, Dumoulin & Olah 2016).

    All output cells see the same number of taps: what the layer makes of a constant has no pattern, whatever it learns.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: of the convolution at high resolution; an int, or one per axis.
        scale_factor: by which each axis grows; an int, or one per axis.
        mode: ``"nearest"`` or ``"linear"``.
        bias, device, dtype: as in torch.

    >>> ResizeConv2d(8, 3)(torch.randn(1, 8, 7, 5)).shape, ResizeConv2d(8, 3)(torch.randn(1, 8, 7, 5), (13, 9)).shape
    (torch.Size([1, 3, 14, 10]), torch.Size([1, 3, 13, 9]))
    """

    axes = 2


@tell_wrong_arguments
class ResizeConv3d(_ResizeConv):
    """:class:`ResizeConv2d` along three axes."""

    axes = 3

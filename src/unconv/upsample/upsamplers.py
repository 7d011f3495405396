"""Upsamplers: layers that double the size, by name, one for another in the same network."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.choices import PaddingName, UpsamplerName
from unconv.errors import GeometryError, UnconvError
from unconv.operators.geometry.sizes import Size
from unconv.upsample.bilinear import Bilinear1d, Bilinear2d, Bilinear3d
from unconv.upsample.resize import ResizeConv1d, ResizeConv2d, ResizeConv3d
from unconv.upsample.same import same_convolution
from unconv.upsample.subpixel import SubPixel1d, SubPixel2d, SubPixel3d
from unconv.upsample.to_size import TO_SIZE

_SUBPIXEL = {1: SubPixel1d, 2: SubPixel2d, 3: SubPixel3d}
_RESIZE = {1: ResizeConv1d, 2: ResizeConv2d, 3: ResizeConv3d}
_BILINEAR = {1: Bilinear1d, 2: Bilinear2d, 3: Bilinear3d}


class Doubling(nn.Module):
    """A layer whose output has twice the size, or, where a reference is given, the first cells of that.

    The cells that a reference leaves out are always those at the end, so that odd and even sizes lie alike.

    Args:
        name: of the kind of layer, as it was asked for.
        axes: how many axes of size it doubles.
        layer: what does it; transposed convolutions are told the size.
    """

    def __init__(self, name: str, axes: int, layer: nn.Module) -> None:
        super().__init__()
        self.name = name
        self.axes = axes
        self.layer = layer

    def forward(
        self, x: Float[Tensor, "batch channel *size"], size_of: Tensor | Sequence[int] | None = None
    ) -> Float[Tensor, "batch out *larger_size"]:
        """The output: 2i along each axis, or the size of the reference, which is 2i or 2i − 1."""
        if x.ndim != self.axes + 2:
            raise GeometryError(
                f"upsampler {self.name}: shape {tuple(x.shape)} is not (batch, channels, "
                f"{', '.join(['size'] * self.axes)}); dim={self.axes} was asked for"
            )
        whole = tuple(2 * size for size in x.shape[2:])
        sizes = whole if size_of is None else self._asked(whole, size_of)
        takes_size = isinstance(self.layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        y: Tensor = self.layer(x, whole) if takes_size else self.layer(x)
        for axis, (size, most) in enumerate(zip(sizes, whole, strict=True), start=2):
            if size != most:
                y = y.narrow(axis, 0, size)
        return y

    def _asked(self, whole: tuple[int, ...], size_of: Tensor | Sequence[int]) -> tuple[int, ...]:
        sizes = tuple(size_of.shape[-self.axes :]) if isinstance(size_of, Tensor) else tuple(size_of)
        if len(sizes) != self.axes:
            raise GeometryError(f"upsampler {self.name}: size {sizes} has not {self.axes} axes")
        for axis, (size, most) in enumerate(zip(sizes, whole, strict=True)):
            if not most - 1 <= size <= most:
                raise GeometryError(
                    f"upsampler {self.name}: {most // 2} cells on axis {axis} come to {most - 1} or {most}, not to "
                    f"{size}; halve it with ceil_mode=True, or with a padded convolution of stride 2"
                )
        return sizes

    def extra_repr(self) -> str:
        """The name."""
        return repr(self.name)


_Maker: TypeAlias = Callable[[int, int, int, Size], nn.Module]


def _transposed(kernel_size: int) -> _Maker:
    # With k = 3, SAME would lie differently for odd and for even sizes; padding 1 does not.
    padding: int | PaddingName = 1 if kernel_size == 3 else "same_upper"
    return lambda inputs, outputs, dim, by: TO_SIZE[dim](inputs, outputs, kernel_size, stride=by, padding=padding)


def _subpixel(inputs: int, outputs: int, dim: int, scale_factor: Size) -> nn.Module:
    layer = _SUBPIXEL[dim](inputs, outputs, scale_factor=scale_factor)
    # As ICNR begins, but for the tie between phases: else two initialisations would be compared.
    nn.init.kaiming_normal_(layer.conv.weight)
    return layer


def _bilinear(inputs: int, outputs: int, dim: int, scale_factor: Size) -> nn.Module:
    # Interpolation weights add up to one, so the 1×1 convolution may come first, where there are fewer cells.
    first = same_convolution(dim, inputs, outputs, 1, True, None, None)
    return nn.Sequential(first, _BILINEAR[dim](outputs, scale_factor))


_MAKERS: dict[str, _Maker] = {
    "transposed-k2": _transposed(2),
    "transposed-k3": _transposed(3),
    "transposed-k4": _transposed(4),
    "sub-pixel": _subpixel,
    "sub-pixel-icnr": lambda inputs, outputs, dim, by: _SUBPIXEL[dim](inputs, outputs, scale_factor=by),
    "resize": lambda inputs, outputs, dim, by: _RESIZE[dim](inputs, outputs, scale_factor=by),
    "bilinear": _bilinear,
}

UPSAMPLERS: tuple[UpsamplerName, ...] = tuple(_MAKERS)  # type: ignore[arg-type]

# Other words for sub-pixel convolution, as they are written elsewhere and were written here.
_SUB_PIXEL = re.compile(r"(sub[-_ ]?pixel|pixel[-_ ]?shuffle)(?=$|[-_ ])", re.IGNORECASE)


def upsampler_name(name: str) -> str:
    """The name of a kind of upsampler in its one spelling; what is none stays as it is.

    >>> upsampler_name("subpixel"), upsampler_name("pixel_shuffle"), upsampler_name("subpixel_icnr")
    ('sub-pixel', 'sub-pixel', 'sub-pixel-icnr')
    """
    found = _SUB_PIXEL.match(name) if isinstance(name, str) else None
    return f"sub-pixel{name[found.end() :].lower().replace('_', '-').replace(' ', '-')}" if found else name


def make_upsampler(name: str, in_channels: int, out_channels: int, dim: int, scale_factor: Size) -> nn.Module:
    """The layer of that kind by itself, for any scale factor: an int, or one per axis.

    >>> make_upsampler("resize", 8, 5, dim=2, scale_factor=(2, 1))
    ResizeConv2d(
      scale_factor=(2, 1), mode='nearest'
      (conv): Conv2d(8, 5, kernel_size=(3, 3), stride=(1, 1), padding=same)
    )
    """
    kind = upsampler_name(name)
    if kind not in _MAKERS:
        raise UnconvError(f"upsampler {name!r}: unknown; it is {', '.join(UPSAMPLERS[:-1])} or {UPSAMPLERS[-1]}")
    if dim not in TO_SIZE:
        raise UnconvError(f"upsampler {kind}: dim {dim!r} is none of 1, 2, 3")
    return _MAKERS[kind](in_channels, out_channels, dim, scale_factor)


@tell_wrong_arguments
def upsampler(name: UpsamplerName, in_channels: int, out_channels: int, dim: int = 2) -> Doubling:
    """A layer that doubles the size of a feature map, by the name of its kind.

    ================  =========================================================================================
    transposed-k2     transposed convolution, stride 2: every output cell has one tap (U-Net's "up-convolution")
    transposed-k3     the same with 1 or 2 taps along an axis: uneven overlap (Odena, Dumoulin & Olah 2016)
    transposed-k4     the same with 2 taps everywhere (DCGAN)
    sub-pixel         convolution 3×3 and pixel shuffle (Shi et al. 2016)
    sub-pixel-icnr    the same, all phases alike at the start (Aitken et al. 2017)
    resize            repetition of the nearest cell, then a convolution 3×3 (Odena et al. 2016)
    bilinear          fixed interpolation, and a 1×1 convolution for the channels
    ================  =========================================================================================

    Called with a second argument, a tensor or a size, it comes to that size: 2i or 2i − 1, the sizes that a halving
    rounded up brings to i.

    Args:
        name: one of those above; ``subpixel`` and ``pixel-shuffle`` are other words for ``sub-pixel``.
        in_channels: of the input.
        out_channels: of the output.
        dim: how many axes of size there are: 1, 2 or 3.

    Raises :class:`~unconv.errors.UnconvError` for a name or a dim that is none of these; the layer raises
    :class:`~unconv.errors.GeometryError` for sizes out of reach.

    >>> import torch
    >>> up, skip = upsampler("transposed-k4", 8, 5), torch.zeros(1, 3, 45, 44)
    >>> up(torch.zeros(1, 8, 23, 22)).shape, up(torch.zeros(1, 8, 23, 22), skip).shape
    (torch.Size([1, 5, 46, 44]), torch.Size([1, 5, 45, 44]))
    >>> upsampler("cubic", 8, 5)
    Traceback (most recent call last):
    unconv.errors.UnconvError: upsampler 'cubic': unknown; it is transposed-k2, transposed-k3, ... or bilinear
    """
    return Doubling(upsampler_name(name), dim, make_upsampler(name, in_channels, out_channels, dim, 2))

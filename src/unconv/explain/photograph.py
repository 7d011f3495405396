"""A photograph through C and back through Cᵀ: the size comes back, not the values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.describe import by_size
from unconv.errors import GeometryError
from unconv.operators.conv import ConvOperator
from unconv.operators.geometry.structure import MatrixStructure, matrix_structure
from unconv.results import Plotted, draw_with

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class RoundTrip(Plotted):
    """A photograph x, Cx and CᵀCx.

    Args:
        operator: C, the same kernel on every channel.
        picture: x, ``(channel, height, width)``.
        forward: Cx.
        back: CᵀCx, of the size of x.

    >>> trip = round_trip(torch.rand(3, 16, 24), torch.full((3, 3), 1 / 9), stride=2)
    >>> trip.forward.shape, trip.back.shape
    (torch.Size([3, 8, 12]), torch.Size([3, 16, 24]))
    """

    operator: ConvOperator
    picture: Float[Tensor, "channel height width"]
    forward: Float[Tensor, "channel small_height small_width"]
    back: Float[Tensor, "channel height width"]

    @property
    def scale(self) -> float:
        """The factor α that brings αCᵀCx closest to x: ⟨x, CᵀCx⟩ / ‖CᵀCx‖², and ⟨x, CᵀCx⟩ = ‖Cx‖²."""
        return float((self.picture * self.back).sum() / self.back.square().sum())

    @property
    def difference(self) -> float:
        """What is left between x and CᵀCx even at that scale: ‖x − αCᵀCx‖ / ‖x‖."""
        return float((self.picture - self.scale * self.back).norm() / self.picture.norm())

    def plot(self) -> Figure:
        """Draw x, Cx and αCᵀCx. Raises MissingExtraError where matplotlib is not installed."""
        pictures = [self.picture, self.forward, self.scale * self.back]
        figure: Figure = draw_with("unconv.data.thumbnails:plot_pictures", pictures, ["x", "Cx", "αCᵀCx"])
        return figure

    def _heading(self) -> str:
        return f"RoundTrip of {by_size(self.picture.shape)} through {by_size(self.forward.shape)}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "convolution", self.operator.geometry.settings_text()
        yield "difference", f"{self.difference:.1%} of the picture, at the best scale {self.scale:.4g}"

    @property
    def structure(self) -> MatrixStructure:
        """C in numbers."""
        channels = self.picture.shape[0]
        return matrix_structure(self.operator.geometry, channels, channels, channels)


def round_trip(
    picture: Float[Tensor, "channel height width"], kernel: Float[Tensor, "rows columns"], stride: int = 1
) -> RoundTrip:
    """Send a photograph through a convolution and back through its transpose.

    x ↦ Cx ↦ CᵀCx: the convolution and its backward pass (Dumoulin & Visin 2016, section 4.1). CᵀC is a correlation
    with the kernel's autocorrelation, uneven from place to place when the stride is larger than 1; not the identity.

    Args:
        picture: ``(channel, height, width)``.
        kernel: one kernel for every channel, of odd size; padding is half of it.
        stride: step of the convolution.

    Raises GeometryError for kernels of even size, and as ConvOperator does.
    """
    if any(side % 2 == 0 for side in kernel.shape):
        raise GeometryError(f"round trip: kernel {tuple(kernel.shape)} has an even side; half padding needs odd ones")
    channels, *size = picture.shape
    weight = kernel.to(picture).expand(channels, 1, *kernel.shape)
    padding = tuple(side // 2 for side in kernel.shape)
    C = ConvOperator(weight, tuple(size), stride=stride, padding=padding, groups=channels)
    forward = C @ picture
    return RoundTrip(C, picture, forward, C.T @ forward)


BINOMIAL = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 1.0])) / 16
MEAN = torch.full((3, 3), 1 / 9)
LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def show_signed(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Values of both signs as a picture in [0, 1]: zero is mid-grey; 1 value in 100 is clipped.

    >>> show_signed(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    magnitudes = values.abs().flatten()
    scale = magnitudes.kthvalue(max(1, magnitudes.numel() - magnitudes.numel() // 100)).values
    return (0.5 + values / (2 * scale)).clamp(0, 1) if scale > 0 else torch.full_like(values, 0.5)

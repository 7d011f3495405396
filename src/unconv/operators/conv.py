"""Convolution as a linear operator C, whose transpose Cᵀ is the transposed convolution."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.by_axes import CONV
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.sizes import Padding, Size
from unconv.operators.geometry.structure import axis_entries, matrix_structure
from unconv.operators.linear import LinearOperator, check_matrix_size, cut, sparse_matrix
from unconv.operators.transpose.conv_transpose import conv_transpose


@tell_wrong_arguments
@dataclass(frozen=True, eq=False, repr=False, init=False)
class ConvOperator(LinearOperator):
    """Convolution of torch's kind (a cross-correlation) as a matrix that is never stored: y = Cx, and x′ = Cᵀy.

    A convolution's forward pass multiplies with C, its backward pass with Cᵀ; a transposed convolution does the
    opposite (Dumoulin & Visin 2016, §4.1–4.2). Cᵀ brings the *size* back, not the values: CᵀC ≠ I.

    ``weight`` has shape (out, in / groups, *kernel); ``input_size``, ``stride``, ``padding`` and ``dilation`` are
    those of :class:`~unconv.ConvGeometry`. Raises :class:`~unconv.errors.GeometryError` where they do not fit.

    >>> C = ConvOperator(torch.ones(1, 1, 3, 3), input_size=(4, 4))
    >>> x = torch.arange(16.0).reshape(1, 4, 4)
    >>> (C @ x).shape, (C.T @ (C @ x)).shape, tuple(C.matrix().shape)
    (torch.Size([1, 2, 2]), torch.Size([1, 4, 4]), (4, 16))
    """

    weight: Tensor
    geometry: ConvGeometry
    groups: int

    def __init__(
        self,
        weight: Float[Tensor, "out in_per_group *kernel"],
        input_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> None:
        count = _kernel_axes(weight)
        if not weight.is_floating_point():
            raise GeometryError(f"conv: a weight of {weight.dtype} has no transpose to speak of; use a float dtype")
        if groups < 1 or weight.shape[0] % groups:
            raise GeometryError(
                f"conv: groups {groups} does not divide the {weight.shape[0]} output channels of the weight"
            )
        sizes = (input_size,) * count if isinstance(input_size, int) else tuple(input_size)
        geometry = ConvGeometry(sizes, tuple(weight.shape[2:]), stride, padding, dilation)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "geometry", geometry)
        object.__setattr__(self, "groups", groups)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in channels, *input size)."""
        return (self.weight.shape[1] * self.groups, *self.geometry.input_size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(out channels, *output size)."""
        return (self.weight.shape[0], *self.geometry.output_size)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weight."""
        return self.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weight."""
        return self.weight.device

    def forward(self, x: Float[Tensor, "batch channels *size"]) -> Float[Tensor, "batch out_channels *out_size"]:
        """Cx: the convolution itself."""
        geometry = self.geometry
        before = tuple(pads[0] for pads in geometry.padding)
        if any(pads[0] != pads[1] for pads in geometry.padding):
            x = F.pad(x, [side for pads in reversed(geometry.padding) for side in pads])
            before = (0,) * geometry.dimensions
        convolve = CONV[geometry.dimensions]
        return convolve(x, self.weight, None, geometry.stride, before, geometry.dilation, self.groups)

    def adjoint(self, y: Float[Tensor, "batch channels *size"]) -> Float[Tensor, "batch in_channels *in_size"]:
        """Cᵀy: the transposed convolution, its output padding the convolution's remainder."""
        geometry = self.geometry
        if all(pads[0] == pads[1] for pads in geometry.padding):
            before = tuple(pads[0] for pads in geometry.padding)
            return conv_transpose(
                y, self.weight, None, geometry.stride, before, geometry.remainder, self.groups, geometry.dilation
            )
        full = conv_transpose(y, self.weight, None, geometry.stride, groups=self.groups, dilation=geometry.dilation)
        # The rows under the padding go, and the rows that no window reached come.
        ends = list(zip(full.shape[2:], geometry.input_size, geometry.padding, strict=True))
        missing = [max(0, pads[0] + size - length) for length, size, pads in ends]
        full = F.pad(full, [side for count in reversed(missing) for side in (0, count)])
        return full[cut(geometry.input_size, start=tuple(pads[0] for pads in geometry.padding))]

    def matrix(self) -> Tensor:
        """C as a sparse matrix, differentiable with respect to the weight.

        Row-major in channels and space on both sides, as §4.1 of Dumoulin & Visin (2016) writes it.
        """
        out_channels, in_per_group = self.weight.shape[:2]
        structure = matrix_structure(self.geometry, self.input_shape[0], out_channels, self.groups)
        check_matrix_size("conv", structure.nonzeros, structure.shape)
        taps, outputs, inputs = _flat_entries(self.geometry, self.device)
        rows = torch.arange(out_channels, device=self.device)
        group = rows // (out_channels // self.groups)
        columns = group[:, None] * in_per_group + torch.arange(in_per_group, device=self.device)
        shape = (out_channels, in_per_group, taps.numel())
        row_index = rows[:, None, None] * prod(self.geometry.output_size) + outputs
        column_index = columns[:, :, None] * prod(self.geometry.input_size) + inputs
        values = self.weight.flatten(2)[:, :, taps]
        return sparse_matrix(
            row_index.expand(shape).flatten(), column_index.expand(shape).flatten(), values.flatten(), structure.shape
        )


def _kernel_axes(weight: Tensor) -> int:
    if not isinstance(weight, Tensor):
        raise GeometryError(f"conv: weight is a {type(weight).__name__}; give a tensor (out, in / groups, *kernel)")
    count = weight.ndim - 2
    if not 1 <= count <= 3:
        raise GeometryError(
            f"conv: weight of shape {tuple(weight.shape)} has {max(count, 0)} kernel axes; "
            "it must be (out, in / groups, *kernel) with 1, 2 or 3 of them"
        )
    return count


def _flat_entries(geometry: ConvGeometry, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """(tap, output, input) of every connection, each flattened over the spatial axes in row-major order."""
    axes = [torch.tensor(axis_entries(walk), dtype=torch.long, device=device).reshape(-1, 3) for walk in geometry.walks]
    flat = torch.zeros(3, 1, dtype=torch.long, device=device)
    extents = zip(geometry.kernel_size, geometry.output_size, geometry.input_size, strict=True)
    for entries, extent in zip(axes, extents, strict=True):
        scaled = flat * torch.tensor(extent, device=device)[:, None]
        flat = (scaled[:, :, None] + entries.T[:, None, :]).flatten(1)
    return flat[0], flat[1], flat[2]


@tell_wrong_arguments
def transpose_operator(
    weight: Float[Tensor, "in out_per_group *kernel"],
    input_size: Size,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> LinearOperator:
    """The transposed convolution of torch's arguments as an operator: the ``.T`` of the convolution it belongs to.

    ``weight`` has shape (in, out / groups, *kernel), as in :class:`torch.nn.ConvTranspose2d`.

    >>> up = transpose_operator(torch.ones(1, 1, 3, 3), input_size=3, stride=2, padding=1, output_padding=1)
    >>> up.input_shape, up.output_shape
    ((1, 3, 3), (1, 6, 6))
    """
    count = _kernel_axes(weight)
    sizes = (input_size,) * count if isinstance(input_size, int) else tuple(input_size)
    geometry = ConvTransposeGeometry(sizes, tuple(weight.shape[2:]), stride, padding, output_padding, dilation)
    back = geometry.transpose()
    return ConvOperator(weight, back.input_size, back.stride, back.padding, back.dilation, groups).T

"""Pooling as linear operators: max pooling with its switches fixed, and average pooling.

Max pooling is not linear, but once it is settled which cell won each window (the *switches* of Zeiler & Fergus 2013,
§2.1) it is a matrix with a single 1 in every row, and unpooling is its transpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError, UnconvError
from unconv.operators.by_axes import MAX_POOL
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry
from unconv.operators.geometry.structure import axis_entries
from unconv.operators.linear import LinearOperator, check_matrix_size, cut, sparse_matrix


def switches_of(x: Float[Tensor, "... size"], geometry: MaxPoolGeometry) -> Int64[Tensor, "... out_size"]:
    """Which cell wins each window: flat indices into the spatial axes, as torch's ``return_indices`` gives them.

    ``x`` has shape (*lead, *size) and the result (*lead, *output size).

    >>> switches_of(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), MaxPoolGeometry(input_size=4, kernel_size=2))
    tensor([[1, 2]])
    """
    count = geometry.dimensions
    if tuple(x.shape[x.ndim - count :]) != geometry.input_size or x.ndim < count:
        raise GeometryError(
            f"maxpool: a tensor of shape {tuple(x.shape)} does not end in the input size {geometry.input_size}"
        )
    if any(not walk.touched(output) for walk in geometry.walks for output in range(walk.output_size)):
        raise GeometryError(
            f"maxpool: with kernel {geometry.kernel_size}, dilation {geometry.dilation} and padding {geometry.padding} "
            f"on an input of {geometry.input_size} a window sees padding only and has no winner; reduce padding"
        )
    lead = x.shape[: x.ndim - count]
    before = tuple(pads[0] for pads in geometry.padding)
    x = x.reshape(1, prod(lead), *geometry.input_size)
    shift = (0,) * count
    if any(pads[0] != pads[1] for pads in geometry.padding):
        x = F.pad(x, [side for pads in reversed(geometry.padding) for side in pads], value=float("-inf"))
        before, shift = shift, before
    kernel, step, holes = geometry.kernel_size, geometry.stride, geometry.dilation
    # torch's own rule for ceil_mode knows even padding only: windows past the geometry's size are cut.
    pooled = MAX_POOL[count](x, kernel, step, before, holes, geometry.ceil_mode, return_indices=True)
    found = pooled[1][cut(geometry.output_size)]
    return _unpadded(found, tuple(x.shape[2:]), shift, geometry.input_size).reshape(*lead, *geometry.output_size)


def _unpadded(flat: Tensor, padded: tuple[int, ...], shift: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
    """Flat indices into the padded input as flat indices into the input."""
    if not any(shift) and padded == size:
        return flat
    index = torch.zeros_like(flat)
    for axis, length in enumerate(size):
        coordinate = flat // prod(padded[axis + 1 :]) % padded[axis] - shift[axis]
        index = index * length + coordinate.clamp(0, length - 1)
    return index


@tell_wrong_arguments
@dataclass(frozen=True, eq=False, repr=False, init=False)
class MaxPoolOperator(LinearOperator):
    """Max pooling with fixed switches: y = Px picks the winners, Pᵀy puts values back where they came from.

    Windows may overlap: what several of them send to one cell adds up, as in the gradient. ``switches`` has shape
    (*lead, *output size) with flat indices into the spatial axes, ``lead`` being (channels,) for one sample, or
    (batch, channels) where each sample has its own. Raises
    :class:`~unconv.errors.UnconvError` for indices outside the input.

    >>> x = torch.tensor([[1.0, 3.0, 2.0, 0.0]])
    >>> P = MaxPoolOperator.of(x, MaxPoolGeometry(input_size=4, kernel_size=2))
    >>> P @ x, P.T @ (P @ x)
    (tensor([[3., 2.]]), tensor([[0., 3., 2., 0.]]))
    """

    geometry: MaxPoolGeometry
    switches: Tensor
    dtype: torch.dtype = torch.float32

    def __init__(
        self,
        geometry: MaxPoolGeometry,
        switches: Int64[Tensor, "... out_size"],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        count = geometry.dimensions
        if switches.ndim < count or tuple(switches.shape[switches.ndim - count :]) != geometry.output_size:
            raise GeometryError(
                f"maxpool: switches of shape {tuple(switches.shape)} do not end in the output size "
                f"{geometry.output_size}"
            )
        cells = prod(geometry.input_size)
        if switches.numel() and not 0 <= int(switches.min()) <= int(switches.max()) < cells:
            raise UnconvError(
                f"maxpool: switches {int(switches.min())} … {int(switches.max())} leave the input of {cells} cells"
            )
        object.__setattr__(self, "geometry", geometry)
        object.__setattr__(self, "switches", switches)
        object.__setattr__(self, "dtype", dtype)

    @classmethod
    @tell_wrong_arguments
    def of(cls, x: Float[Tensor, "... size"], geometry: MaxPoolGeometry) -> MaxPoolOperator:
        """The pooling of this very input: its switches are those that ``x`` sets."""
        return cls(geometry, switches_of(x, geometry), x.dtype)

    @property
    def _lead(self) -> tuple[int, ...]:
        return tuple(self.switches.shape[: self.switches.ndim - self.geometry.dimensions])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(*lead, *input size)."""
        return (*self._lead, *self.geometry.input_size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(*lead, *output size)."""
        return (*self._lead, *self.geometry.output_size)

    @property
    def device(self) -> torch.device:
        """Device of the switches."""
        return self.switches.device

    @property
    def _flat_switches(self) -> Tensor:
        return self.switches.reshape(1, prod(self._lead), prod(self.geometry.output_size))

    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Px: the cells that the switches point to."""
        flat = x.reshape(len(x), prod(self._lead), prod(self.geometry.input_size))
        picked = flat.gather(-1, self._flat_switches.expand(len(x), -1, -1))
        return picked.reshape(len(x), *self.output_shape)

    def adjoint(self, y: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """Pᵀy: unpooling, values added where windows share a winner."""
        flat = y.reshape(len(y), prod(self._lead), prod(self.geometry.output_size))
        cells = flat.new_zeros(len(y), prod(self._lead), prod(self.geometry.input_size))
        placed = cells.scatter_add(-1, self._flat_switches.expand(len(y), -1, -1), flat)
        return placed.reshape(len(y), *self.input_shape)

    def matrix(self) -> Tensor:
        """P as a sparse matrix: one 1 in every row."""
        shape = (prod(self.output_shape), prod(self.input_shape))
        check_matrix_size("maxpool", shape[0], shape)
        planes = torch.arange(prod(self._lead), device=self.device)[:, None] * prod(self.geometry.input_size)
        columns = (self._flat_switches[0] + planes).flatten()
        rows = torch.arange(shape[0], device=self.device)
        return sparse_matrix(rows, columns, torch.ones(shape[0], dtype=self.dtype, device=self.device), shape)


@tell_wrong_arguments
@dataclass(frozen=True, eq=False, repr=False)
class AvgPoolOperator(LinearOperator):
    """Average pooling as an operator: a product of one small matrix per axis, since a mean over a box is separable.

    Acts on the trailing spatial axes of ``channels`` planes, with torch's rules for ``ceil_mode`` and
    ``count_include_pad`` (a window that hangs over the padded end counts only up to there).

    >>> A = AvgPoolOperator(AvgPoolGeometry(input_size=(4, 4), kernel_size=2), channels=1)
    >>> A @ torch.arange(16.0).reshape(1, 4, 4)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])
    """

    geometry: AvgPoolGeometry
    channels: int
    dtype: torch.dtype = torch.float32
    device: torch.device = torch.device("cpu")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(channels, *input size)."""
        return (self.channels, *self.geometry.input_size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(channels, *output size)."""
        return (self.channels, *self.geometry.output_size)

    def _axis_matrices(self) -> list[Tensor]:
        """Per axis, the (output × input) matrix of means."""
        matrices = []
        for walk, pads in zip(self.geometry.walks, self.geometry.padding, strict=True):
            matrix = torch.zeros(walk.output_size, walk.input_size, dtype=torch.float64)
            for output in range(walk.output_size):
                cells = [cell for _, cell in walk.touched(output)]
                first = walk.position(output, 0)
                count = min(first + walk.kernel_size, walk.input_size + pads[1]) - first
                matrix[output, cells] = 1 / (count if self.geometry.count_include_pad else len(cells))
            matrices.append(matrix.to(self.device, self.dtype))
        return matrices

    def forward(self, x: Float[Tensor, "batch channels *size"]) -> Float[Tensor, "batch channels *out_size"]:
        """Ax: the means."""
        for axis, matrix in enumerate(self._axis_matrices(), start=2):
            x = (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
        return x

    def adjoint(self, y: Float[Tensor, "batch channels *size"]) -> Float[Tensor, "batch channels *in_size"]:
        """Aᵀy: every mean shared out among its cells."""
        for axis, matrix in enumerate(self._axis_matrices(), start=2):
            y = (y.movedim(axis, -1) @ matrix).movedim(-1, axis)
        return y

    def matrix(self) -> Tensor:
        """A as a sparse matrix, block diagonal in the channels."""
        shape = (prod(self.output_shape), prod(self.input_shape))
        entries = [len(axis_entries(walk)) for walk in self.geometry.walks]
        check_matrix_size("avgpool", self.channels * prod(entries), shape)
        rows, columns = (torch.arange(self.channels, device=self.device),) * 2
        values = torch.ones(self.channels, dtype=self.dtype, device=self.device)
        for matrix in self._axis_matrices():
            sparse = matrix.to_sparse()
            (out, cell), weight = sparse.indices(), sparse.values()
            rows = (rows[:, None] * matrix.shape[0] + out).flatten()
            columns = (columns[:, None] * matrix.shape[1] + cell).flatten()
            values = (values[:, None] * weight).flatten()
        return sparse_matrix(rows, columns, values, shape)

"""Structure of the matrix C: how many of its entries are not zero, and how many of those are different.

Standard library only; the numbers come from the geometry and need no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.walk import Walk
from unconv.tables import html_facts


@dataclass(frozen=True)
class MatrixStructure:
    """C in numbers, against a fully connected layer between the same sizes."""

    shape: tuple[int, int]
    """(outputs, inputs), channels included."""
    nonzeros: int
    """Connections; few, since each output has a *local receptive field*."""
    distinct_weights: int
    """Different numbers among them; fewer still, by *weight sharing*."""

    def _repr_html_(self) -> str:
        facts = [
            ("outputs × inputs", f"{self.shape[0]:,} × {self.shape[1]:,}"),
            ("connections", f"{self.nonzeros:,}, {self.density:.2%} of all"),
            ("distinct weights", f"{self.distinct_weights:,}, each used {self.sharing:,.1f} times"),
            ("weights of a fully connected layer", f"{self.dense_weights:,}"),
        ]
        return f"<div>{html_facts('Structure of the matrix', facts)}</div>"

    @property
    def dense_weights(self) -> int:
        """Weights of a fully connected layer between the same sizes."""
        return self.shape[0] * self.shape[1]

    @property
    def density(self) -> float:
        """Share of the entries that are not zero."""
        return self.nonzeros / self.dense_weights

    @property
    def sharing(self) -> float:
        """How often each weight is used, on average."""
        return self.nonzeros / self.distinct_weights if self.distinct_weights else 0.0


@tell_wrong_arguments
def matrix_structure(
    geometry: ConvGeometry | ConvTransposeGeometry, in_channels: int = 1, out_channels: int = 1, groups: int = 1
) -> MatrixStructure:
    """Shape, non-zeros and distinct weights of C (of Cᵀ for a transposed geometry), biases left out.

    Weights whose tap only ever falls on padding are not in C and not counted. Raises
    :class:`~unconv.errors.GeometryError` where ``groups`` does not divide both channel counts.

    >>> matrix_structure(ConvGeometry(input_size=(4, 4), kernel_size=3))
    MatrixStructure(shape=(4, 16), nonzeros=36, distinct_weights=9)
    """
    if not isinstance(geometry, ConvGeometry | ConvTransposeGeometry):
        raise GeometryError(
            f"structure: needs a ConvGeometry or a ConvTransposeGeometry, not {type(geometry).__name__}; "
            "an operator has one in .geometry"
        )
    if groups < 1 or in_channels < 1 or out_channels < 1 or in_channels % groups or out_channels % groups:
        raise GeometryError(
            f"{geometry.operation}: groups {groups} must divide the {in_channels} input and {out_channels} output "
            "channels"
        )
    channel_pairs = in_channels * out_channels // groups
    uses = [[_length(walk.windows_with(tap)) for tap in range(walk.kernel_size)] for walk in geometry.walks]
    return MatrixStructure(
        shape=(out_channels * prod(geometry.output_size), in_channels * prod(geometry.input_size)),
        nonzeros=channel_pairs * prod(sum(axis) for axis in uses),
        distinct_weights=channel_pairs * prod(sum(count > 0 for count in axis) for axis in uses),
    )


def _length(indices: range) -> int:
    # len() stops at the machine's word; sizes that no machine holds are still numbers.
    return indices.stop - indices.start


def axis_entries(walk: Walk) -> list[tuple[int, int, int]]:
    """(tap, output, input) of every connection along one axis, by output, then tap.

    >>> axis_entries(Walk(input_size=3, output_size=2, kernel_size=2, stride=1, pad_before=0, dilation=1))
    [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 2)]
    """
    return [(tap, output, cell) for output in range(walk.output_size) for tap, cell in walk.touched(output)]

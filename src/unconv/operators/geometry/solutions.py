"""Solutions: the geometries that lead from one size to another, as a list that prints as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from unconv.describe import counted
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.size_texts import padding_text, short_text
from unconv.results import Tabled
from unconv.tables import html_table, text_table

_Found = TypeVar("_Found", bound=Geometry)

SHOWN = 10
"""How many rows a table has unless told."""


@dataclass(frozen=True, eq=False)
class Solutions(Tabled, Sequence[_Found], Generic[_Found]):
    """Geometries from one size to another, the best first: a sequence whose text is a table.

    Each entry is a geometry; ``solutions[0].to_torch(in_channels, out_channels)`` makes a layer of it.

    Attributes:
        input_size: where they begin, per axis.
        output_size: where they lead.
        found: the geometries.
        noun: what they are.

    >>> from unconv.operators.geometry.solve import solve_transpose
    >>> solve_transpose(13, 50, kernel_size=4)
    13 → 50: 2 transposed convolutions, the best first
    kernel  stride  padding  output padding  overlap
    4       4       1        0               even
    4       4       2        2               even
    """

    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    found: tuple[_Found, ...]
    noun: str

    @overload
    def __getitem__(self, index: int) -> _Found: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_Found]: ...
    def __getitem__(self, index: int | slice) -> _Found | Sequence[_Found]:
        """One of the geometries, or several as a tuple."""
        return self.found[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.found)

    def __iter__(self) -> Iterator[_Found]:
        """The geometries, the best first."""
        return iter(self.found)

    def __eq__(self, other: object) -> bool:
        """Whether the other holds the same geometries in the same order, be it a list."""
        if not isinstance(other, Solutions | list | tuple):
            return NotImplemented
        return list(self) == list(other)

    def __hash__(self) -> int:
        """Of the geometries."""
        return hash(self.found)

    def table(self, top: int = SHOWN) -> str:
        """The first ``top`` of them as text."""
        rows = self._cells(top)
        lines = [self._head(), *([text_table(rows, left=len(rows[0]))] if self.found else [])]
        return "\n".join(lines + self._more(top))

    def __repr__(self) -> str:
        """The table."""
        return self.table()

    def _repr_html_(self) -> str:
        rows = self._cells(SHOWN)
        more = "".join(f"<p>{line}</p>" for line in self._more(SHOWN))
        return f"<p>{self._head()}</p>{html_table(rows, left=len(rows[0])) if self.found else ''}{more}"

    def _rows(self) -> Iterator[dict[str, Any]]:
        for geometry in self.found:
            names = ("kernel_size", "stride", "padding", "dilation", "output_padding", "uneven_overlap", "remainder")
            values = {name: getattr(geometry, name) for name in names if hasattr(geometry, name)}
            values["padding"] = tuple(before for before, _ in geometry.padding)
            yield {name: value[0] if len(value) == 1 else value for name, value in values.items()}

    @property
    def ends(self) -> str:
        """From which size to which."""
        return f"{short_text(self.input_size)} → {short_text(self.output_size)}"

    def _head(self) -> str:
        if not self.found:
            return f"{self.ends}: no {self.noun} within the bounds; raise max_kernel_size or max_stride, or fix less"
        return f"{self.ends}: {counted(len(self.found), self.noun)}, the best first"

    def _more(self, top: int) -> list[str]:
        return [f"… {len(self.found) - top} more"] if len(self.found) > top else []

    def _cells(self, top: int) -> list[tuple[str, ...]]:
        dilated = any(set(geometry.dilation) != {1} for geometry in self.found)
        back = any(isinstance(geometry, ConvTransposeGeometry) for geometry in self.found)
        last = ("output padding", "overlap") if back else ("rows unread",)
        rows = [("kernel", "stride", "padding", *(["dilation"] if dilated else []), *last)]
        for geometry in self.found[:top]:
            start = (short_text(geometry.kernel_size), short_text(geometry.stride), padding_text(geometry.padding))
            holes = [short_text(geometry.dilation)] if dilated else []
            if isinstance(geometry, ConvTransposeGeometry):
                ends = (short_text(geometry.output_padding), "uneven" if any(geometry.uneven_overlap) else "even")
                rows.append((*start, *holes, *ends))
            elif isinstance(geometry, ConvGeometry):
                rows.append((*start, *holes, short_text(geometry.remainder)))
        return rows

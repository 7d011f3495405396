"""Working sizes: which input sizes a model takes, axis by axis, as multiples with a remainder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from unconv.describe import by_size, counted
from unconv.network.pad_and_crop import pad_and_crop_code
from unconv.network.run.input_axes import InputAxes
from unconv.results import Shown, Tabled

Sizes = tuple[tuple[int, ...], ...]

# Of sizes that follow no single rule, so many are written out.
MOST = 4


@dataclass(frozen=True)
class AxisSizes:
    """The sizes that work along one axis, others as they are.

    Attributes:
        name: of the axis: as it was told; else length; rows, columns; depth, rows, columns. With the inputs, where
            several change together.
        places: the axes that change together, as (input, place): the n-th of its axes that are no channels.
        multiple: m of the sizes s + m·n that work, n = 0, 1, 2, …; 0 where it is fixed.
        starts: the smallest s of each such row of sizes; of a fixed axis, all that work.
        output: how the output's size follows along the axis, as (a, c) of a·size + c; None where it has no such axis.
        output_dims: which dimensions of the output these are, the batch counted.
    """

    name: str
    places: tuple[tuple[int, int], ...]
    multiple: int
    starts: tuple[int, ...]
    output: tuple[Fraction, Fraction] | None = None
    output_dims: tuple[int, ...] = ()

    @property
    def told(self) -> str:
        """The sizes in a few words.

        >>> AxisSizes("rows", ((0, 0),), 8, (8,)).told, AxisSizes("rows", ((0, 0),), 8, (92,)).told
        ('8n', '92 + 8n')
        >>> AxisSizes("rows", ((0, 0),), 1, (33,)).told, AxisSizes("rows", ((0, 0),), 0, (28, 29)).told
        ('n from 33 on', '28 or 29 only')
        >>> AxisSizes("depth", ((0, 0),), 1, (1,)).told, AxisSizes("depth", ((0, 0),), 0, ()).told
        ('any', 'not known')
        """
        more = "" if len(self.starts) <= MOST else f", and {len(self.starts) - MOST} more"
        if not self.starts:
            return "not known"
        if not self.multiple:
            return " or ".join(map(str, self.starts[:MOST])) + more + " only"
        return " or ".join(_row(start, self.multiple) for start in self.starts[:MOST]) + more

    def takes(self, size: int) -> bool:
        """Whether a size is one of these."""
        if not self.multiple:
            return size in self.starts
        return any(size >= start and (size - start) % self.multiple == 0 for start in self.starts)


@dataclass(frozen=True, repr=False)
class WorkingSizes(Shown, Tabled):
    """Input sizes that a model takes.

    Attributes:
        sizes: of each input, without the batch, from which each axis was changed in turn; they work.
        order: what the axes of each input are.
        axes: what works along each.
        tried: how many sizes were tried.
        complete: whether every size of a period was; others follow from those that were.
    """

    sizes: Sizes
    order: tuple[InputAxes, ...]
    axes: tuple[AxisSizes, ...]
    tried: int
    complete: bool

    @property
    def told(self) -> str:
        """All axes in a line: ``rows 8n, columns 16n``."""
        return ", ".join(f"{axis.name} {axis.told}" for axis in self.axes) or "no axes but channels"

    @property
    def code(self) -> str:
        """Python code of a function ``any_size(model, *inputs)`` that pads inputs, and crops what comes out."""
        return pad_and_crop_code(self)

    def takes(self, sizes: Sizes) -> bool:
        """Whether inputs of some sizes, in the order of their axes, have working sizes along every one."""
        sides = [axes.sizes(size) for axes, size in zip(self.order, sizes, strict=True)]
        return all(axis.takes(sides[given][place]) for axis in self.axes for given, place in axis.places)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        rows = [{**row, "starts": list(row["starts"])} for row in self._rows()]
        return {
            "sizes": [list(size) for size in self.sizes],
            "order": [str(axes) for axes in self.order],
            "axes": rows,
            "tried": self.tried,
            "complete": self.complete,
            "code": self.code,
        }

    def _heading(self) -> str:
        return f"Working sizes, around {' and '.join(map(by_size, self.sizes))}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        for axis in self.axes:
            yield axis.name, axis.told
        how = "all of a period" if self.complete else "by which others are known, then the time was up"
        yield "tried", f"{counted(self.tried, 'size')}, {how}"

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for axis in self.axes:
            yield {"axis": axis.name, "sizes": axis.told, "multiple": axis.multiple, "starts": axis.starts}


def _row(start: int, multiple: int) -> str:
    if multiple == 1:
        return "any" if start == 1 else f"n from {start} on"
    if start % multiple:
        return f"{start} + {multiple}n"
    return f"{multiple}n" if start == multiple else f"{multiple}n from {start} on"

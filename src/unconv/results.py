"""Results show themselves: a few lines of text, a table and a picture in a notebook, a figure, a data frame, a file."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from html import escape
from importlib import import_module
from io import BytesIO, StringIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconv.describe import describe, facts_text
from unconv.errors import MissingExtraError, UnconvError
from unconv.files import write_whole
from unconv.tables import html_facts

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

# Dots an inch of a figure in a notebook: small enough to keep, sharp enough to read.
NOTEBOOK_DPI = 90
# Rows of the table below it.
ROWS = 32


class Shown:
    """A value that shows itself: in a terminal by a few lines, in a notebook by a table; never by whole tensors.

    A dataclass that is one is made with ``repr=False``. Its fields are shown in a few words each, unless it says
    something better.

    >>> from dataclasses import dataclass
    >>> import torch
    >>> @dataclass(frozen=True, eq=False, repr=False)
    ... class Filtered(Shown):
    ...     image: torch.Tensor
    ...     sigma: float
    >>> Filtered(torch.zeros(3, 480, 640), 0.1)
    Filtered
      image  float32 3×480×640
      sigma  0.1
    """

    __slots__ = ()

    def _heading(self) -> str:
        """What it is, in a line."""
        return type(self).__name__

    def _facts(self) -> Iterable[tuple[str, str]]:
        """Its main numbers: names and values."""
        if not is_dataclass(self):
            return
        for field in fields(self):
            if field.repr:
                yield field.name.replace("_", " "), describe(getattr(self, field.name))

    def _picture(self) -> str:
        """What stands above the table in a notebook, as HTML; "" for nothing."""
        return ""

    def __repr__(self) -> str:
        return facts_text(self._heading(), self._facts())

    def _repr_html_(self) -> str:
        facts = list(self._facts())
        if len(facts) > ROWS:
            facts = [*facts[: ROWS - 1], ("…", f"{len(facts) - ROWS + 1:,} more")]
        return f"<div>{self._picture()}{html_facts(self._heading(), facts)}</div>"


class Tabled(ABC):
    """A value with rows, which become a data frame."""

    __slots__ = ()

    @abstractmethod
    def _rows(self) -> Iterator[Mapping[str, Any]]:
        """Its rows: numbers and texts by the names of the columns."""

    def to_dataframe(self) -> DataFrame:
        """Its rows as a :class:`pandas.DataFrame`. Raises MissingExtraError where pandas is not installed."""
        return data_frame(self._rows())


class Plotted(Shown, ABC):
    """A value with a figure, which a notebook shows above its table."""

    __slots__ = ()

    @abstractmethod
    def plot(self) -> Figure:
        """Draw it. Raises MissingExtraError where matplotlib is not installed."""

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it, whole or not at all, and return where.

        Its figure in the format that the ending names (``.png``, ``.svg``, ``.pdf``, …); where it has rows, these as
        ``.csv`` or ``.json``. Raises :class:`~unconv.errors.UnconvError` for other endings, and for places that cannot
        be written to.
        """
        ending = Path(path).suffix.lower()
        if isinstance(self, Tabled) and ending in (".csv", ".json"):
            return save_rows(self._rows(), path)
        figure = self.plot()
        return Path(draw_with("unconv.data.figure:save_figure", figure, path))

    def _picture(self) -> str:
        return picture_of(self.plot, self._heading())


def draw_with(function: str, *arguments: Any, **options: Any) -> Any:
    """Call a function by its address, ``module:name``, which is imported for it.

    What draws a result stands above it, as it has to know it; the result knows where.

    >>> draw_with("unconv.describe:counted", 2, noun="kernel")
    '2 kernels'
    """
    module, _, name = function.partition(":")
    return getattr(import_module(module), name)(*arguments, **options)


def picture_of(plot: Any, alt: str, dpi: int = NOTEBOOK_DPI) -> str:
    """A figure as an image in HTML, or the line that says why there is none.

    >>> def plot():
    ...     raise UnconvError("plot: codes with three axes have no picture")
    >>> picture_of(plot, "codes")
    '<p>plot: codes with three axes have no picture</p>'
    """
    try:
        figure = plot()
    except UnconvError as refusal:
        return f"<p>{escape(str(refusal))}</p>"
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=dpi)
    return image_html(picture.getvalue(), "png", alt)


def image_html(content: bytes, kind: str, alt: str) -> str:
    """A picture inside HTML, with nothing to fetch.

    >>> image_html(b"<svg/>", "svg+xml", "a <b>")
    '<img alt="a &lt;b&gt;" style="max-width:100%" src="data:image/svg+xml;base64,PHN2Zy8+">'
    """
    code = b64encode(content).decode()
    return f'<img alt="{escape(alt)}" style="max-width:100%" src="data:image/{kind};base64,{code}">'


def data_frame(rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """Rows as a data frame of pandas, the columns in the order of the rows.

    >>> data_frame([{"layer": "conv1", "macs": 9}, {"layer": "fc", "macs": 4}]).macs.sum()
    np.int64(13)

    Raises :class:`~unconv.errors.MissingExtraError` where pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise MissingExtraError("to_dataframe", "pandas", "notebook") from None
    return pandas.DataFrame(list(rows))


def save_rows(rows: Iterable[Mapping[str, Any]], path: str | PathLike[str]) -> Path:
    """Write rows as ``.csv``, with a line of headings, or as ``.json``, whole or not at all.

    >>> import tempfile
    >>> print(save_rows([{"epoch": 1, "loss": 0.5}], Path(tempfile.mkdtemp()) / "history.csv").read_text())
    epoch,loss
    1,0.5
    <BLANKLINE>

    Raises :class:`~unconv.errors.UnconvError` for other endings, and for places that cannot be written to.
    """
    table = [dict(row) for row in rows]
    ending = Path(path).suffix.lower()
    if ending == ".json":
        return write_whole(path, json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    if ending != ".csv":
        raise UnconvError(f"save: {Path(path).name!r} ends neither in .csv nor in .json")
    text = StringIO()
    names = dict.fromkeys(name for row in table for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return write_whole(path, text.getvalue())

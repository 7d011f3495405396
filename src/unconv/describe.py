"""Values in a few words: tensors by type and shape, long lists cut, and text that fits a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from unconv.errors import printable
from unconv.tables import text_table

# The text of a result: so many lines, so wide. Together they stay below 2,000 characters.
LINES, WIDTH = 24, 79
# Lines that one value of a result may take, and characters of one inside a list.
WRAPPED, SHORT = 3, 60


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "input"), counted(4, "input")
    ('1 input', '4 inputs')
    """
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"


def by_size(shape: Iterable[object]) -> str:
    """A shape, axis by axis.

    >>> by_size((3, 64, 48)), by_size(())
    ('3×64×48', 'one number')
    """
    return "×".join(map(str, shape)) or "one number"


def listed(items: Iterable[object], most: int = 5) -> str:
    """The first items of a list, and how many more there are.

    >>> listed("abc"), listed(range(17)), listed([])
    ('a, b, c', '0, 1, 2, 3, 4 and 12 more', 'none')
    """
    texts = [item if isinstance(item, str) else str(item) for item in items]
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more or "none"


def spread(values: Any) -> str:
    """The range of some numbers, or the one that they all are.

    >>> spread([0.25, 0.5]), spread([3]), spread([])
    ('0.25 to 0.5', '3', 'none')
    """
    numbers = [float(value) for value in values]
    if not numbers:
        return "none"
    low, high = f"{min(numbers):.4g}", f"{max(numbers):.4g}"
    return low if low == high else f"{low} to {high}"


def describe(value: Any) -> str:
    """Any value in a few words; of a tensor its type and shape, of what is made of many things their number.

    >>> describe(0.123456), describe(12345), describe(("a", "b")), describe(None)
    ('0.1235', '12,345', 'a, b', 'none')
    >>> import torch
    >>> describe(torch.zeros(2, 3, 8, 8)), describe([torch.zeros(3)] * 7)
    ('float32 2×3×8×8', 'float32 3, float32 3, float32 3, float32 3, float32 3 and 2 more')
    """
    if value is None:
        return "none"
    if isinstance(value, bool | str | Path):
        return str(value)
    if isinstance(value, Real):
        return f"{value:,}" if isinstance(value, int) else f"{float(value):.4g}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _tensor(value)
    if isinstance(value, Mapping):
        return listed(cut(f"{key}: {describe(entry)}", SHORT) for key, entry in value.items())
    if isinstance(value, Sequence | set | frozenset):
        return listed(cut(describe(entry), SHORT) for entry in value)
    if hasattr(value, "_heading"):
        return str(value._heading())
    if callable(value) or is_dataclass(value):
        text = repr(value)
        plain = is_dataclass(value) and len(text) <= SHORT and "\n" not in text
        return text if plain else getattr(value, "__name__", type(value).__name__)
    return str(value)


def _tensor(value: Any) -> str:
    kind = str(value.dtype).removeprefix("torch.")
    where = getattr(getattr(value, "device", None), "type", "cpu")
    sparse = "sparse " if getattr(value, "is_sparse", False) else ""
    return f"{sparse}{kind} {by_size(value.shape)}" + ("" if where == "cpu" else f" on {where}")


def facts_text(heading: str, facts: Iterable[tuple[str, str]]) -> str:
    """A heading, and below it names and values; long values are wrapped, what does not fit is left out with a mark.

    >>> print(facts_text("Encoding of 2 images", [("kernels", "64 of 1×8×8"), ("gap", "0.0008 at most")]))
    Encoding of 2 images
      kernels  64 of 1×8×8
      gap      0.0008 at most
    """
    rows = [(single_line(name), single_line(value)) for name, value in facts]
    space = min(max((len(name) for name, _ in rows), default=0), WIDTH // 3)
    lines = [single_line(heading)]
    for name, value in rows:
        parts = textwrap.wrap(value, WIDTH - space - 4, max_lines=WRAPPED, placeholder=" …") or [""]
        lines.append(f"  {cut(name, space):<{space}}  {parts[0]}".rstrip())
        lines += [" " * (space + 4) + part for part in parts[1:]]
    return "\n".join(_fitting(lines))


def wrapped(text: str, indent: int = 0) -> list[str]:
    """A long text on a few lines, those behind the first indented; what is left out is marked.

    >>> wrapped("up: kernel 3 with stride 2: outputs are sums of 1 to 2 taps an axis in turn, a checkerboard", indent=4)
    ['up: kernel 3 with stride 2: outputs are sums of 1 to 2 taps an axis in turn, a', '    checkerboard']
    """
    space = " " * indent
    lines = textwrap.wrap(
        single_line(text), WIDTH, subsequent_indent=space, max_lines=WRAPPED, placeholder=" …", break_on_hyphens=False
    )
    return lines or [""]


def rows_text(rows: Sequence[Sequence[str]], left: int = 1, last: int = 1, lines: int = LINES) -> str:
    """A table that fits a terminal: headings, the first rows, how many are left out, and the last ones.

    >>> print(rows_text([("layer", "MACs"), *((f"conv{n}", str(n)) for n in range(30)), ("total", "435")], lines=6))
    layer         MACs
    conv0            0
    conv1            1
    … 27 more
    conv29          29
    total          435
    """
    table = [tuple(single_line(cell) for cell in row) for row in rows]
    if len(table) > lines:
        tail = last + 1
        kept = lines - tail - 1
        gap = (f"… {len(table) - kept - tail:,} more", *("" for _ in table[0][1:]))
        table = [*table[:kept], gap, *table[len(table) - tail :]]
    wide = max(map(len, text_table(table, left).splitlines())) - WIDTH
    if wide > 0:
        # The first column holds names, whose end says more than their beginning.
        most = max(8, max(len(row[0]) for row in table) - wide)
        table = [(row[0] if len(row[0]) <= most else f"…{row[0][1 - most :]}", *row[1:]) for row in table]
    return "\n".join(cut(line, WIDTH) for line in text_table(table, left).splitlines())


def single_line(text: str) -> str:
    """A text on one line, with nothing in it that does not print.

    >>> single_line("two\\nlines\\x1b[2J")
    'two lines\\\\x1b[2J'
    """
    return printable(" ".join(text.split()))


def cut(line: str, width: int) -> str:
    """A line that is no wider, with a mark where something is missing.

    >>> cut("receptive field", 10)
    'receptive…'
    """
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _fitting(lines: Sequence[str]) -> list[str]:
    kept = [cut(line, WIDTH) for line in lines[:LINES]]
    return kept if len(lines) <= LINES else [*kept[:-1], f"  … {len(lines) - LINES + 1} lines more"]

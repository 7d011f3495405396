"""The errors of unconv: one family, each message a single line.

A message names the operation, the values, the rule they break and the way out:
``conv: kernel 7 (13 with dilation 2) is larger than the padded input 9; increase padding or reduce dilation``.
The command line prints that line and exits with 2.
"""

from __future__ import annotations

from pathlib import Path


class UnconvError(ValueError):
    """Something unconv was asked for cannot be done; the message says what would.

    Whatever a message quotes, it is one line.

    >>> UnconvError("conv: kernel [[3]\\n [3]] has 2 entries").args
    ('conv: kernel [[3] [3]] has 2 entries',)
    """

    def __init__(self, *message: object) -> None:
        super().__init__(*(" ".join(map(str.strip, str(part).splitlines())) for part in message))


class ArgumentError(UnconvError, TypeError):
    """Arguments that a function does not have, or lacks; a TypeError as Python's own is."""


class GeometryError(UnconvError):
    """Sizes, kernels, strides or paddings that do not fit together."""


class AdjointError(UnconvError):
    """⟨Cx, y⟩ and ⟨x, Cᵀy⟩ differ: what calls itself the transpose is not."""


class ImageError(UnconvError):
    """A picture that cannot be read, or is not what the operation takes."""


class ModelError(UnconvError):
    """A network, a layer or a unit that cannot be found, loaded or traced."""


class SparseError(UnconvError):
    """Images, a dictionary, a penalty or a mask that do not make a sparse-coding problem."""


class JobError(UnconvError):
    """A long job that cannot start, go on or be resumed; the message says what would."""


class MissingExtraError(UnconvError):
    """An optional dependency is not installed; the message names the extra that brings it, or the package itself."""

    def __init__(self, operation: str, package: str, extra: str = "") -> None:
        super().__init__(f"{operation}: needs {package}; pip install " + (f"'unconv[{extra}]'" if extra else package))


def printable(path: str | Path) -> str:
    """A file name as it can stand in a one-line message: what does not print is escaped.

    >>> printable(Path("two\\nlines.png"))
    'two\\\\nlines.png'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(path))


def one_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing.

    >>> one_line(ValueError("bad header\\nat byte 3")), one_line(MemoryError())
    ('bad header', 'MemoryError')
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    reason = getattr(error, "reason", None)
    if isinstance(reason, OSError):
        # urllib wraps what the network said.
        return one_line(reason)
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

"""Arguments under the names that they had: still taken, with a DeprecationWarning, for one version."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from unconv.errors import UnconvError

_Function = TypeVar("_Function", bound=Callable[..., Any])


def warn_renamed(message: str) -> None:
    """Warn at the line of the caller's own that used an old name: the first one outside this package.

    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     warn_renamed("see: preprocess is transform now")
    >>> told[0].category.__name__
    'DeprecationWarning'
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, DeprecationWarning, stacklevel=level)


def _is_ours(module: str) -> bool:
    # And of what wraps functions in tests.
    return module.partition(".")[0] in ("unconv", "jaxtyping", "beartype")


def renamed(**names: str) -> Callable[[_Function], _Function]:
    """A decorator by which a function takes keyword arguments under old names, too: ``renamed(old="new")``.

    Raises :class:`~unconv.errors.UnconvError` where an argument is given under both names.

    >>> @renamed(factor="scale_factor")
    ... def grow(size: int, scale_factor: int = 2) -> int:
    ...     return size * scale_factor
    >>> grow(3, scale_factor=4)
    12
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     grow(3, factor=4), str(told[0].message)
    (12, 'grow: factor is scale_factor now')
    """

    def decorate(function: _Function) -> _Function:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old, new in names.items():
                if old in kwargs:
                    of_class = function.__name__ == "__init__"
                    name = type(args[0]).__name__ if of_class else function.__name__
                    if new in kwargs:
                        raise UnconvError(f"{name}: {old} and {new} are one argument; give {new} alone")
                    warn_renamed(f"{name}: {old} is {new} now")
                    kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate

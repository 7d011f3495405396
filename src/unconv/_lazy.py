"""Lazy names: what a package offers is imported from where it is defined when it is first used."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module

TYPE_CHECKING = False  # as in unconv/__init__.py

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def lazy_names(
    package: str, home: Mapping[str, str], parts: Sequence[str] = (), moved: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The ``__getattr__``, ``__dir__`` and ``__all__`` of a package whose names are defined elsewhere.

    Args:
        package: its name.
        home: by name, the module that defines it.
        parts: modules of the package that are reached as its attributes, without an import of their own.
        moved: names that are reached elsewhere now, with that place; asked for here, they say so.

    >>> get, _, names = lazy_names("unconv.operators", {"dot_test": "unconv.operators.dottest"})
    >>> get("dot_test").__name__, names
    ('dot_test', ['dot_test'])
    """
    moved = moved or {}

    def get(name: str) -> Any:
        if name in moved:
            warnings.warn(f"{package}.{name} is {moved[name]}.{name} now", DeprecationWarning, stacklevel=2)
            return getattr(import_module(moved[name]), name)
        if name in parts:
            return import_module(f"{package}.{name}")
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules[package])
        value = getattr(import_module(home[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    names = sorted({*home, *parts})
    return get, lambda: names, names

"""Recording where modules are made: the frames of the user's code at each ``nn.Module.__init__``."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeAlias

from torch import nn

from unconv.network.audit.sites.location import Location, is_library, resolved

Place: TypeAlias = tuple[str, int]

# Calls on the way to a construction that are kept, the nearest first.
CALLERS = 8
_PATCHED = ("__init__", "__setstate__")

# By the identity of a module, which may refuse to be hashed; an entry goes when its module does.
_RECORDED: dict[int, tuple[weakref.ref[nn.Module], tuple[Place, ...]]] = {}


class recording:  # noqa: N801
    """A context in which it is noted where each module is made, or copied.

    The line is the innermost of the user's: frames of torch, of other installed packages and of the module's own
    ``__init__`` are passed over. Nothing is stored in the modules; torch is afterwards what it was, whatever happens.

    Args:
        file: the user's file. If it lies among installed packages, its folder counts as the user's too.

    >>> with recording():
    ...     layer = nn.Conv2d(1, 8, 3)
    >>> recorded(layer) is None  # this example is no file
    True
    """

    def __init__(self, file: str | Path | None = None) -> None:
        own = None if file is None else resolved(str(file))
        self._own = own if own is not None and is_library(own) else None
        self._active = False

    def __enter__(self) -> None:
        # What is made is made below the frame of the block, and what called that has nothing to do with it.
        self._around = set(_frames(sys._getframe(1)))
        self._before = {name: vars(nn.Module)[name] for name in _PATCHED}
        self._during = {name: self._noting(before) for name, before in self._before.items()}
        self._active = True
        for name, noting in self._during.items():
            setattr(nn.Module, name, noting)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # What somebody else has put around it meanwhile stays, and finds it idle.
        self._active = False
        for name, noting in self._during.items():
            if vars(nn.Module)[name] is noting:
                setattr(nn.Module, name, self._before[name])
        self._around.clear()

    def _noting(self, before: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(before)
        def noting(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            before(module, *args, **kwargs)
            if self._active:
                self._note(module)

        return noting

    def _note(self, module: nn.Module) -> None:
        places: list[Place] = []
        for frame in _frames(sys._getframe(1)):
            if _makes(frame, module):
                # An __init__ of the module itself: what lies further in says how it is made, not where.
                places.clear()
            else:
                file = resolved(frame.f_code.co_filename)
                if file is not None and self._is_users(file):
                    places.append((file, frame.f_lineno))
            if frame in self._around:
                break
        key = id(module)
        reference = weakref.ref(module, lambda _: _RECORDED.pop(key, None))
        _RECORDED[key] = (reference, tuple(places[: CALLERS + 1]))

    def _is_users(self, file: str) -> bool:
        if not is_library(file):
            return True
        if self._own is None:
            return False
        folder = Path(self._own).parent
        alone = folder.name in ("site-packages", "dist-packages")
        return file == self._own if alone else Path(file).is_relative_to(folder)


def recorded(module: nn.Module) -> Location | None:
    """Where a module was made, if that was noted and was in a file."""
    reference, places = _RECORDED.get(id(module), (None, ()))
    if reference is None or reference() is not module or not places:
        return None
    (file, line), *callers = places
    return Location(file, line, callers=tuple(callers))


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def _makes(frame: FrameType, module: nn.Module) -> bool:
    """Whether the first argument of a frame's function is the module."""
    code = frame.f_code
    if code.co_argcount:
        return frame.f_locals.get(code.co_varnames[0]) is module
    if code.co_flags & inspect.CO_VARARGS:
        given = frame.f_locals.get(code.co_varnames[code.co_kwonlyargcount])
        return isinstance(given, tuple) and bool(given) and given[0] is module
    return False

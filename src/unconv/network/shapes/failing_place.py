"""Failing places: the modules, and the lines of their code, in which an error came up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.modules import module as module_code

from unconv.network.run.unwrap_compiled import unwrap_compiled

# A module, what it was called with, and which of its methods was called unless it is the module itself.
Call: TypeAlias = tuple[nn.Module, Sequence[Any], dict[str, Any], Callable[..., Any] | None]
Place: TypeAlias = tuple[tuple[nn.Module, int], ...]


def outermost_call(traceback: TracebackType | None) -> Call | None:
    """The first module on the way to an error, and what it was called with."""
    return next(((module, args, kwargs, None) for module, args, kwargs in _module_calls(traceback)), None)


def failing_place(traceback: TracebackType | None) -> Place:
    """The modules on the way to an error, the outermost first, each with the line of its ``forward``.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2))
    >>> try:
    ...     model(torch.zeros(1, 3))
    ... except RuntimeError as error:
    ...     [type(module).__name__ for module, _ in failing_place(error.__traceback__)]
    ['Sequential', 'Linear']
    """
    place: list[tuple[nn.Module, int]] = []
    entered: nn.Module | None = None
    for one in _frames(traceback):
        frame = one.tb_frame
        if frame.f_code.co_filename == module_code.__file__:
            if frame.f_code.co_name == "_call_impl":
                entered = frame.f_locals.get("self")
        elif entered is not None:
            place.append((entered, one.tb_lineno))
            entered = None
    return tuple(place)


def fails_alike(error: Exception, again: Exception) -> bool:
    """Whether two calls of a model failed in the same place, as far as that is known.

    The first may have been seen from inside the outermost module. What is compiled has no places.
    """
    place, other = failing_place(error.__traceback__), failing_place(again.__traceback__)
    if any(isinstance(module, torch.jit.ScriptModule) or unwrap_compiled(module) is not module for module, _ in place):
        return True
    return place in (other, other[1:])


def modules_to(traceback: TracebackType | None) -> tuple[nn.Module, ...]:
    """The modules on the way to an error, the outermost first."""
    return tuple(dict.fromkeys(module for module, _, _ in _module_calls(traceback)))


def arguments_of(traceback: TracebackType | None, module: nn.Module) -> dict[str, Any]:
    """What a module on the way to an error was called with, by the names and in the order of its ``forward``.

    Nothing where that is not known.
    """
    for called, args, kwargs in reversed(list(_module_calls(traceback))):
        if called is module:
            try:
                return dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)
            except (TypeError, ValueError):
                return {}
    return {}


def calls_of(traceback: TracebackType | None, *functions: Callable[..., Any]) -> list[dict[str, Any]]:
    """The arguments of the calls of functions in Python on the way to an error, the outermost first."""
    codes = [function.__code__ for function in functions]
    return [dict(one.tb_frame.f_locals) for one in _frames(traceback) if one.tb_frame.f_code in codes]


def _module_calls(traceback: TracebackType | None) -> Iterator[tuple[nn.Module, Sequence[Any], dict[str, Any]]]:
    for one in _frames(traceback):
        names = one.tb_frame.f_locals
        if one.tb_frame.f_code.co_name == "_call_impl" and isinstance(names.get("self"), nn.Module):
            yield names["self"], names["args"], names["kwargs"]


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next

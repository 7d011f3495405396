"""The line of a layer: as it was recorded, as the source shows it, or that of the class."""

from __future__ import annotations

from torch import nn

from unconv.network.audit.sites.definitions import class_line, definition, own_classes
from unconv.network.audit.sites.in_source import find_in_source
from unconv.network.audit.sites.location import Location, is_library
from unconv.network.audit.sites.recording import recorded
from unconv.network.run.input_sizes import states_inputs


def locate(model: nn.Module, name: str) -> Location | None:
    """Where a layer of a model is made.

    Args:
        model: the network.
        name: of the layer, "" for the network itself; where it is none of a module, it is of an operation in the
            ``forward`` of the module that is named before the last dot.

    What was recorded when the module was made (see :class:`~unconv.network.audit.sites.recording.recording`) comes
    first; then the source of the class that holds it, of the user's classes before those of packages; then the line of
    that class. ``Location.what`` says which. None where all of it has no file: containers that were put together by a
    script or in a notebook, and networks from files that are no code.

    >>> locate(nn.Sequential(nn.Conv2d(1, 8, 3)), "0") is None
    True
    """
    if states_inputs(model):
        return None
    parts = name.split(".") if name else []
    module = _submodule(model, name)
    if module is None:
        return _forward(model, parts)
    noted = recorded(module)
    if not parts:
        return _class(model) or noted
    if noted is not None:
        return noted
    owners = [(_submodule(model, ".".join(parts[:n])), parts[n:]) for n in range(len(parts) - 1, -1, -1)]
    holding = [(one, rest) for one, rest in owners if one is not None and own_classes(type(one))]
    holding.sort(key=lambda pair: _of_package(pair[0]))
    for owner, rest in holding:
        found = find_in_source(owner, rest)
        if found is not None:
            return found
    return _class(holding[0][0]) if holding else None


def _submodule(model: nn.Module, name: str) -> nn.Module | None:
    try:
        return model.get_submodule(name)
    except AttributeError:
        return None


def _forward(model: nn.Module, parts: list[str]) -> Location | None:
    """The ``forward`` of the innermost module that a name leads into, and that is no module of torch's own."""
    for n in range(len(parts) - 1, -1, -1):
        module = _submodule(model, ".".join(parts[:n]))
        for kind in () if module is None else own_classes(type(module)):
            if "forward" in vars(kind):
                found = definition(vars(kind)["forward"], kind)
                return None if found is None else Location(found.file, found.node.lineno, "forward")
    return None


def _class(module: nn.Module) -> Location | None:
    """The line of a module's class, where that is not torch's."""
    place = class_line(type(module)) if own_classes(type(module)) else None
    return None if place is None else Location(*place, "class")


def _of_package(module: nn.Module) -> bool:
    place = class_line(type(module))
    return place is None or is_library(place[0])

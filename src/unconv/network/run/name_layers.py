"""Layers as people name them: a name, a module, a list, a pattern, a container; as the names that torch gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import torch
from torch import nn

from unconv.errors import ModelError
from unconv.network.run.forward import find_layer
from unconv.network.run.unwrap_compiled import unwrap_compiled

AnyLayer: TypeAlias = str | nn.Module
# One of these, or several.
AnyLayers: TypeAlias = AnyLayer | Iterable[AnyLayer]

# What begins a pattern of fnmatch.
WILD = "*?["


@dataclass(frozen=True)
class NamedLayers:
    """Names of layers, each once, in the order asked for.

    Attributes:
        names: all of them.
        required: those that were asked for one by one; the others come from patterns and containers.
    """

    names: tuple[str, ...]
    required: tuple[str, ...]


def name_layers(
    model: nn.Module, layers: AnyLayers, keep: Callable[[Sequence[str]], Sequence[str]] | None = None
) -> NamedLayers:
    """The names of some layers of a model.

    Args:
        model: the network.
        layers: one of these, or a list (any iterable) of them:

            - a name, as in ``model.named_modules()``: one layer, never a list of letters;
            - a module, which is looked for among the model's own by identity, as captum takes layers;
            - a pattern of :mod:`fnmatch`, ``"layer3.*"`` or ``"*.conv?"``: every module whose name matches, of two
              inside one another the inner one;
            - a container that is never called (``nn.ModuleList``, ``nn.ModuleDict``, the model itself): all inside. A
              ``Sequential`` is called, and so a layer; ``"features.*"`` are those inside it.
        keep: which of the names that a pattern or container leads to are of use, as far as the caller can tell; where
            none is, it is refused.

    Raises :class:`~unconv.errors.ModelError` for names and modules that are not the model's, naming those that look
    alike, and for patterns and containers with nothing of use.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(8, 4, 3)))
    >>> name_layers(model, "1.1").names, name_layers(model, model[1]).names, name_layers(model, ["0", "1.*"]).names
    (('1.1',), ('1',), ('0', '1.0', '1.1'))
    >>> name_layers(model, "1.conv")
    Traceback (most recent call last):
    unconv.errors.ModelError: layer '1.conv': Sequential has no layer of that name; the nearest names are 1.1, 1.0
    """
    model = unwrap_compiled(model)
    required: list[str] = []
    names: list[str] = []
    for layer in _several(layers):
        inside = _inside(model, layer)
        if inside is None:
            required.append(_own_name(model, layer))
            names.append(required[-1])
            continue
        found = inside if keep is None else keep(inside)
        if not found:
            raise ModelError(f"layers: {_told(layer)} leads to {_counted(inside)}, none of which can be looked into")
        names += found
    return NamedLayers(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(required)))


def name_layer(model: nn.Module, layer: Any) -> str:
    """The name of one layer, given by its name, as a module, or by a pattern that one name matches.

    Raises :class:`~unconv.errors.ModelError` as :func:`name_layers` does, and for several layers.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> name_layer(model, model[1]), name_layer(model, "0")
    ('1', '0')
    """
    if not isinstance(layer, str | nn.Module):
        listed = list(layer) if isinstance(layer, list | tuple) else []
        if len(listed) == 1:
            return name_layer(model, listed[0])
        raise ModelError(f"layer: {_told(layer)} is not one layer; give a name or a module of the model")
    if layer is model:
        return ""
    found = name_layers(model, layer).names
    if len(found) != 1:
        raise ModelError(f"layer: {_told(layer)} leads to {_counted(found)}; name one of them")
    return found[0]


def _several(layers: Any) -> list[Any]:
    """The entries of a list; what is one layer alone, in a list."""
    if isinstance(layers, str | nn.Module):
        return [layers]
    if isinstance(layers, type) or not isinstance(layers, Iterable):
        raise ModelError(f"layers: {_told(layers)} is no layer; give a name, a module of the model, or a list of these")
    return list(layers)


def _inside(model: nn.Module, layer: Any) -> list[str] | None:
    """The names that a pattern or a container leads to; None for what is one layer."""
    modules = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, str) and layer not in modules and any(sign in layer for sign in WILD):
        found = [name for name in modules if name and fnmatchcase(name, layer)]
        if not found:
            raise ModelError(
                f"layers: no layer of {type(model).__name__} matches the pattern {layer!r}{_example(modules)}"
            )
        return _innermost(found)
    module = modules.get(layer) if isinstance(layer, str) else layer
    module = unwrap_compiled(module) if isinstance(module, nn.Module) else None
    if layer == "" or (module is not model and not _is_container(module)):
        return None
    start = "" if module is model else f"{_own_name(model, layer)}."
    return _innermost([name for name in modules if name and name.startswith(start)])


def _is_container(module: Any) -> bool:
    """Whether a module only holds others: torch gives such no forward of their own."""
    if not isinstance(module, nn.Module) or isinstance(module, torch.jit.ScriptModule):
        return False
    return type(module).forward is nn.Module.forward


def _innermost(names: Sequence[str]) -> list[str]:
    outer = {name[:end] for name in names for end, sign in enumerate(name) if sign == "."}
    return [name for name in names if name not in outer]


def _own_name(model: nn.Module, layer: Any) -> str:
    """The name of a layer that is one, by its name or by identity."""
    if not isinstance(layer, nn.Module):
        if isinstance(layer, str) and "," in layer:
            several = [name.strip() for name in layer.split(",")]
            raise ModelError(f"layer {layer!r}: a string is one layer; several are a list: {several}")
        find_layer(model, layer)
        return str(layer)
    own = unwrap_compiled(layer)
    for name, module in model.named_modules():
        if unwrap_compiled(module) is own:
            return str(name)
    alike = [name for name, module in model.named_modules() if type(module) is type(layer) and name][:3]
    hint = f", such as {', '.join(alike)}" if alike else ""
    raise ModelError(
        f"layer {_told(layer)}: is not one of {type(model).__name__}'s own modules; give one of these{hint}, not a copy"
    )


def _told(layer: Any) -> str:
    """A layer in a message: in a line, and not too long."""
    if isinstance(layer, type):
        return f"the class {layer.__name__}"
    if isinstance(layer, nn.Module) and next(layer.children(), None) is not None:
        return type(layer).__name__
    return " ".join(repr(layer).split())[:60]


def _counted(names: Sequence[str]) -> str:
    first = f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""
    return f"{len(names)} layer{'' if len(names) == 1 else 's'}{first}"


def _example(modules: dict[str, nn.Module]) -> str:
    names = [name for name in modules if name]
    return f"; its names are like {', '.join(names[:3])}" if names else ""

"""Leave a model as it was found, whatever happens to it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def preserved(model: nn.Module) -> Iterator[None]:
    """Restore modes, attributes, buffers, parameters and hooks of every module at the end.

    Attributes are restored by identity, lists and dictionaries also by content; tensors that are changed in place
    are not (under fake tensors none are).

    >>> model = nn.Sequential(nn.Dropout())
    >>> with preserved(model):
    ...     _ = model.eval()
    >>> model[0].training
    True
    """
    modules = list(model.modules())
    before = [_attributes(module) for module in modules]
    # TorchScript keeps the mode where no attribute of Python's shows it.
    training = [(module, module.training) for module in modules if isinstance(module, torch.jit.ScriptModule)]
    try:
        yield
    finally:
        for module, attributes in zip(modules, before, strict=True):
            _restore(module, attributes)
        for scripted, flag in training:
            scripted.training = flag


def _attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Each attribute, with a copy of its entries where it is a container."""
    return {
        name: (value, value.copy() if isinstance(value, (dict, list, set)) else None)
        for name, value in vars(module).items()
    }


def _restore(module: nn.Module, attributes: dict[str, tuple[Any, Any]]) -> None:
    held = vars(module)
    for name in [name for name in held if name not in attributes]:
        del held[name]
    for name, (value, entries) in attributes.items():
        held[name] = value
        if entries is not None:
            value.clear()
            value.extend(entries) if isinstance(value, list) else value.update(entries)

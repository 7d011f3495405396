"""What a model is, told without the package's own help: compared before and after."""

from __future__ import annotations

import random
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def snapshot(model: nn.Module) -> Any:
    """Everything about a model that has to be the same afterwards: values and identities."""
    return (
        {name: one.clone().numpy().tobytes() for name, one in model.state_dict().items()},
        [(name, type(module), id(module), module.training) for name, module in model.named_modules()],
        [(name, id(one), one.requires_grad, id(one.grad), one.data_ptr()) for name, one in model.named_parameters()],
        [(name, id(one), one.data_ptr()) for name, one in model.named_buffers()],
        [told(vars(module), set()) for module in model.modules()],
        torch.get_rng_state().numpy().tobytes(),
        torch.is_grad_enabled(),
    )


def told(value: Any, above: set[int]) -> Any:
    """A value with the identity of every object in it, and its entries in order."""
    if id(value) in above:
        return id(value)
    above = {*above, id(value)}
    if isinstance(value, Tensor):
        plain = value.detach()
        dense = plain.to_dense() if plain.is_sparse else plain
        return id(value), tuple(dense.shape), dense.clone().contiguous().numpy().tobytes(), value.requires_grad
    if isinstance(value, nn.Module):
        return id(value), value.training, type(value)
    if isinstance(value, torch.Generator):
        return id(value), value.get_state().numpy().tobytes()
    if isinstance(value, random.Random):
        return id(value), value.getstate()
    if isinstance(value, np.random.Generator):
        return id(value), repr(value.bit_generator.state)
    if isinstance(value, np.ndarray):
        return id(value), value.tobytes()
    if isinstance(value, (str, bytes, int, float, bool, bytearray, type(None))):
        return id(value), repr(value)
    parts: list[Any] = [id(value), type(value)]
    if isinstance(value, dict):
        base: Any = OrderedDict if isinstance(value, OrderedDict) else dict
        parts.append([(told(key, above), told(one, above)) for key, one in base.items(value)])
    elif isinstance(value, MappingProxyType):
        parts.append([(told(key, above), told(one, above)) for key, one in value.items()])
    elif isinstance(value, (set, frozenset)):
        parts.append(sorted(id(one) for one in value))
    elif hasattr(type(value), "__iter__"):
        parts.append([told(one, above) for one in value])
    for name in getattr(type(value), "__slots__", ()):
        parts.append(told(getattr(value, name, None), above))
    if "__dict__" in dir(type(value)) and not callable(value):
        parts.append(told(object.__getattribute__(value, "__dict__"), above))
    return parts

"""The module behind ``torch.compile``."""

from __future__ import annotations

from torch import nn


def unwrap_compiled(model: nn.Module) -> nn.Module:
    """The module that ``torch.compile`` was given, under whose names its layers are known; others as they are.

    >>> import torch
    >>> model = nn.Sequential(nn.ReLU())
    >>> unwrap_compiled(torch.compile(model)) is model, unwrap_compiled(model) is model
    (True, True)
    """
    while isinstance(inside := getattr(model, "_orig_mod", None), nn.Module):
        model = inside
    return model

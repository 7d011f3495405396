"""The module behind ``torch.compile``."""

from __future__ import annotations

from torch import nn


def uncompiled(model: nn.Module) -> nn.Module:
    """The module that ``torch.compile`` was given, under whose names its layers are known; others as they are.

    >>> import torch
    >>> model = nn.Sequential(nn.ReLU())
    >>> uncompiled(torch.compile(model)) is model, uncompiled(model) is model
    (True, True)
    """
    while isinstance(inside := getattr(model, "_orig_mod", None), nn.Module):
        model = inside
    return model

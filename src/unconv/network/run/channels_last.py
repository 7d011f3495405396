"""Weights with channels last, in memory, while a model runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from unconv.network.run.model_state import preserve


@contextmanager
def channels_last(model: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """The weights in another precision and with channels last, which convolutions are quicker with; then as before."""
    with preserve(model, buffers=False):
        for tensor in (*model.parameters(), *model.buffers()):
            if not tensor.is_floating_point():
                continue
            changed = tensor.data if dtype is None else tensor.data.to(dtype)
            if changed.ndim == 4:
                changed = changed.contiguous(memory_format=torch.channels_last)
            if changed is not tensor.data:
                tensor.data = changed
        yield

"""Device and precision of a network's computation."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from unconv.errors import UnconvError, one_line
from unconv.train.data.examples import Batch


def device_of(name: str) -> torch.device:
    """The device of that name; ``"auto"`` is the first CUDA device where there is one.

    Raises UnconvError for one that torch does not know, or does not find in this machine.

    >>> device_of("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UnconvError(f"device {name!r}: cannot be used: {one_line(error)}; leave it to 'auto', or cpu") from error
    return device


def placed(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Inputs, pictures with channels last, and targets where they are computed with.

    >>> placed(Batch(torch.rand(2, 3, 8, 8), torch.arange(2)), torch.device("cpu"))[0].stride()
    (192, 1, 24, 3)
    """
    inputs = batch.inputs.to(device)
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return inputs, batch.targets.to(device)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """What a forward pass is done in.

    >>> with autocast(torch.device("cpu"), "bfloat16"):
    ...     nn.Linear(2, 2)(torch.ones(1, 2)).dtype
    torch.bfloat16
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def where(network: nn.Module) -> torch.device:
    """The device of a network's first tensor; the CPU where it has none.

    >>> where(nn.Flatten())
    device(type='cpu')
    """
    for tensor in network.parameters():
        return tensor.device
    return torch.device("cpu")

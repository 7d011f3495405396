"""Channel means: what comes into some layers of a model, by a pass with actual values."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.network.audit.follow import Follow
from unconv.network.run.model_state import at_rest


def channel_means(
    model: nn.Module, inputs: Sequence[Tensor], modules: Iterable[nn.Module], follow: Follow | None = None
) -> dict[nn.Module, Float[Tensor, " channel"]]:
    """The mean over batch and positions of what comes into modules, in eval mode.

    The model is left as it was, and so is torch's generator. Modules that the pass does not reach are left out; all
    are where it fails. Of linear layers the last dimension is that of the channels. ``follow`` sees the pass, too.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.ConvTranspose2d(2, 1, 2, stride=2))
    >>> _, _ = nn.init.ones_(model[0].weight), nn.init.zeros_(model[0].bias)
    >>> channel_means(model, [torch.ones(1, 1, 4, 4)], [model[2]])[model[2]]
    tensor([1., 1.])
    """
    found: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, args: tuple[Any, ...]) -> None:
        last = isinstance(module, nn.Linear)
        if args and isinstance(args[0], Tensor) and args[0].ndim > (1 if last else 2):
            count = args[0].ndim
            found[module] = args[0].mean(tuple(range(count - 1)) if last else (0, *range(2, count)))

    watching = follow if follow is not None and follow.modules else nullcontext()
    with at_rest(model, frozen=False), warnings.catch_warnings(), torch.no_grad(), watching:
        warnings.simplefilter("ignore")
        for module in modules:
            module.register_forward_pre_hook(keep)
        if follow is not None:
            follow.watch()
        try:
            model(*inputs)
        except Exception:
            return {}
    return found

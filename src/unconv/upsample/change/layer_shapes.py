"""Shapes of layers in a run of their model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from unconv.errors import UnconvError, one_line
from unconv.network.run.input_sizes import Sizes
from unconv.network.run.model_state import at_rest
from unconv.upsample.change.upsampling import Shapes

RunShapes: TypeAlias = tuple[dict[int, Shapes], list[tuple[int, ...]]]
"""Shapes of inputs and outputs by the ids of layers, and of all tensors that the model returns."""


def shapes_in_run(
    model: nn.Module, layers: list[nn.Module], sizes: Sizes, dtypes: list[torch.dtype | None]
) -> RunShapes:
    """The shapes that layers take and return, and those that the model returns, in a run on zeros at rest.

    Args:
        model: that is run.
        layers: of it.
        sizes: of its inputs, without the batch.
        dtypes: of its inputs; None for that of its parameters.

    Raises :class:`~unconv.errors.UnconvError` where the model does not run.

    >>> layer = nn.ConvTranspose1d(3, 2, 2, stride=2)
    >>> shapes, returned = shapes_in_run(nn.Sequential(layer), [layer], ((3, 5),), [None])
    >>> shapes[id(layer)], returned
    (((1, 3, 5), (1, 2, 10)), [(1, 2, 10)])
    """
    shapes: dict[int, Shapes] = {}

    def note(layer: nn.Module) -> Callable[..., None]:
        def hook(_: nn.Module, args: Any, named: Any, returned: Any) -> None:
            given = next(one for one in tree_leaves((args, named)) if isinstance(one, Tensor))
            shapes[id(layer)] = tuple(given.shape), tuple(returned.shape)

        return hook

    like = next((one for one in model.parameters() if one.is_floating_point()), torch.empty(0))
    inputs = [
        torch.zeros(1, *size, device=like.device, dtype=dtype or like.dtype)
        for size, dtype in zip(sizes, dtypes, strict=True)
    ]
    with ExitStack() as stack:
        for layer in layers:
            stack.callback(layer.register_forward_hook(note(layer), with_kwargs=True).remove)
        stack.enter_context(at_rest(model, frozen=False))
        stack.enter_context(torch.no_grad())
        try:
            returned = model(*inputs)
        except Exception as error:
            raise UnconvError(f"replace: the model does not run with {list(sizes)}: {one_line(error)}") from error
    return shapes, [tuple(one.shape) for one in tree_leaves(returned) if isinstance(one, Tensor)]

"""Muon: steps along orthogonal matrices, so that no direction of a layer is learned before the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the polynomial that brings every singular value from (0, 1] near 1."""
LEAST_NORM = 1e-7
RMS_OF_ADAM = 0.2
LEAST_SIDE = 16
"""Rows or columns below which a weight has too few directions for them to be made equal."""


class Muon(torch.optim.AdamW):
    """Muon for the weights of layers, seen as matrices; AdamW for everything else, with the same learning rate.

    K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the scale of J. Liu et al.,
    "Muon is Scalable for LLM Training" (2025, section 2.2), by which a rate that suits AdamW suits it too. A weight
    W, of n × m numbers along its first axis and all others, and its gradient G::

        M ← 0.95 M + 0.05 G        B = 0.95 M + 0.05 G
        W ← (1 − ηλ) W − 0.2 η √max(n, m) · UVᵀ,        B = UΣVᵀ

    UVᵀ is found to within a third by five steps of X ← aX + b XXᵀX + c XXᵀXXᵀX. Weights of fewer than 16 rows or
    columns are AdamW's: scores of a few classes, and the kernels that bring these up.

    Args are those of :class:`torch.optim.AdamW`.

    >>> layer = torch.nn.Conv2d(16, 32, 3, bias=False)
    >>> optimiser = Muon(layer.parameters(), lr=0.01, weight_decay=0.0)
    >>> before = layer.weight.detach().clone()
    >>> layer(torch.randn(4, 16, 8, 8)).square().mean().backward()
    >>> optimiser.step()
    >>> values = torch.linalg.svdvals((layer.weight - before).flatten(1)) / (0.01 * 0.2 * 144**0.5)
    >>> bool(((values > 0.6) & (values < 1.3)).all())
    True
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step along the gradients; those of the matrices are used up by it."""
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and is_matrix(weight):
                    self._turn(weight, weight.grad, group["lr"], group["weight_decay"])
                    # What has no gradient is left alone by AdamW.
                    weight.grad = None
        super().step()
        return value

    def _turn(self, weight: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            # AdamW wants to see the number of steps wherever there is a state.
            state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(weight)
        state["step"] += 1
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        update = orthogonal(rows(gradient.lerp(momentum, MOMENTUM), weight))
        scale = RMS_OF_ADAM * max(update.shape) ** 0.5
        moved = rows(weight, weight).mul_(1 - rate * decay).add_(update, alpha=-rate * scale)
        if moved.data_ptr() != weight.data_ptr():
            weight.copy_(moved.view(weight.shape))


def is_matrix(weight: Tensor) -> bool:
    """Whether a weight is a layer's, wide enough both ways.

    >>> [is_matrix(torch.zeros(shape)) for shape in ((32, 3, 3, 3), (10, 256), (64,), (64, 1, 3, 3))]
    [True, False, False, False]
    """
    return weight.ndim > 1 and min(len(weight), weight[0].numel()) >= LEAST_SIDE


def rows(values: Tensor, weight: Tensor) -> Tensor:
    """What belongs to a weight as a matrix, its columns in the order in which the weight's lie, to copy nothing.

    >>> weight = torch.zeros(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    >>> rows(weight, weight).shape, rows(weight, weight).data_ptr() == weight.data_ptr()
    (torch.Size([4, 12]), True)
    """
    if weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        values = values.permute(0, 2, 3, 1)
    return values.flatten(1)


def orthogonal(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """UVᵀ of a matrix UΣVᵀ, roughly: its singular values are between 0.6 and 1.3 then.

    >>> torch.manual_seed(0)
    <torch._C.Generator object at ...>
    >>> values = torch.linalg.svdvals(orthogonal(torch.randn(16, 64)))
    >>> bool(((values > 0.6) & (values < 1.3)).all())
    True
    """
    # A step multiplies from the left by P = aI + bS + cS², S = XXᵀ, and turns S into PSP. So all of them are made on
    # the small side; the published form multiplies the wide matrix in every step, in bfloat16, and takes half as long
    # again.
    a, b, c = COEFFICIENTS
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    x = wide / wide.norm().clamp(min=LEAST_NORM)
    squares = product = x @ x.T
    for number in range(ITERATIONS):
        step = torch.addmm(b * squares, squares, squares, alpha=c)
        step.diagonal().add_(a)
        product = step @ product if number else step
        if number < ITERATIONS - 1:
            squares = step @ squares @ step
    found: Tensor = product @ x
    return found if wide is matrix else found.T

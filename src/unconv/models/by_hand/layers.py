"""2. The layers: each makes its first weights, goes forward, and goes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from unconv.models.by_hand.index import Array, col2im, im2col, output_size, windows

Weights: TypeAlias = dict[str, Array]


@runtime_checkable
class Layer(Protocol):
    """What every layer can do."""

    def first(self, rng: np.random.Generator) -> Weights:
        """Its first weights, uniform between ±2.4/F with F the inputs of a unit, as in the paper."""

    def forward(self, weights: Weights, x: Array) -> tuple[Array, Any]:
        """The output, and what the way back needs."""

    def backward(self, weights: Weights, kept: Any, error: Array) -> tuple[Array, Weights]:
        """Errors (derivatives of the loss) of the input and of the weights, from those of the output."""


@dataclass(frozen=True)
class Convolution:
    """y = C·x + b. With a table, output map o is computed from the input maps ``table[o]`` alone."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    table: tuple[tuple[int, ...], ...] | None = None

    def connected(self) -> Array:
        """1 where an output map reads an input map, else 0: (out, in, 1, 1)."""
        table = self.table or (tuple(range(self.in_channels)),) * self.out_channels
        there = [[float(source in sources) for source in range(self.in_channels)] for sources in table]
        return np.array(there)[:, :, None, None]

    def first(self, rng: np.random.Generator) -> Weights:
        shape = (self.out_channels, self.in_channels, self.kernel_size, self.kernel_size)
        bound = 2.4 / (self.connected().sum(1, keepdims=True) * self.kernel_size**2)
        weight = rng.uniform(-1, 1, shape) * bound * self.connected()
        return {"weight": weight, "bias": rng.uniform(-1, 1, self.out_channels) * bound.reshape(-1)}

    def forward(self, weights: Weights, x: Array) -> tuple[Array, Any]:
        size = (x.shape[2], x.shape[3])
        index = windows(size, self.kernel_size, self.stride, self.padding)
        columns = im2col(x, index).reshape(len(x), -1, index.shape[1])
        y = weights["weight"].reshape(self.out_channels, -1) @ columns + weights["bias"][:, None]
        shape = output_size(size, self.kernel_size, self.stride, self.padding)
        return y.reshape(len(x), self.out_channels, *shape), (columns, index, size)

    def backward(self, weights: Weights, kept: Any, error: Array) -> tuple[Array, Weights]:
        columns, index, size = kept
        g = error.reshape(len(error), self.out_channels, -1)
        of_weight = np.tensordot(g, columns, axes=([0, 2], [0, 2])).reshape(weights["weight"].shape)
        spread = weights["weight"].reshape(self.out_channels, -1).T @ g
        of_x = col2im(spread.reshape(len(g), self.in_channels, *index.shape), index, size)
        mask = self.connected().astype(error.dtype)
        return of_x, {"weight": of_weight * mask, "bias": g.sum((0, 2))}


@dataclass(frozen=True)
class TransposedConvolution:
    """y = Cᵀ·x + b: the two ways of a convolution exchanged. Weights (in, out, kernel, kernel), as everywhere."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1

    def first(self, rng: np.random.Generator) -> Weights:
        bound = 2.4 / (self.in_channels * self.kernel_size**2)
        shape = (self.in_channels, self.out_channels, self.kernel_size, self.kernel_size)
        return {"weight": rng.uniform(-bound, bound, shape), "bias": rng.uniform(-bound, bound, self.out_channels)}

    def forward(self, weights: Weights, x: Array) -> tuple[Array, Any]:
        rows, columns = (self.stride * (side - 1) + self.kernel_size for side in x.shape[2:])
        index = windows((rows, columns), self.kernel_size, self.stride)
        cells = x.reshape(len(x), self.in_channels, -1)
        spread = weights["weight"].reshape(self.in_channels, -1).T @ cells
        y = col2im(spread.reshape(len(x), self.out_channels, *index.shape), index, (rows, columns))
        return y + weights["bias"][:, None, None], (cells, index, x.shape)

    def backward(self, weights: Weights, kept: Any, error: Array) -> tuple[Array, Weights]:
        cells, index, shape = kept
        columns = im2col(error, index).reshape(len(error), -1, index.shape[1])
        of_x = (weights["weight"].reshape(self.in_channels, -1) @ columns).reshape(shape)
        of_weight = np.tensordot(cells, columns, axes=([0, 2], [0, 2])).reshape(weights["weight"].shape)
        return of_x, {"weight": of_weight, "bias": error.sum((0, 2, 3))}


@dataclass(frozen=True)
class Subsampling:
    """LeNet's pooling: the sum of each 2×2 cells times one weight a map, plus one bias a map."""

    channels: int

    def first(self, rng: np.random.Generator) -> Weights:
        return {name: rng.uniform(-2.4 / 4, 2.4 / 4, self.channels) for name in ("weight", "bias")}

    def forward(self, weights: Weights, x: Array) -> tuple[Array, Any]:
        size = (x.shape[2], x.shape[3])
        index = windows(size, 2, stride=2)
        sums = im2col(x, index).sum(2).reshape(*x.shape[:2], *output_size(size, 2, 2))
        return weights["weight"][:, None, None] * sums + weights["bias"][:, None, None], (sums, index, size)

    def backward(self, weights: Weights, kept: Any, error: Array) -> tuple[Array, Weights]:
        sums, index, size = kept
        each = (weights["weight"][:, None, None] * error).reshape(*error.shape[:2], 1, -1)
        of_x = col2im(np.broadcast_to(each, (*error.shape[:2], *index.shape)), index, size)
        return of_x, {"weight": (sums * error).sum((0, 2, 3)), "bias": error.sum((0, 2, 3))}


@dataclass(frozen=True)
class MaxPooling:
    """The largest cell of each window. Where it was, the switch, is what the way back needs."""

    kernel_size: int = 2
    stride: int = 2

    def first(self, rng: np.random.Generator) -> Weights:  # noqa: ARG002
        return {}

    def forward(self, weights: Weights, x: Array) -> tuple[Array, Any]:  # noqa: ARG002
        size = (x.shape[2], x.shape[3])
        index = windows(size, self.kernel_size, self.stride)
        columns = im2col(x, index)
        switches = columns.argmax(2)[:, :, None]
        y = np.take_along_axis(columns, switches, 2)
        return y.reshape(*x.shape[:2], *output_size(size, self.kernel_size, self.stride)), (switches, index, size)

    def backward(self, weights: Weights, kept: Any, error: Array) -> tuple[Array, Weights]:  # noqa: ARG002
        switches, index, size = kept
        columns = np.zeros((*error.shape[:2], *index.shape), error.dtype)
        np.put_along_axis(columns, switches, error.reshape(switches.shape), 2)
        return col2im(columns, index, size), {}


@dataclass(frozen=True)
class Squash:
    """f(a) = 1.7159·tanh(2a/3)."""

    def first(self, rng: np.random.Generator) -> Weights:  # noqa: ARG002
        return {}

    def forward(self, weights: Weights, x: Array) -> tuple[Array, Any]:  # noqa: ARG002
        bent = np.tanh(2 / 3 * x)
        return 1.7159 * bent, bent

    def backward(self, weights: Weights, kept: Any, error: Array) -> tuple[Array, Weights]:  # noqa: ARG002
        return error * (1.7159 * 2 / 3) * (1 - kept**2), {}

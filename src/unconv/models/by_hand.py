"""Throw away the neurons: a convolutional network as matrices, forward and back by hand, in numpy alone.

To be read from the top. A convolution is y = C·x, where x and y are pictures written as columns of numbers. C is a
matrix with few numbers in it, the same ones over and over: row o has the kernel's weights at the cells that window o
lies on.

    forward     y  = C·x        each output cell collects from the cells under its window
    backward    gₓ = Cᵀ·g       each output cell gives its error back to the same cells
    weights     gᵥ = Σ g·xᵀ     taken where C has that weight

So whoever knows which cell lies under which tap of which window knows everything, and that is one array of integers:
``windows``. ``im2col`` reads through it and ``col2im``, its transpose, writes through it; all layers below are these
two and products of matrices. A transposed convolution ("deconvolution") is not another thing: it goes forward by Cᵀ and
back by C. Nor is a fully connected layer: its kernel is as large as its input. There is no neuron in any of this.

    python -m unconv.models.by_hand        trains a small LeNet on scikit-learn's digits, some seconds

Arrays are (batch, channels, height, width). Every layer has three functions: ``first`` makes its weights, ``forward``
returns the output and what the way back needs, ``backward`` returns the error of the input and those of the weights.
The architecture is LeNet's: Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 86
(11), 1998.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = dict[str, Array]
Size: TypeAlias = tuple[int, int]


# 1. The index: which cell lies under which tap of which window.


def output_size(size: Size, kernel_size: int, stride: int = 1, padding: int = 0) -> Size:
    """How many windows there are along each axis: ⌊(i + 2p − k)/s⌋ + 1.

    >>> output_size((5, 7), kernel_size=3, stride=2)
    (2, 3)
    """
    rows, columns = ((side + 2 * padding - kernel_size) // stride + 1 for side in size)
    return rows, columns


def windows(size: Size, kernel_size: int, stride: int = 1, padding: int = 0) -> Array:
    """The number of the cell under each tap of each window, (taps, windows); padding is the cell after the last one.

    >>> windows((3, 3), kernel_size=2)
    array([[0, 1, 3, 4],
           [1, 2, 4, 5],
           [3, 4, 6, 7],
           [4, 5, 7, 8]])
    """
    height, width = size
    counts, taps = output_size(size, kernel_size, stride, padding), np.arange(kernel_size)[:, None]
    rows, columns = (taps + stride * np.arange(count) - padding for count in counts)
    rows, columns = rows[:, None, :, None], columns[None, :, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return np.where(inside, rows * width + columns, height * width).reshape(kernel_size**2, -1)


def im2col(x: Array, index: Array, outside: float = 0.0) -> Array:
    """Read through the index: (batch, channels, height, width) → (batch, channels, taps, windows)."""
    batch, channels = x.shape[:2]
    cells = x.reshape(batch, channels, -1)
    padding = np.full((batch, channels, 1), outside, x.dtype)
    return np.concatenate([cells, padding], axis=2)[:, :, index]


def col2im(columns: Array, index: Array, size: Size) -> Array:
    """Write through the index, adding up where windows overlap: the transpose of im2col.

    >>> index = windows((3, 3), kernel_size=2)
    >>> col2im(im2col(np.ones((1, 1, 3, 3)), index), index, (3, 3))[0, 0]      # in how many windows each cell is
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    batch, channels = columns.shape[:2]
    cells = np.zeros((batch, channels, size[0] * size[1] + 1), columns.dtype)
    for tap, under in enumerate(index):
        # One tap lies on a cell once; but on the padding often, and that is dropped.
        cells[:, :, under] += columns[:, :, tap]
    return cells[:, :, :-1].reshape(batch, channels, *size)


def matrix(weight: Array, size: Size, stride: int = 1, padding: int = 0) -> Array:
    """C itself, written out: (out · windows, in · cells), for weights (out, in, kernel, kernel).

    >>> C = matrix(np.arange(1.0, 10).reshape(1, 1, 3, 3), size=(4, 4))
    >>> C.shape, int((C != 0).sum()), len(set(C[C != 0]))
    ((4, 16), 36, 9)
    """
    index = windows(size, weight.shape[-1], stride, padding)
    outputs, inputs = weight.shape[:2]
    C = np.zeros((outputs, index.shape[1], inputs, size[0] * size[1] + 1), weight.dtype)
    places = np.arange(index.shape[1])
    for tap, under in enumerate(index):
        C[:, places, :, under] = weight.reshape(outputs, inputs, -1)[:, :, tap]
    return C[..., :-1].reshape(outputs * index.shape[1], -1)


# 2. The layers.


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


# 3. The network: one layer after the other, and back in the opposite order.


def forward(layers: Sequence[Layer], weights: Sequence[Weights], x: Array) -> tuple[Array, list[Any]]:
    """The output of the last layer, and what each layer keeps for the way back."""
    kept = []
    for layer, own in zip(layers, weights, strict=True):
        x, memory = layer.forward(own, x)
        kept.append(memory)
    return x, kept


def backward(
    layers: Sequence[Layer], weights: Sequence[Weights], kept: Sequence[Any], error: Array
) -> tuple[Array, list[Weights]]:
    """The chain rule: errors of the input and of all weights, from those of the output."""
    errors: list[Weights] = []
    for layer, own, memory in reversed(list(zip(layers, weights, kept, strict=True))):
        error, of_weights = layer.backward(own, memory, error)
        errors.append(of_weights)
    return error, errors[::-1]


def cross_entropy(scores: Array, labels: Array) -> tuple[float, Array]:
    """Mean of −log softmax(s)_label, and its error: (softmax(s) − one-hot) / batch.

    >>> loss, error = cross_entropy(np.zeros((1, 2)), np.array([1]))
    >>> round(loss, 4), error
    (0.6931, array([[ 0.5, -0.5]]))
    """
    shifted = scores - scores.max(1, keepdims=True)
    softmax = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    rows = np.arange(len(labels))
    loss = float(np.mean(np.log(np.exp(shifted).sum(1)) - shifted[rows, labels]))
    softmax[rows, labels] -= 1
    return loss, softmax / len(labels)


def small_lenet() -> tuple[Layer, ...]:
    """LeNet for pictures of 8×8: sizes 8 → 4 → 2 → 1.

    >>> layers = small_lenet()
    >>> weights = [layer.first(np.random.default_rng(0)) for layer in layers]
    >>> forward(layers, weights, np.zeros((2, 1, 8, 8)))[0].shape
    (2, 10, 1, 1)
    """
    return (
        *(Convolution(1, 8, kernel_size=3, padding=1), Squash(), Subsampling(8), Squash()),
        *(Convolution(8, 24, kernel_size=3, padding=1), Squash(), Subsampling(24), Squash()),
        *(Convolution(24, 84, kernel_size=2), Squash(), Convolution(84, 10, kernel_size=1)),
    )


def train(
    layers: Sequence[Layer], images: Array, labels: Array, *, epochs: int = 20, rate: float = 0.05, seed: int = 0
) -> Iterator[tuple[float, list[Weights]]]:
    """Gradient descent with momentum 0.9 on batches of 32; mean loss and weights after each epoch.

    Args:
        layers: they end in (batch, classes, 1, 1).
        images: (count, channels, height, width).
        labels: numbers of the classes (count,).
        epochs: how often every picture is seen.
        rate: of the first step; it falls to zero on a line.
        seed: of the first weights and of the order.
    """
    rng = np.random.default_rng(seed)
    weights = [{name: one.astype(images.dtype) for name, one in layer.first(rng).items()} for layer in layers]
    speeds = [{name: np.zeros_like(one) for name, one in own.items()} for own in weights]
    steps = -(-len(images) // 32)
    for epoch in range(epochs):
        total = 0.0
        for step, batch in enumerate(np.array_split(rng.permutation(len(images)), steps)):
            scores, kept = forward(layers, weights, images[batch])
            loss, error = cross_entropy(scores[:, :, 0, 0], labels[batch])
            _, errors = backward(layers, weights, kept, error[:, :, None, None])
            now = rate * (1 - (epoch * steps + step) / (epochs * steps))
            for own, speed, slope in zip(weights, speeds, errors, strict=True):
                for name in own:
                    speed[name] = 0.9 * speed[name] - now * slope[name]
                    own[name] = own[name] + speed[name]
            total += loss * len(batch)
        yield total / len(images), [dict(own) for own in weights]


def accuracy(layers: Sequence[Layer], weights: Sequence[Weights], images: Array, labels: Array) -> float:
    """The part of the pictures whose largest score is that of their class."""
    scores, _ = forward(layers, weights, images)
    return float(np.mean(scores[:, :, 0, 0].argmax(1) == labels))


def main() -> None:
    """Train on three quarters of scikit-learn's digits, and tell how many of the others are named rightly."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = digits.images[:, None] / 8 - 1
    parts = train_test_split(images, digits.target, test_size=0.25, stratify=digits.target, random_state=0)
    learn, hold, names, held = parts
    layers = small_lenet()
    for epoch, (loss, weights) in enumerate(train(layers, learn, names), start=1):
        right = accuracy(layers, weights, hold, held)
        print(f"epoch {epoch:2}: loss {loss:.4f}, {100 * right:.1f}% of those held out named rightly")


if __name__ == "__main__":
    main()

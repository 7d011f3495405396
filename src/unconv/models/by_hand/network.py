"""3. The network: one layer after the other, back in the opposite order, and gradient descent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unconv.models.by_hand.index import Array
from unconv.models.by_hand.layers import Convolution, Layer, Squash, Subsampling, Weights


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

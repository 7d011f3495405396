"""Multiply–accumulates of the operations that have them: convolutions, products, attention, recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


def convolution_macs(
    input_shape: Sequence[int], weight_shape: Sequence[int], output_shape: Sequence[int], transposed: bool
) -> int:
    """MACs of a convolution or a transposed convolution; biases are not counted.

    Every weight is used once per position of the window, k·C_in·C_out/groups × positions: the window of a convolution
    stands at each *output* position, that of a transposed convolution at each *input* position (counting its output
    instead comes out about s² too high).

    >>> convolution_macs((1, 64, 8, 8), (64, 32, 4, 4), (1, 32, 16, 16), transposed=True)
    2097152
    """
    walked = input_shape if transposed else output_shape
    return prod(weight_shape) * input_shape[0] * prod(walked[2:])


def product_macs(left: Sequence[int], right: Sequence[int]) -> int:
    """MACs of a (batched) product of matrices, (…, m, k) · (…, k, n).

    >>> product_macs((2, 3, 4), (2, 4, 5))
    120
    """
    return prod(left) * right[-1]


def attention_macs(query: Sequence[int], key: Sequence[int], value: Sequence[int]) -> int:
    """MACs of scaled dot-product attention, its two products: (…, L, E) · (…, E, S), then (…, L, S) · (…, S, Eᵥ).

    >>> attention_macs((1, 8, 10, 4), (1, 8, 10, 4), (1, 8, 10, 4))
    6400
    """
    pairs = prod(query[:-1]) * key[-2]
    return pairs * query[-1] + pairs * value[-1]


def recurrent_macs(gates: int, features: int, hidden: int, state: int, layers: int, directions: int, rows: int) -> int:
    """MACs of a recurrent layer: every weight of all gates, layers and directions once per step of each sequence.

    A gate has hidden · (features + state) weights, above the first layer hidden · (directions · state + state); where
    the ``state`` is a projection of the ``hidden`` values, that has hidden · state more.

    >>> recurrent_macs(4, features=3, hidden=5, state=5, layers=1, directions=1, rows=32)
    5120
    """
    read = features + (layers - 1) * directions * state + layers * state
    projected = layers * hidden * state if state != hidden else 0
    return rows * directions * (gates * hidden * read + projected)


def constant_macs(
    operator: str, shapes: Sequence[Sequence[int]], output: Sequence[int] = (), transposed: bool = False
) -> int:
    """MACs of a product or a convolution that does not depend on the network's input, by the shapes of its operands.

    >>> constant_macs("addmm", [(5,), (2, 3), (3, 5)]), constant_macs("relu", [(2, 3)])
    (30, 0)
    >>> constant_macs("convolution", [(1, 2, 5), (4, 2, 3)], (1, 4, 3))
    72
    """
    if operator == "convolution":
        return convolution_macs(shapes[0], shapes[1], output, transposed)
    first = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}.get(operator)
    return 0 if first is None else product_macs(shapes[first], shapes[first + 1])

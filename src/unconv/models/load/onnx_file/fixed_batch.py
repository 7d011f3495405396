"""Files that are made for batches of one size: their shapes, read so that any batch goes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unconv.models.load.onnx_file.node import Node


@dataclass(frozen=True)
class FixedBatch:
    """How many examples a file takes at once, more than one.

    Attributes:
        size: of the batch.
        firsts: the first number in the shape of each value of the file, as onnx infers it.
    """

    size: int
    firsts: Mapping[str, int]

    def freed(self, node: Node, given: Sequence[Any]) -> list[Any]:
        """The constants of a node, with the batch left open in the target of a reshape.

        >>> node = Node("view", "Reshape", {}, ("x", "s"), ("y",))
        >>> [FixedBatch(4, {"x": 4}).freed(node, [None, np.array(s)])[1] for s in ([4, 6], [4, -1], [8, 3])]
        [array([-1,  6]), array([ 0, -1]), array([-1,  3])]
        """
        given = list(given)
        if node.operator == "Reshape" and given[1] is not None and given[1].ndim == 1:
            given[1] = self._target(node, given[1])
        return given

    def _target(self, node: Node, target: NDArray[Any]) -> NDArray[Any]:
        if len(target) == 0 or target[0] <= 0 or target[0] % self.size or node.get("allowzero", 0):
            return target
        if (target > 0).all():
            return np.array([-1, *target[1:]])
        # The rest is told by -1: the first number stays that of the input, where it is.
        return np.array([0, *target[1:]]) if self.firsts.get(node.inputs[0]) == target[0] else target


def fixed_batch(onnx: Any, model: Any, axes: Sequence[Sequence[int | str]]) -> FixedBatch | None:
    """The batch of a file whose inputs, of those axes, all begin with the same number above one; None of others."""
    first = {one[0] for one in axes if one}
    size = first.pop() if len(first) == 1 else None
    if not isinstance(size, int) or size < 2:
        return None
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {one.name: one.type.tensor_type.shape.dim for one in (*graph.input, *graph.value_info)}
    return FixedBatch(size, {name: dims[0].dim_value for name, dims in shapes.items() if dims})

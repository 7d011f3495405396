"""Answers for products: linear layers, matrix products and ``einsum`` whose sizes do not go together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any

from unconv.network.audit.finding import by_size
from unconv.network.shapes.joined_answers import linear_behind, operand_names
from unconv.network.shapes.rearranged_answers import weighted_before, widened
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.shapes.size_story import size_stories
from unconv.network.trace.failed import Failed
from unconv.network.trace.graph import Graph
from unconv.network.trace.operation import ModuleCall

Shape = tuple[int, ...]


def answer_linear_layer(graph: Graph, module: ModuleCall, name: str) -> ShapeAnswer | None:
    """A linear layer that gets other features than it takes, mostly behind a flatten or without one."""
    layer: Any = module.module
    given = module.input_shapes[0]
    if not given or given[-1] == layer.in_features:
        return None
    path, takes = module.path or "the layer", layer.in_features
    what = f"{path} takes {takes} features and gets {given[-1]}"
    names = (name, path)
    if len(given) > 2 and prod(given[1:]) == takes:
        what += f": nothing flattens {by_size(given[1:])}"
        return ShapeAnswer(what, (), names, "x.flatten(1)", by_input=False)
    if len(given) > 2 and given[1] == takes:
        order = "x.transpose(1, 2)" if len(given) == 3 else f"x.movedim(1, {len(given) - 1})"
        what += f" from {name} ({by_size(given)}, batch first)"
        return ShapeAnswer(what, (), names, f"{order} before it: its features stand behind the batch", by_input=False)
    batch = graph.values[graph.root_of(name)].shape[0]
    if len(given) == 1 and batch > 1 and given[0] == batch * takes:
        what = f"{what}: those of all {batch} of the batch in one row"
        return ShapeAnswer(what, (), names, "x.flatten(1): the batch stays as it is", by_input=False)
    if prod(given) == takes and _has_no_batch(graph, name):
        what += f": {name} keeps the first axis of one image, and {by_size(given)} are {takes} numbers together"
        return ShapeAnswer(what, (), names, "x[None] at the input, which has no batch", by_input=False)
    story: tuple[str, ...] = ()
    fix = f"nn.Linear({given[-1]}, {layer.out_features})"
    flat = next((one for one in graph if one.name == name), None)
    if flat is not None and flat.operator == "flatten" and len(flat.input_shape) > 1:
        maps = flat.input_shape
        before = flat.inputs[0] if flat.inputs else name
        what += f": {name} makes them of {by_size(maps)}"
        story = size_stories(graph, before, range(len(maps) - 1))
        side = round((takes / maps[0]) ** (1 / (len(maps) - 1)))
        if maps[0] * side ** (len(maps) - 1) == takes:
            fix += f", or nn.AdaptiveAvgPool{len(maps) - 1}d({side}) before the flatten"
    return ShapeAnswer(what, story, names, fix)


def _has_no_batch(graph: Graph, name: str) -> bool:
    """Whether a convolution before a layer was given one image without a batch."""
    layer = weighted_before(graph, name)
    geometry = layer.geometry if layer is not None else None
    return geometry is not None and len(graph.values[graph.root_of(name)].shape) == len(geometry.stride) + 1


def answer_product(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Matrices that do not multiply: ``matmul``, ``bmm``, ``addmm``, ``F.linear``."""
    names, shapes = operand_names(failed, graph), failed.shapes
    operator = failed.operator.strip("_")
    if operator in ("addmm", "baddbmm"):
        names, shapes = names[1:3], shapes[1:3]
    if operator == "rmatmul":
        names, shapes = names[1::-1], shapes[1::-1]
    if len(shapes) < 2 or not shapes[0] or not shapes[1]:
        return None
    one, two = shapes[:2]
    what = f"{where} multiplies {names[0]}, {by_size(one)}, by {names[1]}, {by_size(two)} ({operator})"
    axes = {"bmm": 3, "baddbmm": 3, "mm": 2, "addmm": 2}.get(operator)
    if axes is not None and (len(one) != axes or len(two) != axes):
        instead = f"torch.matmul, which takes any, in place of torch.{operator}"
        return ShapeAnswer(f"{what}, which takes {axes} axes of each", (), names[:2], instead, by_input=False)
    inner = two[-1] if operator == "linear" else two[-2] if len(two) > 1 else two[-1]
    if one[-1] == inner:
        if len(one) > 2 and len(two) > 2 and one[:-2] != two[:-2]:
            fix = "the same axes before the last two, or 1 where one goes with all of the other's"
            what = f"{what}: {by_size(one[:-2])} matrices against {by_size(two[:-2])}"
            return ShapeAnswer(what, (), names[:2], fix, by_input=False)
        return None
    what += f": {one[-1]} against {inner}"
    return ShapeAnswer(what, (), names[:2], _multiplied(graph, operator, names, (one, two), inner), by_input=False)


def _multiplied(graph: Graph, operator: str, names: Sequence[str], pair: tuple[Shape, Shape], inner: int) -> str:
    """What makes the last axis of a matrix the inner one of another."""
    one, two = pair
    if operator != "linear" and len(two) > 1 and two[-1] == one[-1]:
        return f"x.transpose(-1, -2) of {names[1]}"
    if len(one) == len(two) == 2 and one[0] == two[0] and operator != "linear" and names[1] in graph:
        # Rows of a batch on both sides: each with each.
        wider = widened(graph, names[1], one[1])
        return f"x.T of {names[1]}, behind {wider or f'nn.Linear({two[1]}, {one[1]})'}: each row with each"
    if operator != "linear" and len(one) > 1 and one[-2] == inner:
        return f"x.transpose(-1, -2) of {names[0]}"
    ends = [graph[name].output_shape[-1:] if name in graph else () for name in names[:2]]
    first = widened(graph, names[0], inner) if ends[0] == one[-1:] else ""
    second = widened(graph, names[1], one[-1]) if ends[1] == (inner,) else ""
    rows = f"a weight of {by_size((two[0], one[-1]))}" if operator == "linear" else f"{one[-1]} rows in {names[1]}"
    held = "" if names[1] in graph else rows
    return " or ".join(filter(None, (first, second, held))) or "one size for the inner axes"


def answer_einsum(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Subscripts that stand for two sizes, or for another number of axes than a tensor has: ``torch.einsum``."""
    equation, names, shapes = failed.args[0], operand_names(failed, graph), failed.shapes
    if not isinstance(equation, str) or "." in equation:
        return None
    terms = re.sub(r"\s", "", equation).partition("->")[0].split(",")
    if len(terms) != len(shapes):
        fix = f"one group of subscripts for each tensor: {len(shapes)} of them"
        what = f"{where} gives einsum {len(shapes)} tensors and {len(terms)} groups of subscripts, {equation!r}"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    for name, term, shape in zip(names, terms, shapes, strict=True):
        if len(term) != len(shape):
            what = (
                f"{where} reads {name}, {by_size(shape)}, as {term!r} of einsum {equation!r}: {len(term)} subscripts "
                f"for {len(shape)} axes"
            )
            return ShapeAnswer(what, (), (name,), f"{len(shape)} subscripts for it, one for each axis", by_input=False)
    seen: dict[str, tuple[int, str, int]] = {}
    for name, term, shape in zip(names, terms, shapes, strict=True):
        for axis, (letter, size) in enumerate(zip(term, shape, strict=True)):
            first, before, place = seen.setdefault(letter, (size, name, axis))
            if size != first and 1 not in (size, first):
                return _of_letter(graph, where, equation, letter, ((before, first, place), (name, size, axis)), shape)
    return None


def _of_letter(
    graph: Graph, where: str, equation: str, letter: str, pair: tuple[tuple[str, int, int], ...], shape: Shape
) -> ShapeAnswer:
    (before, first, _), (name, size, axis) = pair
    what = f"in {where}, {letter!r} of einsum {equation!r} is {first} in {before} and {size} in {name}"
    maker = weighted_before(graph, name)
    fix = widened(graph, name, first) if axis == len(shape) - 1 else ""
    if not fix and maker is not None and maker.operator.startswith("conv") and axis == 1 and len(shape) > 2:
        fix = f"{first} channels out of layer {maker.name}"
    other = weighted_before(graph, before)
    if not fix and name not in graph and other is not None:
        fix = f"{first} in axis {axis} of {name}, which is {by_size(shape)}"
    return ShapeAnswer(what, (), (before, name), fix or f"one size for {letter!r} in both", by_input=False)


def answer_similarity(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """Vectors of other lengths: ``F.cosine_similarity``, ``F.pairwise_distance``, ``torch.cdist``."""
    names, shapes = operand_names(failed, graph), failed.shapes
    if len(shapes) < 2 or len(shapes[0]) != len(shapes[1]) or not shapes[0]:
        return None
    given = {"dim": 1 if failed.operator == "cosine_similarity" else -1} | failed.bind("x1", "x2")
    dim = given["dim"]
    if not isinstance(dim, int) or not -len(shapes[0]) <= dim < len(shapes[0]):
        return None
    one, two = shapes[0][dim], shapes[1][dim]
    if one == two:
        return None
    what = f"{where} compares {names[0]}, {by_size(shapes[0])}, and {names[1]}, {by_size(shapes[1])}"
    what += f" ({failed.operator}): vectors of {one} and {two} numbers"
    fix = widened(graph, names[1], one) or linear_behind(graph, names[1], two, one)
    return ShapeAnswer(what, (), names[:2], fix, by_input=False)

"""Answers for joins: tensors that are added, multiplied or put together, and differ in axes, channels or batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from unconv.network.audit.checks.meeting import maker_of
from unconv.network.audit.finding import by_size
from unconv.network.shapes.rearranged_answers import weighted_before, widened
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.trace.failed import Failed
from unconv.network.trace.graph import Graph

Shape = tuple[int, ...]
# Tokens that stand beside those of an image's places: one of the class, one more of a teacher's.
MOST_BESIDE = 2


def operand_names(failed: Failed, graph: Graph) -> tuple[str, ...]:
    """What each tensor that came in is called: by the layer that made it, or as a parameter."""
    return tuple(
        operand.name if operand.value is None and operand.name else maker_of(graph, operand.value)
        for operand in failed.operands
    )


def answer_joined(failed: Failed, graph: Graph, where: str) -> ShapeAnswer | None:
    """What mends two tensors that are joined; None where they differ in the places of maps alone."""
    shapes, operator = failed.shapes, failed.operator.strip("_")
    along = _joined_along(failed) if operator == "cat" else None
    other = next((n for n, shape in enumerate(shapes) if _unlike(shape, shapes[0], along, operator)), None)
    if other is None:
        return None
    called = operand_names(failed, graph)
    names, pair = (called[0], called[other]), (shapes[0], shapes[other])
    what = f"{names[0]} is {by_size(pair[0])} and {names[1]} {by_size(pair[1])}; {where} joins them ({operator})"
    if len(pair[0]) != len(pair[1]):
        return ShapeAnswer(what, (), names, _of_fewer_axes(names, pair, along, operator), by_input=False)
    values = (failed.values[0], failed.values[other])
    differ = [axis for axis, sides in enumerate(zip(*pair, strict=True)) if _unlike_at(sides, axis, along, operator)]
    if differ == [0]:
        return _of_batches(what, names, pair, values, graph)
    if len(pair[0]) > 3 and pair[1] == (pair[0][0], *pair[0][2:], pair[0][1]):
        order = ", ".join(map(str, (0, len(pair[0]) - 1, *range(1, len(pair[0]) - 1))))
        fix = f"x.permute({order}) of {names[1]}: its channels come last, and those of the other behind the batch"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    if None in values and len(pair[0]) > 2:
        return _of_constant(what, names, pair, values, differ)
    if _swapped(*pair):
        fix = f"x.transpose(-1, -2) of {names[1]}: its last two axes are swapped"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    if len(pair[0]) == 3 and all(_ends_in_linear(graph, name) for name in names):
        return _of_tokens(what, names, pair, differ)
    if differ == [1] and len(pair[0]) == 2:
        return ShapeAnswer(what, (), names, linear_behind(graph, names[1], pair[1][1], pair[0][1]), by_input=False)
    if differ == [1]:
        together = f", or torch.cat([a, b], 1){', along the channels' * (operator == 'cat')}"
        one, two = pair[0][1], pair[1][1]
        fix = f"nn.Conv{len(pair[0]) - 2}d({two}, {one}, 1) behind {names[1]}"
        fix = widened(graph, names[1], one) or fix
        fix += together if pair[0][2:] == pair[1][2:] else ""
        return ShapeAnswer(f"{what}: {one} channels against {two}", (), names, fix, by_input=False)
    if 0 in differ:
        return _of_batches(what, names, pair, values, graph)
    return None


def linear_behind(graph: Graph, name: str, features: int, wanted: int) -> str:
    """What makes as many features of a vector as are wanted: places that were flattened have to be as many."""
    flat = next((layer for layer in graph if layer.name == name and layer.operator == "flatten"), None)
    linear = f"nn.Linear({features}, {wanted}) behind {name}"
    if flat is None or len(flat.input_shape) < 2:
        return linear
    return f"inputs of one size, or nn.AdaptiveAvgPool{len(flat.input_shape) - 1}d(1) before the flatten, in both"


def _joined_along(failed: Failed) -> int:
    dim = failed.bind("tensors", "dim").get("dim", 0)
    count = len(failed.shapes[0])
    return dim % count if isinstance(dim, int) and count else 0


def _unlike_at(sides: tuple[int, int], axis: int, along: int | None, operator: str) -> bool:
    strict = operator in ("cat", "stack")
    return axis != along and sides[0] != sides[1] and (strict or 1 not in sides)


def _unlike(one: Shape, two: Shape, along: int | None, operator: str) -> bool:
    if len(one) != len(two):
        return True
    return any(_unlike_at(sides, axis, along, operator) for axis, sides in enumerate(zip(one, two, strict=True)))


def _swapped(one: Shape, two: Shape) -> bool:
    return len(one) > 2 and one == (*two[:-2], two[-1], two[-2])


def _ends_in_linear(graph: Graph, name: str) -> bool:
    layer = weighted_before(graph, name)
    return layer is not None and layer.operator == "linear"


def _of_fewer_axes(names: Sequence[str], pair: Sequence[Shape], along: int | None, operator: str) -> str:
    """What gives a tensor the axes of the other."""
    short, long = sorted(pair, key=len)
    name = names[0 if short == pair[0] else 1]
    more = len(long) - len(short)
    if operator in ("cat", "stack"):
        return _added(short, long, along, name)
    if len(short) >= 2 and short[:1] == long[:1] and more == 1 and short[1:] == long[2:]:
        return f"x[:, None] of {name}, which has no {'channel' if len(long) > 3 else 'axis behind the batch'}"
    behind = f"x[..., {', '.join(['None'] * more)}]"
    if len(short) >= 2 and short == long[: len(short)]:
        return f"{behind} of {name}: torch lines up the last axes, and its axes are the first of the other's"
    if len(short) == 1 and short[0] == long[1]:
        return f"x.reshape(1, -1{', 1' * (len(long) - 2)}) of {name}: torch lines up the last axes"
    return f"reshape {name} to {len(long)} axes that are 1 or equal to those of {by_size(long)}"


def _added(short: Shape, long: Shape, along: int | None, name: str) -> str:
    """The axes, behind the batch and together, by which a tensor can be joined along an axis, where there are some."""
    more = len(long) - len(short)
    ways: list[tuple[bool, bool, str]] = []
    for place in range(1, len(short) + 1):
        shape = (*short[:place], *long[place : place + more], *short[place:])
        new = range(place, place + more)
        # Along the axis itself one cell is enough.
        if all(a == b or axis == along for axis, (a, b) in enumerate(zip(shape, long, strict=True))):
            repeated = any(long[axis] != 1 and axis != along for axis in new)
            sizes = ["-1" if axis not in new or axis == along else str(long[axis]) for axis in range(len(long))]
            code = f"x[{'..., ' if place == len(short) else ':, ' * place}{', '.join(['None'] * more)}]"
            lacks = "channel" if place == 1 and len(long) > 3 else "such axis"
            said = f".expand({', '.join(sizes)}) of {name}: its numbers at every place"
            ways.append((repeated, along in new, code + (said if repeated else f" of {name}, which has no {lacks}")))
    if not ways:
        return f"reshape {name} to {len(long)} axes, of which all but the one along which they are joined are equal"
    # A tensor rather is not repeated, and has the axis along which it is joined.
    return min(ways, key=lambda way: way[:2])[2]


def _of_batches(
    what: str,
    names: tuple[str, str],
    pair: tuple[Shape, Shape],
    values: tuple[int | None, int | None],
    graph: Graph,
) -> ShapeAnswer:
    """Batches that differ: those of the inputs, one that was lost on the way, or a tensor for one of a batch."""
    what = f"{what}: {pair[0][0]} against {pair[1][0]} in the batch"
    constant = next((n for n in (0, 1) if values[n] is None), None)
    if constant is not None and pair[constant][0] == 1:
        sizes = ", ".join(["-1"] * (len(pair[constant]) - 1))
        fix = f"x.expand({pair[1 - constant][0]}, {sizes}) of {names[constant]}, or len(x) in place of the number"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    given = [None if value is None else batch_of(graph, value) for value in values]
    if given == [pair[0][0], pair[1][0]]:
        inputs = [graph.input_name(_root(graph, value)) for value in values if value is not None]
        one = next((name for name, shape in zip(inputs, pair, strict=True) if shape[0] == 1), "")
        repeated = f"; x.expand for {one}, where it goes with all of them" if one else ""
        fix = f"inputs of one batch: {inputs[0]} has {pair[0][0]} and {inputs[1]} {pair[1][0]}{repeated}"
        return ShapeAnswer(what, (), names, fix, by_input=False)
    lost = [name for name, shape, batch in zip(names, pair, given, strict=True) if batch not in (None, shape[0])]
    which = f", before {' and '.join(dict.fromkeys(lost))}" if lost else ""
    fix = f"keep the batch in front: x.flatten(1), or x.reshape(len(x), ...), where it was lost{which}"
    return ShapeAnswer(what, (), names, fix, by_input=False)


def _root(graph: Graph, index: int) -> int:
    while graph.values[index].parents:
        index = min(parent for parent, _ in graph.values[index].parents)
    return index


def batch_of(graph: Graph, index: int) -> int:
    """The batch of the input that a tensor comes from."""
    return graph.values[_root(graph, index)].shape[0]


def _of_constant(
    what: str,
    names: tuple[str, str],
    pair: tuple[Shape, Shape],
    values: tuple[int | None, int | None],
    differ: Sequence[int],
) -> ShapeAnswer | None:
    """A tensor of a size of its own, as position embeddings for the places of another image."""
    which = 0 if values[0] is None else 1
    held, name, wanted = pair[which], names[which], pair[1 - which]
    if len(held) != 3 or list(differ) != [1]:
        sizes = tuple(b if axis in differ else a for axis, (a, b) in enumerate(zip(held, wanted, strict=True)))
        fix = f"a tensor of {by_size(sizes)} in place of {name}"
        return ShapeAnswer(what, (), names, fix)
    what = f"{what}: {name} is for {held[1]} tokens, and there are {wanted[1]}"
    anew = f"{name} made for {wanted[1]} tokens"
    for beside in range(MOST_BESIDE + 1):
        sides = isqrt(max(held[1] - beside, 0)), isqrt(max(wanted[1] - beside, 0))
        if all(side and side**2 + beside == shape[1] for side, shape in zip(sides, (held, wanted), strict=True)):
            return ShapeAnswer(what, (), names, f"{_resized(sides, beside)} of {name}, or {anew}")
    return ShapeAnswer(what, (), names, anew)


def _resized(sides: tuple[int, int], beside: int) -> str:
    """Position embeddings of a square, resized; those of tokens without a place stay as they are."""
    places = f"x[:, {beside}:]" if beside else "x"
    grid = f"{places}.transpose(1, 2).unflatten(2, ({sides[0]}, {sides[0]}))"
    resized = f'F.interpolate({grid}, size=({sides[1]}, {sides[1]}), mode="bicubic").flatten(2).transpose(1, 2)'
    return f"torch.cat([x[:, :{beside}], {resized}], 1)" if beside else resized


def _of_tokens(what: str, names: tuple[str, str], pair: tuple[Shape, Shape], differ: Sequence[int]) -> ShapeAnswer:
    """Tokens (batch, tokens, features) of other numbers of tokens or features."""
    one, two = pair
    fixes = []
    if 1 in differ:
        long = 0 if one[1] > two[1] else 1
        fixes.append(f"x[:, :{min(one[1], two[1])}] of {names[long]}, or the shorter padded, where tokens belong so")
    if 2 in differ:
        fixes.append(f"nn.Linear({two[2]}, {one[2]}) behind {names[1]}")
    kinds = " and ".join(kind for axis, kind in ((1, "tokens"), (2, "features")) if axis in differ)
    return ShapeAnswer(f"{what}: they differ in {kinds}", (), names, ", and ".join(fixes), by_input=False)

"""Tensors of a pass as functions of other tensors, element by element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

from unconv.visualize.reverse.rectifiers.anchors import Lent, Place
from unconv.visualize.reverse.rectifiers.calls import Call, replace_tensors
from unconv.visualize.reverse.rectifiers.curves import FAR, GRID, Curve, recognise_curve

# Where a node's metadata say what its result is, with the number of the result.
VALUE = "unconv.value"
# Where they say which operation's result was copied.
COPIED = "unconv.copied"
# Of a constant with more numbers a function is not looked at: one a channel it has, hardly one a pixel.
_MOST = 4096


@dataclass(eq=False)
class Value:
    """A tensor of a pass, as it was at one moment.

    Attributes:
        shape: its shape.
        version: how often its memory had been overwritten.
        call: what it was computed by, element by element; None for any other way.
        inputs: the operands of that.
        places: where these stood in autograd's graph, or tensors that may stand there still.
        start: the value from which on it is not affine any more; None where it is affine in its origin.
        rectified: whether it is a rectifier's result, or a multiple of one.
        origin: the last value that all ways to it lead through.
        depth: how many of these there are, one behind the other.
    """

    shape: torch.Size
    version: int
    call: Call | None = None
    inputs: tuple[Value, ...] = ()
    places: tuple[Place | Lent | None, ...] = ()
    start: Value | None = None
    rectified: bool = False
    origin: Value | None = field(init=False)
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        self.origin = common_origin(self.inputs)
        self.depth = 0 if self.origin is None else self.origin.depth + 1


def version_of(tensor: Tensor) -> int:
    """How often a tensor was overwritten, where torch counts it."""
    return 0 if tensor.is_inference() else tensor._version


def value_at(node: Any, number: int, shape: torch.Size, version: int) -> Value:
    """The value of a node's result."""
    metadata = node.metadata
    if COPIED in metadata:
        return value_at(metadata[COPIED], 0, shape, -1)
    value: Value | None = metadata.get((VALUE, number))
    if value is None or (value.version != version and version >= 0 and value.version >= 0):
        call: Call | None = getattr(node, "spelled", None)
        if call is None:
            value = Value(shape, version)
        else:
            before, count = node.next_functions[0]
            source = Value(shape, -1) if before is None else value_at(before, count, shape, -1)
            value = Value(shape, -1, call, (source,), (node.source,), source, rectified=True)
        metadata[VALUE, number] = value
    return value


def common_origin(values: Iterable[Value]) -> Value | None:
    """The last value that all ways to some values lead through, these included; None where there is none.

    >>> x = Value(torch.Size([2]), 0)
    >>> y, z = (Value(x.shape, 0, inputs=(x,)) for _ in range(2))
    >>> common_origin([y, z]) is x, common_origin([y, Value(x.shape, 0)])
    (True, None)
    """
    found: Value | None = None
    for count, value in enumerate(values):
        found = value if count == 0 else _meeting(found, value)
    return found


def _meeting(one: Value | None, other: Value | None) -> Value | None:
    while one is not other:
        if one is None or other is None:
            return None
        if one.depth >= other.depth:
            one = one.origin
        else:
            other = other.origin
    return one


def between(value: Value, start: Value) -> list[Value]:
    """What a value was computed by, from a start on that all ways to it lead through, each behind its operands."""
    ordered: dict[Value, None] = {}

    def visit(one: Value) -> None:
        if one is not start and one not in ordered:
            for source in one.inputs:
                visit(source)
            ordered[one] = None

    visit(value)
    return list(ordered)


def signature(steps: Sequence[Value], start: Value) -> Any:
    """What tells a function from others of a pass; None where its constants are tensors, or cannot be told apart."""
    places = {start: 0} | {step: count for count, step in enumerate(steps, 1)}
    keys = []
    for step in steps:
        key = None if step.call is None else step.call.key()
        if key is None:
            return None
        keys.append((key, tuple(places[source] for source in step.inputs)))
    signed = tuple(keys)
    try:
        hash(signed)
    except TypeError:
        return None
    return signed


def curve_between(steps: Sequence[Value], start: Value) -> Curve | None:
    """The rectifier that some steps are together; None where they are none, or cannot be computed apart."""
    if any(step.call is None or any(_is_unknown(one) for one in step.call.constants) for step in steps):
        return None
    with _disable_current_modes(), torch.no_grad():
        return _curve_between(steps, start)


def _is_unknown(constant: Tensor) -> bool:
    return isinstance(constant, FakeTensor) and constant.constant is None


def _curve_between(steps: Sequence[Value], start: Value) -> Curve | None:
    shape = _probe_shape(steps, start)
    if shape is None:
        return None
    points = torch.tensor((*GRID, FAR), dtype=torch.float64, device=_device(steps))
    grid = points.reshape(-1, *(1,) * (len(shape) - 1)).expand(len(points), *shape[1:]).contiguous()
    results = {start: grid}
    try:
        for step in steps:
            assert step.call is not None
            results[step] = _as_known(step.call).run([results[source] for source in step.inputs])
    except (RuntimeError, TypeError, IndexError, ValueError):
        # What needs the very shape or type of the network's values.
        return None
    last = results[steps[-1]]
    if last.shape != grid.shape or not last.is_floating_point():
        return None
    curve = recognise_curve(last[:-1], last[-1])
    if curve is None or curve.name:
        return curve
    names = dict.fromkeys(step.call.name for step in steps if step.call is not None)
    return Curve("rectifier of " + ", ".join(names), curve.scale)


def _device(steps: Sequence[Value]) -> torch.device:
    constants = [one for step in steps if step.call is not None for one in step.call.constants]
    return constants[0].device if constants else torch.device("cpu")


def _probe_shape(steps: Sequence[Value], start: Value) -> tuple[int, ...] | None:
    """The shape of a probe: its points along the batch, and along the other axes what constants need."""
    sizes = [1] * max(1, len(start.shape))
    for step in steps:
        assert step.call is not None
        for one in map(_known, step.call.constants):
            if one.numel() > 1 and not _is_uniform(one):
                if one.numel() > _MOST or one.ndim > len(sizes):
                    return None
                for axis, size in zip(range(-one.ndim, 0), one.shape, strict=True):
                    sizes[axis] = max(sizes[axis], size)
    if sizes[0] != 1:
        return None
    return tuple(sizes) if max(sizes) > 1 else (1,)


def _known(constant: Tensor) -> Tensor:
    """A constant with its numbers, in a pass on shapes alone too."""
    if isinstance(constant, FakeTensor):
        assert constant.constant is not None
        return constant.constant
    return constant


def _as_known(call: Call) -> Call:
    """A call with its constants' numbers; those that are all alike have no shape."""

    def shrink(one: Tensor) -> Tensor:
        one = _known(one)
        return one.reshape(-1)[0] if one.numel() > 1 and _is_uniform(one) else one

    args, kwargs = replace_tensors((call.args, call.kwargs), shrink)
    return Call(call.name, call.func, args, kwargs, call.changes, call.constants)


def _is_uniform(one: Tensor) -> bool:
    return bool((one == one.reshape(-1)[0]).all())

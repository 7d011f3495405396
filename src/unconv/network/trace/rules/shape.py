"""Rules of operations that move numbers and compute none: views, slices, concatenation, rolls."""

from __future__ import annotations

from collections.abc import Sequence

from unconv.network.trace import layout as lay
from unconv.network.trace.links import Link, Window, link_cells
from unconv.network.trace.operation import OperatorCall, Outcome
from unconv.network.trace.rules.window import OperationRule
from unconv.network.trace.value_graph import ValueGraph
from unconv.network.trace.values import Read, Value


def _hidden(call: OperatorCall, value: Value) -> Outcome:
    return Outcome(call.name, (value,), visible=False)


def same(call: OperatorCall) -> Outcome:
    """Nothing changes: clone, detach, conversion, contiguous."""
    return _hidden(call, call.values[0])


def view(call: OperatorCall) -> Outcome:
    """A view with another shape; from a map to a vector it is a layer of its own, ``flatten``."""
    value = call.graph.reshape(call.values[0], call.shape)
    before = tuple(call.first.shape)
    alone = before[:1] == call.shape[:1] == (call.graph.batch,)
    flat = len(call.shape) == 2 < len(before) and alone and before[-1] != call.shape[1]
    return Outcome("flatten" if flat else call.name, (value,), visible=flat)


def as_strided(call: OperatorCall) -> Outcome:
    """Another reading of the memory: nothing changes where shape and order stay; anything else is not followed."""
    pairs = zip(call["stride"], call.first.stride(), strict=False)
    kept = all(new == old or size == 1 for (new, old), size in zip(pairs, call.shape, strict=False))
    if tuple(call["size"]) == tuple(call.first.shape) and kept and not call["storage_offset"]:
        return _hidden(call, call.values[0])
    out = call.graph.unknown(call.values, call.shape)
    return Outcome("as_strided", (out,), note="memory read with strides of its own: units count as seeing everything")


def permute(call: OperatorCall) -> Outcome:
    """Dimensions in another order."""
    value, rank = call.values[0], len(call.shape)
    order = list(range(rank))
    if call.name == "permute":
        order = [dim % rank for dim in call["dims"]]
    elif rank > 1:
        one, two = (call["dim0"] % rank, call["dim1"] % rank) if call.name == "transpose" else (0, 1)
        order[one], order[two] = order[two], order[one]
    return _hidden(call, call.graph.relabel(value, tuple(value.layout[dim] for dim in order)))


def unsqueeze(call: OperatorCall) -> Outcome:
    """A new dimension of size 1."""
    value, rank = call.values[0], len(call.shape)
    dim = call["dim"] % rank
    return _hidden(call, call.graph.relabel(value, (*value.layout[:dim], (), *value.layout[dim:])))


def squeeze(call: OperatorCall) -> Outcome:
    """Dimensions of size 1 dropped."""
    value, shape = call.values[0], tuple(call.first.shape)
    dims = call.get("dim", range(len(shape)))
    chosen = {dim % len(shape) for dim in ([dims] if isinstance(dims, int) else dims)}
    layout = tuple(dim for n, dim in enumerate(value.layout) if n not in chosen or shape[n] != 1)
    return _hidden(call, call.graph.relabel(value, layout))


def expand(call: OperatorCall) -> Outcome:
    """Dimensions of size 1 repeated."""
    value, offset = call.values[0], len(call.shape) - call.first.dim()
    reads = [_broadcast(value, n - offset, size) for n, size in enumerate(call.shape)]
    return _hidden(call, call.graph.derive([(value, reads)], call.shape))


def _broadcast(value: Value, dim: int, size: int) -> Read | None:
    return Read(dim) if dim >= 0 and lay.dim_size(value.layout[dim]) == size else None


def broadcast_reads(value: Value, shape: Sequence[int]) -> list[Read | None]:
    """Reads of an operand that is broadcast to a shape."""
    offset = len(shape) - len(value.layout)
    return [_broadcast(value, n - offset, size) for n, size in enumerate(shape)]


def along(call: OperatorCall, value: Value, dim: int, link: Link, shape: Sequence[int]) -> Value:
    """One dimension read through a link, the others as they are."""
    reads = [Read(n, link if n == dim else None) for n in range(len(value.layout))]
    return call.graph.derive([(value, reads)], shape)


def _moves_axis(value: Value, dim: int) -> bool:
    return bool(lay.axes_in(value.layout[dim]))


def slice_(call: OperatorCall) -> Outcome:
    """Every n-th index of a stretch of one dimension."""
    value, dim = call.values[0], call["dim"] % len(call.shape)
    size, step = call.first.shape[dim], call["step"]
    start, _, _ = slice(call["start"], call["end"], step).indices(size)
    if call.shape[dim] == size:
        return _hidden(call, value)
    out = along(call, value, dim, Window(stride=step, pad_before=-start), call.shape)
    return Outcome("slice", (out,), visible=_moves_axis(value, dim))


def select(call: OperatorCall) -> Outcome:
    """One index of a dimension, which disappears."""
    value, rank = call.values[0], call.first.dim()
    dim = call["dim"] % rank
    index = call["index"] % call.first.shape[dim]
    return Outcome("select", (_select(call, value, dim, index),), visible=_moves_axis(value, dim))


def _select(call: OperatorCall, value: Value, dim: int, index: int) -> Value:
    shape = [size for n, size in enumerate(lay.shape_of(value.layout)) if n != dim]
    one = along(call, value, dim, Window(pad_before=-index), [*shape[:dim], 1, *shape[dim:]])
    return call.graph.relabel(one, (*one.layout[:dim], *one.layout[dim + 1 :]))


def unbind(call: OperatorCall) -> Outcome:
    """All indices of a dimension, one tensor each."""
    value, dim = call.values[0], call["dim"] % call.first.dim()
    outs = tuple(_select(call, value, dim, index) for index in range(call.first.shape[dim]))
    return Outcome("unbind", outs, visible=_moves_axis(value, dim))


def split(call: OperatorCall) -> Outcome:
    """One dimension in consecutive pieces."""
    value, dim = call.values[0], call["dim"] % call.first.dim()
    outs, start = [], 0
    for tensor in call.outputs:
        outs.append(along(call, value, dim, Window(pad_before=-start), tensor.shape))
        start += tensor.shape[dim]
    return Outcome("split", tuple(outs), visible=_moves_axis(value, dim))


def paste(
    graph: ValueGraph, pieces: Sequence[tuple[Value, Sequence[int]]], shape: Sequence[int], base: Value | None = None
) -> Value:
    """A tensor that holds pieces, each from its own start; the rest is constant or that of ``base``."""
    operands: list[tuple[Value, Sequence[Read | None]]] = []
    if base is not None:
        operands.append((base, [Read(dim) for dim in range(len(shape))]))
    for value, starts in pieces:
        reads: list[Read | None] = []
        for dim, (start, size, total) in enumerate(zip(starts, value.shape, shape, strict=True)):
            if size == total:
                reads.append(Read(dim))
                continue
            if lay.axes_in(value.layout[dim]):
                value = graph.settle(value, dim)
            link = None
            if lay.axes_in(value.layout[dim]) or lay.lost_in(value.layout[dim]):
                inside = [[unit - start] if 0 <= unit - start < size else [] for unit in range(total)]
                link = Read(dim, link_cells(inside, total))
            reads.append(link)
        operands.append((value, reads))
    return graph.derive(operands, shape)


def cat(call: OperatorCall) -> Outcome:
    """Operands one after another along a dimension."""
    rank = len(call.shape)
    dim = call["dim"] % rank
    pieces, start = [], 0
    for tensor in call["tensors"]:
        value = call.value_of(tensor)
        if value is not None:
            pieces.append((value, [start if n == dim else 0 for n in range(rank)]))
        start += tensor.shape[dim] if tensor.dim() == rank else 0
    value = paste(call.graph, pieces, call.shape)
    return Outcome("cat", (call.graph.put_together(value, pieces[0][1]) if len(pieces) == 1 else value,))


def stack(call: OperatorCall) -> Outcome:
    """Operands side by side along a new dimension."""
    rank = len(call.shape)
    dim = call["dim"] % rank
    reads: list[Read | None] = [None if n == dim else Read(n - (n > dim)) for n in range(rank)]
    return Outcome("stack", (call.graph.derive([(value, reads) for value in call.values], call.shape),))


def roll(call: OperatorCall) -> Outcome:
    """Indices moved round in a circle."""
    value, rank = call.values[0], len(call.shape)
    if not call["dims"]:
        return Outcome("roll", (call.graph.unknown([value], call.shape),), note="rolled as one flat row")
    for shift, dim in zip(call["shifts"], call["dims"], strict=True):
        size = call.shape[dim % rank]
        link = link_cells([[(unit - shift) % size] for unit in range(size)], size)
        value = along(call, value, dim % rank, link, call.shape)
    return Outcome("roll", (value,))


def flip(call: OperatorCall) -> Outcome:
    """Indices in reverse."""
    value, rank = call.values[0], len(call.shape)
    for dim in call["dims"]:
        size = call.shape[dim % rank]
        value = along(
            call, value, dim % rank, link_cells([[size - 1 - unit] for unit in range(size)], size), call.shape
        )
    return Outcome("flip", (value,))


def repeat(call: OperatorCall) -> Outcome:
    """The tensor set side by side several times."""
    value, offset = call.values[0], len(call.shape) - call.first.dim()
    reads: list[Read | None] = [None] * offset
    for dim, size in enumerate(call.first.shape):
        total = call.shape[offset + dim]
        link = link_cells([[unit % size] for unit in range(total)], size)
        reads.append(Read(dim) if total == size else Read(dim, link))
    return Outcome("repeat", (call.graph.derive([(value, reads)], call.shape),), visible=False)


def unfold(call: OperatorCall) -> Outcome:
    """Windows along a dimension, their cells in a new last one (``Tensor.unfold``)."""
    value = call.values[0]
    dim = call["dimension"] % call.first.dim()
    reads: list[Read | None] = [Read(n) for n in range(call.first.dim())]
    reads[dim] = Read(dim, Window(call["size"], call["step"]))
    return Outcome("unfold", (call.graph.derive([(value, [*reads, None])], call.shape),))


def channel_shuffle(call: OperatorCall) -> Outcome:
    """Channels in another order."""
    reads = [Read(0), None, *(Read(n) for n in range(2, len(call.shape)))]
    return Outcome("channel_shuffle", (call.graph.derive([(call.values[0], reads)], call.shape),))


_SAME = ("alias", "clone", "contiguous", "detach", "lift_fresh", "to_copy", "dropout", "native_dropout")

SHAPE_RULES: dict[str, OperationRule] = {
    **dict.fromkeys(_SAME, same),
    **dict.fromkeys(("view", "unsafe_view", "reshape", "reshape_alias", "flatten", "view_copy"), view),
    **dict.fromkeys(("permute", "transpose", "t"), permute),
    "as_strided": as_strided,
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "expand": expand,
    "slice": slice_,
    "select": select,
    "unbind": unbind,
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "chunk"), split),
    "cat": cat,
    "stack": stack,
    "roll": roll,
    "flip": flip,
    "repeat": repeat,
    "unfold": unfold,
    "channel_shuffle": channel_shuffle,
}

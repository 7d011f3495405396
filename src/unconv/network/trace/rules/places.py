"""Rules of operations that read, or write to, places that other values name: indices, unpooling, sampling, folding."""

from __future__ import annotations

from unconv.network.trace import layout as lay
from unconv.network.trace.links import Link, Spread, Window, link_cells
from unconv.network.trace.operation import OperatorCall, Outcome
from unconv.network.trace.rules.window import OperationRule
from unconv.network.trace.values import Read, Value


def by_values(call: OperatorCall) -> Outcome:
    """Nothing is computed; which cells are read depends on values."""
    outs = tuple(call.graph.unknown(call.values, tensor.shape) for tensor in call.outputs)
    note = f"{call.name}: which cells are read depends on values; every unit counts as seeing everything"
    return Outcome(call.name, outs, note=note)


def index(call: OperatorCall) -> Outcome:
    """Indices along one dimension, followed where they are known."""
    given = call.get("indices", [call.get("index")])
    chosen = [n for n, one in enumerate(given) if one is not None]
    dim = chosen[0] if "indices" in call.arguments else call["dim"] % max(call.first.dim(), 1)
    if len(chosen) != 1 or call.value("self") is None or len(call.values) > 1 or not call.shape:
        return by_values(call)
    places, value = given[chosen[0]], call.values[0]
    size = call.first.shape[dim]
    link: Link | None = None
    if lay.axes_in(value.layout[dim]) or lay.lost_in(value.layout[dim]):
        known = call.known(places) if places.dim() == 1 else None
        if known is None:
            return by_values(call)
        link = link_cells([[unit % size] for unit in known], size)
    reads: list[Read | None] = [Read(n) for n in range(dim)]
    reads += [Read(dim, link)] if link is not None else [None] * places.dim()
    reads += [Read(n) for n in range(dim + 1, len(value.layout))]
    out = call.graph.derive([(value, reads)], call.shape)
    return Outcome(call.name, (out,))


def max_unpool(call: OperatorCall) -> Outcome:
    """Unpooling: a cell goes to some unit of the window that its switch was found in."""
    value, switches = call.value("self"), call.value("indices")
    windows = _pooled_by(call, switches) if switches is not None else None
    if value is None or switches is None or windows is None:
        return by_values(call)
    rank, count = len(call.shape), len(call["output_size"])
    links: list[Link | None] = []
    for dim in range(rank - count, rank):
        axes = lay.axes_in(value.layout[dim])
        window = windows.get(next(iter(axes), -1))
        spread = window and Spread(window.kernel_size, window.stride, window.pad_before, window.dilation)
        links.append(spread if len(axes) == 1 else None)
    reads = [*(Read(n) for n in range(rank - count)), *(Read(rank - count + n, link) for n, link in enumerate(links))]
    out = call.graph.derive([(value, reads), (switches, reads)], call.shape)
    return Outcome("max_unpool", (out,))


def _pooled_by(call: OperatorCall, switches: Value) -> dict[int, Window] | None:
    """The windows, by axis, of the pooling that a tensor of switches comes from; None where they are not known."""
    value = switches
    while len(value.parents) == 1:
        parent, links = value.parents[0]
        if any(links):
            found = {axis: link for axis, link in enumerate(links) if link is not None}
            windows = {axis: link for axis, link in found.items() if isinstance(link, Window)}
            return windows if len(windows) == len(found) else None
        value = call.graph.values[parent]
    return None


def grid_sample(call: OperatorCall) -> Outcome:
    """Sampling at places that a grid names; channels stay apart, and interpolation is not counted."""
    note = "samples where its grid says: every unit counts as seeing everything"
    return Outcome("grid_sample", (call.graph.unknown(call.values, call.shape),), note=note)


def col2im(call: OperatorCall) -> Outcome:
    """Columns to blocks (``F.fold``), which are added up where they overlap."""
    value, graph = call.values[0], call.graph
    rows = list(zip(call["kernel_size"], call["stride"], call["padding"], call["dilation"], strict=True))
    sizes = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1 for size, (k, s, p, d) in zip(call["output_size"], rows, strict=True)
    ]
    lead = tuple(call.first.shape[:-1])
    grid = graph.reshape(value, (*lead, *sizes))
    batch = [Read(n) for n in range(len(lead) - 1)]
    # A block of one channel reaches one unit; over all channels together, a unit reads all blocks that cover it.
    links = [Spread(k, s, p, d, certain=(k, s) == (1, 1)) for k, s, p, d in rows]
    reads = [*batch, None, *(Read(len(lead) + n, link) for n, link in enumerate(links))]
    out = graph.derive([(grid, reads)], call.shape)
    note = "" if out.exact else "an upper bound: each channel of a column goes to one cell of its block"
    return Outcome("fold", (out,), note=note)


_BY_VALUES = (
    *("index_put", "index_add", "index_copy", "index_fill", "gather", "scatter", "scatter_add", "scatter_reduce"),
    *("take", "put", "topk", "kthvalue", "mode", "argsort", "masked_select", "masked_scatter", "nonzero", "unique2"),
    *("searchsorted", "bucketize", "histc", "bincount", "roi_align", "roi_pool", "ps_roi_align", "nms"),
)

PLACE_RULES: dict[str, OperationRule] = {
    **dict.fromkeys(_BY_VALUES, by_values),
    **dict.fromkeys(("index", "index_select"), index),
    **dict.fromkeys(("max_unpool2d", "max_unpool3d"), max_unpool),
    **dict.fromkeys(("grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "cudnn_grid_sampler"), grid_sample),
    "col2im": col2im,
}

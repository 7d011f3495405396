"""Rules of pointwise operations, and of those that mix along dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unconv.network.trace import layout as lay, macs
from unconv.network.trace.links import Before
from unconv.network.trace.operation import OperatorCall, Outcome
from unconv.network.trace.rules.shape import broadcast_reads, same
from unconv.network.trace.rules.window import OperationRule
from unconv.network.trace.values import Read, Value

_NAMES = {"div": "div", "true_divide": "div", "prelu_kernel": "prelu", "clamp_min": "clamp", "clamp_max": "clamp"}


def pointwise(call: OperatorCall) -> Outcome:
    """Each unit from the units at its place: activations, sums and products of branches, gates."""
    operands = [(value, broadcast_reads(value, call.shape)) for value in call.values]
    name = _NAMES.get(call.name, call.name)
    if name in ("clamp", "hardtanh") and call.get("min_val", call.get("min")) != 0:
        name = "clip"  # cut off somewhere else than at zero, it rectifies nothing
    return Outcome(name, (call.graph.derive(operands, call.shape),) * len(call.outputs))


def _mixing(call: OperatorCall, value: Value, dims: Iterable[int]) -> Value:
    """A value of the same shape, mixed along some dimensions."""
    mixed = {dim % len(value.layout) for dim in dims}
    reads = [Read(dim, mixed=dim in mixed) for dim in range(len(value.layout))]
    return call.graph.derive([(value, reads)], lay.shape_of(value.layout))


def running(call: OperatorCall) -> Outcome:
    """Sums, products and extremes along the way: each unit from those before it."""
    value, rank = call.values[0], len(call.shape)
    if not rank:
        return same(call)
    dim = call["dim"] % rank
    reads = [Read(n, Before(call.shape[n]) if n == dim else None) for n in range(rank)]
    return Outcome(call.name, (call.graph.derive([(value, reads)], call.shape),) * len(call.outputs))


def along_dim(call: OperatorCall) -> Outcome:
    """Softmax, sorting: mixed along one dimension."""
    name = {"safe_softmax": "softmax"}.get(call.name, call.name)
    out = _mixing(call, call.values[0], [call["dim"]])
    return Outcome(name, (out,) * len(call.outputs))


def batch_norm(call: OperatorCall) -> Outcome:
    """Batch normalisation: a unit by itself with stored statistics, mixed over the image with the batch's own."""
    value = call.values[0]
    own = "no_training" not in call.name and call.get("training", call.get("train", True))
    mixed = [dim for dim in range(len(value.layout)) if dim != 1] if own else []
    note = "normalised with the statistics of the image itself" if own else ""
    return Outcome("instance_norm" if own else "batch_norm", (_mixing(call, value, mixed),) * 3, note=note)


def group_norm(call: OperatorCall) -> Outcome:
    """Group normalisation: mixed over the whole image."""
    value = call.values[0]
    return Outcome("group_norm", (_mixing(call, value, range(1, len(value.layout))),) * 3)


def layer_norm(call: OperatorCall) -> Outcome:
    """Layer normalisation: mixed along the last dimensions."""
    value = call.values[0]
    out = _mixing(call, value, range(-len(call["normalized_shape"]), 0))
    return Outcome("layer_norm", (out,) * 3)


def reduce(call: OperatorCall) -> Outcome:
    """Mean, sum, extreme, norm …: dimensions that disappear, or stay with size 1."""
    value, rank = call.values[0], call.first.dim()
    dims = call.get("dim")
    everything = dims is None or dims == []
    gone = set(range(rank)) if everything else {d % rank for d in ([dims] if isinstance(dims, int) else dims)}
    keeps = len(call.shape) == rank
    reads = [Read(dim) for dim in range(rank) if keeps or dim not in gone]
    spatial = keeps and any(lay.axes_in(value.layout[dim]) for dim in gone)
    operator = "adaptive_avg_pool" if call.name == "mean" and spatial else call.name
    return Outcome(operator, (call.graph.derive([(value, reads)], call.shape),) * len(call.outputs))


def product(call: OperatorCall) -> Outcome:
    """A product of matrices, batched or not: a linear layer where one side is a parameter."""
    names = ("mat1", "mat2") if "mat1" in call.arguments else ("batch1", "batch2")
    if names[0] not in call.arguments:
        names = ("self", "mat2") if "mat2" in call.arguments else ("self", "vec")
    left, right = (call[name] for name in names)
    rows, columns = left.dim() - 1, right.dim() - 1
    batch = [Read(0)] if left.dim() == 3 else []
    operands: list[tuple[Value, Sequence[Read | None]]] = []
    if (value := call.value(names[0])) is not None:
        operands.append((value, [*batch, Read(rows - 1), *([None] if right.dim() > 1 else [])]))
    if (value := call.value(names[1])) is not None:
        operands.append((value, [*batch, None, *([Read(columns)] if right.dim() > 1 else [])]))
    if "mat1" in call.arguments or "batch1" in call.arguments:
        added = call.value("self")
        if added is not None:
            operands.append((added, broadcast_reads(added, call.shape)))
    work = macs.product_macs(left.shape, right.shape) if right.dim() > 1 else left.numel()
    operator = "matmul" if len(call.values) > 1 or left.dim() == 3 else "linear"
    return Outcome(operator, (call.graph.derive(operands, call.shape),), macs=work)


def attention(call: OperatorCall) -> Outcome:
    """Scaled dot-product attention, (batch, heads, tokens, channels): every query sees all keys and values."""
    graph, shape = call.graph, call.shape
    operands: list[tuple[Value, Sequence[Read | None]]] = []
    for name, keeps in (("query", True), ("key", False), ("value", False)):
        if (value := call.value(name)) is not None:
            operands.append((value, [Read(0), Read(1), Read(2) if keeps else None, None]))
    work = macs.attention_macs(call["query"].shape, call["key"].shape, call["value"].shape)
    out = graph.derive(operands, shape)
    return Outcome("attention", (out,) * len(call.outputs), macs=work)


def bilinear(call: OperatorCall) -> Outcome:
    """``nn.Bilinear``: every row of one side with the same row of the other, each weight once a row."""
    shape = call.shape
    operands = [(value, [Read(0), *[None] * (len(shape) - 1)]) for value in map(call.value, ("i1", "i3")) if value]
    if len(operands) != len(call.values):
        return unknown(call)
    return Outcome("bilinear", (call.graph.derive(operands, shape),), macs=shape[0] * call["i2"].numel())


def quantised_linear(call: OperatorCall) -> Outcome:
    """A linear layer whose weights are packed as whole numbers."""
    value, rank = call.values[0], len(call.shape)
    reads: list[Read | None] = [*(Read(n) for n in range(rank - 1)), None]
    work = macs.product_macs(call.first.shape, call.shape)
    return Outcome("linear", (call.graph.derive([(value, reads)], call.shape),), macs=work)


def embedding(call: OperatorCall) -> Outcome:
    """Rows of a table, looked up by the input."""
    value = call.value("indices")
    if value is None:
        return Outcome("embedding", (call.graph.unknown(call.values, call.shape),))
    reads: list[Read | None] = [*(Read(n) for n in range(len(value.layout))), None]
    return Outcome("embedding", (call.graph.derive([(value, reads)], call.shape),))


def glu(call: OperatorCall) -> Outcome:
    """Halves of the channels, one gating the other."""
    dim = call["dim"] % len(call.shape)
    value = call.values[0]
    if lay.axes_in(value.layout[dim]):
        return unknown(call)
    reads: list[Read | None] = [None if n == dim else Read(n) for n in range(len(call.shape))]
    return Outcome("glu", (call.graph.derive([(value, reads)], call.shape),))


def unknown(call: OperatorCall) -> Outcome:
    """Anything else may read everything, and says so."""
    outs = tuple(call.graph.unknown(call.values, tensor.shape) for tensor in call.outputs)
    note = f"{call.name} is not known to the trace: its units count as seeing everything, its MACs are not counted"
    return Outcome(call.name, outs, counted=False, note=note)


_POINTWISE = ("hardswish", "prelu_kernel", "log_sigmoid_forward", "rrelu_with_noise", "copy", "nan_to_num", "dropout")
_REDUCE = (
    *("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean", "norm", "prod", "any", "all"),
    *("linalg_vector_norm", "logsumexp", "argmax", "argmin", "median", "nansum", "aminmax"),
)
_ALONG = ("softmax", "log_softmax", "safe_softmax", "sort")
_QUANTISED_LINEAR = ("linear_dynamic", "linear_relu_dynamic", "linear_dynamic_fp16", "linear_relu_dynamic_fp16")
_RUNNING = ("cumsum", "cumprod", "logcumsumexp", "cummax_helper", "cummin_helper", "cummax", "cummin")
_ATTENTION = (
    *("scaled_dot_product_flash_attention_for_cpu", "scaled_dot_product_flash_attention"),
    *("scaled_dot_product_efficient_attention", "scaled_dot_product_cudnn_attention"),
    *("scaled_dot_product_fused_attention_overrideable", "scaled_dot_product_attention"),
)

MIX_RULES: dict[str, OperationRule] = {
    **dict.fromkeys(_POINTWISE, pointwise),
    **dict.fromkeys(_REDUCE, reduce),
    **dict.fromkeys(_ALONG, along_dim),
    **dict.fromkeys(_RUNNING, running),
    **dict.fromkeys(
        ("native_batch_norm", "native_batch_norm_legit", "native_batch_norm_legit_no_training", "cudnn_batch_norm"),
        batch_norm,
    ),
    "native_group_norm": group_norm,
    "native_layer_norm": layer_norm,
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "int_mm", "scaled_mm"), product),
    **dict.fromkeys(_ATTENTION, attention),
    "trilinear": bilinear,
    **dict.fromkeys(_QUANTISED_LINEAR, quantised_linear),
    "embedding": embedding,
    "glu": glu,
}

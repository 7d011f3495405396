"""Do networks that others wrote trace and audit without a false word? Seven packages, a hundred networks, untrained.

Of every network: it is traced and audited as its package builds it, and is the same afterwards, to the byte. The MACs
are those of torch's own counter (``torch.utils.flop_counter``, half its operations), which sees what torch computes
and nothing of this trace; what it has no formula for, and what only weights take part in, is told. The widest exact
field of a layer is held against gradients, of one unit in the middle and one at the border: the box of all cells
with a gradient, over some random inputs, has to be the box that the trace names.

Packages that are no dependencies come with ``pip install unconv[peers]``. ``quick`` takes every eighth network.
"""

from __future__ import annotations

import gc
import hashlib
import time
import warnings
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import unconv as uc
from benchmarks.harness import goal
from benchmarks.peers import decoders, generative, vision
from benchmarks.peers.network import Network
from unconv.network.run.input_axes import InputAxes

COLUMNS = {
    "network": "network",
    "layers": "layers",
    "parameters": "parameters",
    "gmacs": "10⁹ MACs",
    "counted": "torch's counter",
    "widest": "widest exact field",
    "field": "by gradients",
    "findings": "findings",
    "seconds": "trace, s",
}
# Random inputs whose gradients are joined: a rectifier is shut for some and open for others.
DRAWS = 4
# Networks of more MACs than this are not sent back: their gradients would take minutes.
LARGEST = 40e9


def run(quick: bool = False) -> dict[str, Any]:
    """All networks, one row each."""
    every = {**vision.networks(), **decoders.networks(), **generative.networks()}
    names = list(every)[::8] if quick else list(every)
    rows = [row(name, every[name]) for name in names]
    return {
        "columns": COLUMNS,
        "rows": rows,
        "networks": len(rows),
        "fields held against gradients": sum(one.get("field") in ("equal", "differs") for one in rows),
        "fields not held against any": ", ".join(
            f"{one['network']} ({one['field']})" for one in rows if one.get("field") not in ("equal", "differs", None)
        )
        or "none",
        "findings, by rule": ", ".join(f"{rule} {n}" for rule, n in rules(rows).most_common()) or "none",
        "goals": [
            goal("networks", len(rows), 60),
            goal("networks that fail", sum("failed" in one for one in rows), 0, False),
            goal("networks that are changed", sum(not one.get("unchanged", True) for one in rows), 0, False),
            goal("MACs other than counted", sum(not one.get("equal", True) for one in rows), 0, False),
            goal("fields other than by gradients", sum(one.get("field") == "differs" for one in rows), 0, False),
            goal("error findings", sum(one.get("errors", 0) for one in rows), 0, False),
        ],
    }


def rules(rows: list[dict[str, Any]]) -> Counter[str]:
    """How often each rule of the audit found something."""
    return Counter(finding["rule"] for one in rows for finding in one.get("told", ()))


def row(name: str, network: Network) -> dict[str, Any]:
    """What is found of one network."""
    gc.collect()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {"network": name, **examine(network)}
    except Exception as error:
        return {"network": name, "failed": f"{type(error).__name__}: {str(error)[:300]}"}


def examine(network: Network) -> dict[str, Any]:
    """Trace, audit, count and check one network."""
    torch.manual_seed(0)
    model = network.build()
    before = digest(model)
    uc.trace(model, list(network.sizes), axes=network.axes)
    start = time.perf_counter()
    graph = uc.trace(model, list(network.sizes), axes=network.axes)
    seconds = time.perf_counter() - start
    findings = uc.audit(model, list(network.sizes), axes=network.axes).findings
    unchanged = digest(model) == before
    counted = count(model.eval(), network.sizes)
    checked = field_checked(model, graph, network.sizes, counted)
    severities = Counter(str(finding.severity) for finding in findings)
    return {
        "size": [list(size) for size in network.sizes],
        "layers": len(graph.layers),
        "parameters": graph.parameters,
        "gmacs": graph.macs / 1e9,
        "counted": (counted + network.beside) / 1e9,
        "formula": network.formula,
        "equal": graph.macs == counted + network.beside,
        "findings": ", ".join(f"{n} {severity}" for severity, n in severities.items()) or "none",
        "errors": severities["error"],
        "told": [
            {"rule": str(f.rule), "severity": str(f.severity), "layer": f.layer, "message": f.message} for f in findings
        ],
        "bounded_fields": sum(not layer.exact for layer in graph.layers),
        "unchanged": unchanged,
        "seconds": seconds,
        **checked,
    }


def digest(model: nn.Module) -> str:
    """Bytes of all weights and buffers, training flags and configuration of a network, as one number."""
    told = hashlib.sha256()
    for key, value in model.state_dict().items():
        told.update(key.encode())
        if isinstance(value, Tensor):
            told.update(
                value.detach().contiguous().view(torch.uint8).numpy().tobytes() if value.dim() else repr(value).encode()
            )
    for key, module in model.named_modules():
        told.update(f"{key} {module.training} {len(module._forward_hooks)} {len(module._forward_pre_hooks)}".encode())
        told.update(" ".join(sorted(vars(module))).encode())
        config = getattr(module, "config", None)
        told.update(repr(config).encode() if config is not None else b"")
    return told.hexdigest()


def inputs_of(sizes: tuple[tuple[int, ...], ...], seed: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Random inputs, in a batch of one."""
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(1, *size, generator=draw, dtype=dtype) for size in sizes]


def count(model: nn.Module, sizes: tuple[tuple[int, ...], ...]) -> int:
    """MACs by torch's counter: half of what it counts, in the plain forms of attention."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(*inputs_of(sizes, 0))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops()) // 2


def field_checked(model: nn.Module, graph: Any, sizes: tuple[tuple[int, ...], ...], cost: int) -> dict[str, Any]:
    """The widest exact field that is less than everything, and whether gradients have the same box."""
    modules = dict(model.named_modules())
    fits = [
        layer
        for layer in graph.layers
        if layer.exact
        and layer.name in modules
        and layer.receptive_field is not None
        and not layer.receptive_field.covers_everything
        and places_of(graph, layer.name) is not None
        and max(layer.receptive_field.size) > 1
    ]
    if not fits or cost > LARGEST:
        return {"widest": "-", "field": "none to check" if not fits else "too large"}
    widest = max(fits, key=lambda layer: max(layer.receptive_field.size))
    places = places_of(graph, widest.name) or ()
    size = [graph.value_of(widest.name).shape[axis] for axis in places]
    units = [tuple(n // 2 for n in size), tuple(0 for _ in size)]
    wanted = [graph.field_box(widest.name, unit) for unit in units]
    slices = [index(places, unit) for unit in units]
    try:
        seen = gradient_boxes(model.double(), modules[widest.name], sizes, graph.axes[0], slices)
    except RuntimeError as error:
        return {"widest": "-", "field": f"no gradients: {error}"[:80]}
    return {
        "widest": f"{widest.name}: {'×'.join(map(str, widest.receptive_field.size))}",
        "field": "equal" if seen == wanted else "differs",
        **({} if seen == wanted else {"boxes": [str(wanted), str(seen)]}),
    }


def places_of(graph: Any, name: str) -> tuple[int, ...] | None:
    """The dimensions of a layer's output that are whole axes of the picture, in their order; None where some is not."""
    value = graph.value_of(name)
    whole = {
        dim[0].axis: n
        for n, dim in enumerate(value.layout)
        if len(dim) == 1 and dim[0].axis is not None and dim[0].size == value.extents[dim[0].axis]
    }
    every = range(len(value.extents))
    return tuple(whole[axis] for axis in every) if set(whole) == set(every) else None


def index(places: tuple[int, ...], unit: tuple[int, ...]) -> tuple[Any, ...]:
    """What picks a unit at a place out of an output, over all channels."""
    chosen = dict(zip(places, unit, strict=True))
    return (0, *(chosen.get(axis, slice(None)) for axis in range(1, max(places) + 1)))


def gradient_boxes(
    model: nn.Module,
    module: nn.Module,
    sizes: tuple[tuple[int, ...], ...],
    axes: InputAxes,
    units: list[tuple[Any, ...]],
) -> list[tuple[tuple[int, int], ...]]:
    """For each unit of a module's output, over all channels: the box of input cells with a gradient."""
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():  # a branch that is shut before the training
                parameter.normal_()
    reached = [torch.zeros(axes.sizes(sizes[0]), dtype=torch.bool) for _ in units]
    channels_at = [n for n in range(len(sizes[0])) if n not in axes.places]
    for seed in range(DRAWS):
        inputs = inputs_of(sizes, seed, torch.float64)
        inputs[0].requires_grad_()
        output = output_of(module, model, [given * 1 for given in inputs])
        for unit, cells in zip(units, reached, strict=True):
            channels = output[unit]
            weights = torch.rand(channels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
            (gradient,) = torch.autograd.grad((channels * weights).sum(), inputs[0], retain_graph=True)
            cells |= (gradient[0].abs().sum(channels_at) if channels_at else gradient[0].abs()) > 0
    return [box(cells) for cells in reached]


def output_of(module: nn.Module, model: nn.Module, inputs: list[Tensor]) -> Tensor:
    """What a module returns first while a model runs, before anything is written into it."""
    outputs: list[Tensor] = []
    handle = module.register_forward_hook(lambda *given: outputs.append(given[2].clone()))
    try:
        model(*inputs)
    finally:
        handle.remove()
    return outputs[0]


def box(cells: Tensor) -> tuple[tuple[int, int], ...]:
    """The smallest box around the cells that are true."""
    places = cells.nonzero()
    if len(places) == 0:
        return ((0, 0),) * cells.dim()
    return tuple((int(a), int(b) + 1) for a, b in zip(places.amin(0), places.amax(0), strict=True))

"""Building the graph from what was recorded: names, edges and shapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from unconv.network.run.input_axes import UNTOLD
from unconv.network.run.quantised import WEIGHTS, is_quantised
from unconv.network.trace.graph import Graph, Layer, Shape
from unconv.network.trace.operation import ModuleCall
from unconv.network.trace.record import Record, Recorder
from unconv.network.trace.values import Value

_BOUND = "an upper bound: before this, rows and columns came into one dimension, or an operation was not known"


def build_graph(recorder: Recorder, sizes: tuple[Shape, ...]) -> Graph:
    """The graph of what a recorder saw."""
    values, records = recorder.graph.values, recorder.records
    makers = {value.index: n for n, record in enumerate(records) for value in record.outcome.values}
    outputs = [record.outcome.values[0] for record in records]
    groups: dict[int, list[int]] = defaultdict(list)
    for n, record in enumerate(records):
        groups[id(record.run)].append(n)
    mains = set()
    for group in groups.values():
        run = records[group[0]].run
        main = _main(run, group, records, values, makers) if run.leaf else None
        if main is not None:
            mains.add(main)
            if run.returned is not None and _behind([run.returned.index], values, makers) == (main,):
                outputs[main] = run.returned
    names = _names(records, mains)
    layers = []
    for n, record in enumerate(records):
        alone = n in mains and len(groups[id(record.run)]) == 1 and len(record.run.input_shapes) == 1
        shapes = record.run.input_shapes if alone else record.input_shapes
        inputs = tuple(names[m] for m in _behind(record.inputs, values, makers))
        layers.append(_layer(record, names[n], shapes, outputs[n], inputs, recorder.graph.batch))
    places = {name: (n, outputs[n].index) for n, name in enumerate(names)}
    for run in recorder.runs:
        if run.returned is not None and run.path not in places:
            behind = _behind([run.returned.index], values, makers)
            if behind:
                places[run.path] = (behind[-1], run.returned.index)
    made = {
        name: tuple(dict.fromkeys((outputs[n].index, *(value.index for value in records[n].outcome.values))))
        for n, name in enumerate(names)
    }
    facts = (recorder.returned, recorder.unused, recorder.known.decided, recorder.kept, made)
    inputs_are = (recorder.graph.axes, recorder.graph.input_names)
    return Graph(tuple(layers), sizes, recorder.parameters, tuple(values), places, *facts, *inputs_are)


def _layer(
    record: Record, name: str, shapes: Sequence[Shape], output: Value, inputs: tuple[str, ...], batch: int
) -> Layer:
    outcome = record.outcome
    quantised = WEIGHTS if outcome.macs and output.exact and is_quantised(record.run.module) else ""
    return Layer(
        name=name,
        module_type=record.run.kind,
        operator=outcome.operator,
        input_shapes=tuple(_unbatched(shape, batch) for shape in shapes),
        output_shape=_unbatched(output.shape, batch),
        geometry=outcome.geometry,
        groups=outcome.groups,
        parameters=record.parameters,
        macs=outcome.macs + record.constant_macs,
        receptive_field=output.field,
        exact=output.exact,
        inputs=inputs,
        counted=outcome.counted,
        note=outcome.note or quantised or ("" if output.exact else _BOUND if output.placed else UNTOLD),
    )


def _unbatched(shape: Shape, batch: int) -> Shape:
    return shape[1:] if len(shape) > 1 and shape[0] in (1, batch) else shape


def _behind(start: Sequence[int], values: Sequence[Value], makers: dict[int, int]) -> tuple[int, ...]:
    """The layers that a tensor comes from, through views and other steps that are no layers."""
    found, waiting, seen = set(), list(start), set()
    while waiting:
        index = waiting.pop()
        if index in seen:
            continue
        seen.add(index)
        if index in makers:
            found.add(makers[index])
        else:
            waiting.extend(parent for parent, _ in values[index].parents)
    return tuple(sorted(found))


def _main(
    run: ModuleCall, group: list[int], records: Sequence[Record], values: Sequence[Value], makers: dict[int, int]
) -> int | None:
    """The operation of a leaf module that carries its name: the one with its weights, or the one it returns."""
    for n in group:
        if records[n].outcome.geometry is not None or records[n].parameters or records[n].outcome.macs:
            return n
    behind = _behind([run.returned.index], values, makers) if run.returned is not None else ()
    returned = [n for n in behind if n in group]
    return returned[-1] if returned else group[-1]


def _names(records: Sequence[Record], mains: set[int]) -> list[str]:
    """Dotted names: a module's own for its main operation, with the operator for others, numbered where repeated."""
    names: list[str] = []
    count: dict[str, int] = defaultdict(int)
    for n, record in enumerate(records):
        parts = [record.run.path] if n in mains else [record.run.path, record.outcome.operator]
        stem = ".".join(part for part in parts if part) or record.outcome.operator
        names.append(f"{stem}#{count[stem]}" if count[stem] else stem)
        count[stem] += 1
    return names

"""Graphs of a model: layers with shapes, parameters, MACs and receptive fields."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconv.describe import LINES, by_size, counted, describe, listed, rows_text
from unconv.errors import ModelError
from unconv.files import check_file, write_whole
from unconv.network.run.input_axes import UNTOLD, InputAxes
from unconv.network.trace.rules.all_rules import RECTIFIERS, composed_of_one
from unconv.network.trace.values import Value, input_cells, units_at
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.receptive import Box, ReceptiveField
from unconv.results import Shown, Tabled, draw_with, save_rows
from unconv.tables import html_table, text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Shape = tuple[int, ...]
# The columns of a graph as a table; the first of them are texts, the others numbers.
HEADINGS = ("layer", "operator", "output", "parameters", "MACs", "field", "stride")
TEXTS = 3

_ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True, repr=False)
class Layer(Shown):
    """One operation of a network. Shapes are without the batch axis.

    ``parameters`` are the numbers that the operation holds as parameters, counted where they are first used.
    ``receptive_field`` is in cells of the (first) input; ``exact`` tells whether it is the exact hull of what a unit
    sees, or an upper bound, and ``note`` why. ``counted`` tells whether ``macs`` are all that there are. ``inputs`` are
    the names of the layers that it reads; the network's own input has none.
    """

    name: str
    module_type: str
    operator: str
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    geometry: Geometry | None
    groups: int
    parameters: int
    macs: int
    receptive_field: ReceptiveField
    exact: bool
    inputs: tuple[str, ...]
    note: str = ""
    counted: bool = True

    @property
    def input_shape(self) -> Shape:
        """Shape of the first input."""
        return self.input_shapes[0]

    @property
    def is_rectifier(self) -> bool:
        """Whether the layer passes the positive side and holds back the negative one."""
        return self.operator in RECTIFIERS

    def to_dict(self) -> dict[str, Any]:
        """The layer as plain data."""
        receptive = self.receptive_field
        return {
            "name": self.name,
            "module_type": self.module_type,
            "operator": self.operator,
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "output_shape": list(self.output_shape),
            "groups": self.groups,
            "parameters": self.parameters,
            "macs": self.macs,
            "macs_counted": self.counted,
            "receptive_field": {
                "size": list(receptive.size),
                "stride": [str(step) for step in receptive.stride],
                "start": list(receptive.start),
                "exact": self.exact,
            },
            "inputs": list(self.inputs),
            "note": self.note,
        }

    def _heading(self) -> str:
        return f"Layer {self.name}: {self.operator}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "module", self.module_type
        yield "shapes", f"{listed(map(by_size, self.input_shapes))} → {by_size(self.output_shape)}"
        if self.geometry is not None:
            yield "geometry", self.geometry.settings_text() + (f", groups {self.groups}" if self.groups > 1 else "")
        yield "parameters", f"{self.parameters:,}"
        yield "MACs", f"{self.macs:,}" if self.counted else "not known"
        bound = "" if self.exact else f", at most: {self.note}"
        yield "field", describe(self.receptive_field).partition(": ")[2] + bound
        yield "reads", listed(self.inputs or ("the network's input",))


@dataclass(frozen=True, repr=False)
class Graph(Tabled):
    """A traced network: its layers in the order in which they run.

    ``parameters`` is the model's total, also of what the traced pass does not use. ``graph["layer1.0.conv2"]`` finds a
    layer by name; the name of a module with children finds the layer that makes its output.
    """

    layers: tuple[Layer, ...]
    input_sizes: tuple[Shape, ...]
    parameters: int
    values: tuple[Value, ...]
    """Every tensor of the pass, also between the layers, with what it reads."""
    places: dict[str, tuple[int, int]]
    """Where a name leads: a layer and the tensor that is its output, by index."""
    returned: tuple[int, ...] | None = None
    """The tensors that the model returns, by index; None where it returns something else than tensors."""
    unused: tuple[str, ...] = ()  # parameters that the traced pass does not use
    decided: bool = False
    """Whether values of weights or buffers decided on a path or a size: with others the graph may be another."""
    kept: tuple[int, ...] = ()
    """The tensors that modules still hold after the pass, as attributes or in buffers, by index."""
    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """All tensors that a layer makes, by index: several of a split, say, or of a recurrent layer."""
    axes: tuple[InputAxes, ...] = ()  # what each axis of each input is
    input_names: tuple[str, ...] = ()  # as the model's forward has them, of several

    @property
    def image_size(self) -> Shape:
        """Size of the first input along its places: what receptive fields lie in."""
        return self.axes[0].sizes(self.input_sizes[0]) if self.axes else self.input_sizes[0][1:]

    @property
    def macs(self) -> int:
        """Multiply–accumulates of one input's pass through convolutions, matrix products and attention."""
        return sum(layer.macs for layer in self.layers)

    @property
    def uncounted(self) -> tuple[Layer, ...]:
        """The layers whose multiply–accumulates are not known and not in the total."""
        return tuple(layer for layer in self.layers if not layer.counted)

    @property
    def macs_text(self) -> str:
        """The total in words: ``"1,024 MACs"``, ``"at least 1,024 MACs (2 layers not counted: fft_r2c)"``."""
        left_out = self.uncounted
        if not left_out:
            return f"{self.macs:,} MACs"
        operators = listed(dict.fromkeys(layer.operator for layer in left_out))
        return f"at least {self.macs:,} MACs ({counted(len(left_out), 'layer')} not counted: {operators})"

    @property
    def rectifiers(self) -> tuple[Layer, ...]:
        """All layers that rectify, however they are written; ``composed`` has those of several operations."""
        return tuple(layer for layer in self.layers if layer.is_rectifier)

    @property
    def composed(self) -> tuple[Layer, ...]:
        """The layers that end an elementwise function of one value, as ``x * sigmoid(x)``, that may rectify.

        Which function that is follows from numbers, which a trace does not look at: the coverage of a projection names
        it, and what is part of it (a ``relu6`` of ``x + 3``, say) is then no rectifier by itself.
        """
        rows = ((layer.name, layer.operator, layer.inputs, len(layer.input_shapes)) for layer in self.layers)
        return tuple(self[name] for name in composed_of_one(rows))

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __getitem__(self, name: str) -> Layer:
        return self.layers[self._place(name)[0]]

    def _place(self, name: str) -> tuple[int, int]:
        if name not in self.places:
            near = difflib.get_close_matches(name, self.places, n=3, cutoff=0.4) or list(self.places)[:3]
            raise ModelError(f"trace: there is no layer {name!r}; near it: {', '.join(near)}")
        return self.places[name]

    def value_of(self, name: str) -> Value:
        """The tensor that is the output of a layer, or of a module with children."""
        return self.values[self._place(name)[1]]

    def maker_of(self, index: int) -> str:
        """The name of the layer that a tensor, by its index, is part of."""
        later = [(value, self.layers[layer].name) for layer, value in self.places.values() if value >= index]
        return min(later)[1] if later else "the network"

    def root_of(self, name: str) -> int:
        """The input, by its place, that a layer comes from: of several, the first; for "", the first of all."""
        index = self.value_of(name).index if name in self else 0
        while self.values[index].parents:
            index = min(parent for parent, _ in self.values[index].parents)
        return index

    def input_name(self, place: int) -> str:
        """What messages call an input: "the input" where there is one."""
        if self.input_names:
            return f"the input {self.input_names[place]}"
        if len(self.input_sizes) == 1:
            return "the input"
        return f"the {_ORDINALS[place]} input" if place < len(_ORDINALS) else f"input {place + 1}"

    def field_box(self, layer: Layer | str, position: Sequence[int] = ()) -> Box:
        """The box of input cells, [start, stop) per axis, that one unit of a layer sees.

        Walked back from the unit through every tensor on the way, cells outside a tensor left out, so that units at
        borders are exact. ``position`` has one entry for each image axis that the layer still has: (y, x), (x,),
        (z, y, x), or () where none is left. A unit that sees nothing has an empty box. Raises
        :class:`~unconv.errors.ModelError` for an unknown layer or a position outside it.
        """
        name = layer if isinstance(layer, str) else layer.name
        value = self.value_of(name)
        reached = input_cells(self.values, value.index, units_at(name, value, position))
        return tuple((min(found), max(found) + 1) if found else (0, 0) for found in reached)

    def to_dict(self) -> dict[str, Any]:
        """The graph as plain data, for JSON."""
        return {
            "input_sizes": [list(size) for size in self.input_sizes],
            "axes": [str(axes) for axes in self.axes],
            "axes_told": all(axes.told for axes in self.axes),
            "parameters": self.parameters,
            "macs": self.macs,
            "macs_not_counted": [layer.name for layer in self.uncounted],
            "rectifiers": [layer.name for layer in self.rectifiers],
            "composed": [layer.name for layer in self.composed],
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def __repr__(self) -> str:
        return f"Graph({len(self.layers)} layers, {self.parameters:,} parameters, {self.macs_text})"

    def __str__(self) -> str:
        more = left_out_text(self)
        return rows_text(list(rows(self)), TEXTS, lines=LINES - more.count("\n")) + more

    def table(self) -> str:
        """All layers as plain text, however many; ``print(graph)`` leaves out those in the middle of a long one."""
        return text_table(rows(self), TEXTS) + left_out_text(self)

    def plot(self) -> Figure:
        """Draw MACs, parameters and receptive field of each layer, in the order in which they run.

        Raises :class:`~unconv.errors.MissingExtraError` where matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.network.trace.graph_figure:plot_graph", self)
        return figure

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it, whole or not at all, and return where: ``.json`` (as ``to_dict``), ``.csv`` (a row a layer) or a
        figure (``.png``, ``.svg``, ``.pdf``).

        Raises UnconvError for another ending and places that cannot be written to.
        """
        ending = Path(path).suffix.lower()
        check_file(path, (".json", ".csv", ".png", ".svg", ".pdf"), "graph")
        if ending == ".json":
            return write_whole(path, json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", "graph")
        if ending == ".csv":
            return save_rows(self._rows(), path)
        return Path(draw_with("unconv.data.figure:save_figure", self.plot(), path))

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for layer in self.layers:
            receptive = layer.receptive_field
            yield {
                "layer": layer.name,
                "operator": layer.operator,
                "module": layer.module_type,
                "input": layer.input_shape,
                "output": layer.output_shape,
                "parameters": layer.parameters,
                "macs": layer.macs,
                "field": receptive.size,
                "stride": tuple(map(float, receptive.stride)),
                "start": receptive.start,
                "exact": layer.exact,
            }

    def _repr_html_(self) -> str:
        more = "".join(f"<p>{escape(line)}</p>" for line in left_out_text(self).splitlines() if line)
        return f'<div style="max-height:32em;overflow:auto">{html_table(rows(self), TEXTS)}</div>{more}'


def _sizes(values: tuple[object, ...]) -> str:
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 and len(texts) > 1 else "×".join(texts)


def _row(layer: Layer) -> tuple[str, ...]:
    receptive = layer.receptive_field
    whole = receptive.covers_everything
    return (
        layer.name,
        layer.operator,
        "×".join(map(str, layer.output_shape)),
        f"{layer.parameters:,}" if layer.parameters else "",
        f"{layer.macs:,}" if layer.macs else "" if layer.counted else "?",
        ("all" if whole else _sizes(receptive.size)) + ("" if layer.exact else " at most"),
        "" if whole else _sizes(receptive.stride),
    )


def rows(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Headings, one row per layer, and the totals."""
    yield HEADINGS
    for layer in graph.layers:
        yield _row(layer)
    yield ("total", "", "", f"{graph.parameters:,}", f"{graph.macs:,}{' + ?' if graph.uncounted else ''}", "", "")


def left_out_text(graph: Graph) -> str:
    """Lines below the table: what the total of MACs leaves out, and where axes are not told; nothing where all is."""
    names = dict.fromkeys(f"{layer.name} ({layer.operator})" for layer in graph.uncounted)
    left_out = f"\nMACs of these are not known, and not in the total: {listed(names)}" if names else ""
    return left_out + ("" if all(value.placed for value in graph.values) else f"\nFields: {UNTOLD}")

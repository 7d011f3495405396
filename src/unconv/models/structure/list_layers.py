"""``uc.list_layers``: the layers of a model by the names that every other function takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from torch import nn

from unconv.arguments import tell_wrong_arguments
from unconv.describe import by_size, rows_text
from unconv.models.load.open_model import AnyModel, open_model
from unconv.models.structure.trace import size_for
from unconv.network.axis_roles import read_axis_roles
from unconv.network.run.input_sizes import InputSize
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace
from unconv.results import Tabled
from unconv.tables import html_table

HEADINGS = ("layer", "kind", "output", "units")
# The columns that are texts.
TEXTS = 2


@dataclass(frozen=True)
class ListedLayer:
    """A module that runs and returns a tensor.

    Attributes:
        name: as in ``model.named_modules()``, and as ``scan``, ``see`` and ``project`` take it.
        kind: its class.
        output_shape: of the tensor, without the batch.
        units: how many (feature maps, features) it has, along whichever axis they stand; None where the trace finds
            none, as in numbers of pairs of places.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    units: int | None


@dataclass(frozen=True, repr=False)
class LayerList(Tabled):
    """Layers of a model, in the order in which they are finished.

    Attributes:
        rows: all of them.

    It is gone through, indexed and counted like a list of its rows; ``.names`` are their names.
    """

    rows: tuple[ListedLayer, ...]

    @property
    def names(self) -> list[str]:
        """What the layers are called."""
        return [row.name for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ListedLayer]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> ListedLayer:
        return self.rows[index]

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for row in self.rows:
            yield asdict(row)

    def _texts(self) -> list[tuple[str, ...]]:
        told = [
            (row.name, row.kind, by_size(row.output_shape), "–" if row.units is None else f"{row.units:,}")
            for row in self.rows
        ]
        return [HEADINGS, *told]

    def __repr__(self) -> str:
        return rows_text(self._texts(), TEXTS)

    def _repr_html_(self) -> str:
        return html_table(self._texts(), TEXTS)


@tell_wrong_arguments
def list_layers(model: AnyModel, input_size: InputSize = None) -> LayerList:
    """The layers of a model: names, kinds, shapes of what they return, and how many units they have.

    Listed are the modules that run, blocks as well as what is inside them, and return one tensor; what a model computes
    without a module of its own is in :func:`unconv.trace`. The model runs once, on shapes alone.

    Args:
        model: a module, a MODEL string (nothing is downloaded), or a loaded model.
        input_size: as for :func:`unconv.trace`.

    Raises :class:`~unconv.errors.ModelError` as :func:`unconv.trace` does.

    >>> from torch import nn
    >>> found = list_layers(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(8, 4, 3))), 32)
    >>> found
    layer  kind        output  units
    0      Conv2d      8×30×30     8
    1.0    ReLU        8×30×30     8
    1.1    Conv2d      4×28×28     4
    1      Sequential  4×28×28     4
    >>> found.names, found[0].units
    (['0', '1.0', '1.1', '1'], 8)
    """
    opened = open_model(model, "list_layers", any_weights=True)
    modules = dict(opened.module.named_modules())
    graph = trace(opened.module, size_for(opened, input_size))
    found = [(graph.places[name][1], -name.count("."), name) for name in modules if name and name in graph.places]
    return LayerList(tuple(_listed(graph, name, modules[name]) for _, _, name in sorted(found)))


def _listed(graph: Graph, name: str, module: nn.Module) -> ListedLayer:
    shape = tuple(graph.value_of(name).shape[1:])
    roles = read_axis_roles(graph, name)
    features = prod(shape) if len(shape) < 2 else None
    return ListedLayer(name, type(module).__name__, shape, features if isinstance(roles, str) else roles.units)

"""Receptive fields of a report's units, from the traced network; the whole picture, said so, where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unconv.errors import UnconvError
from unconv.network.trace.graph import Graph
from unconv.network.windows import Windows, windows_of
from unconv.operators.geometry.receptive import Box, ReceptiveField
from unconv.visualize.layers import NetworkView


@dataclass(frozen=True, eq=False)
class Fields:
    """Receptive fields of some layers.

    Args:
        graph: the traced network, None where it could not be traced.
        input_size: ``(channels, height, width)``, of clips with the depth before the height.
        layers: names of the layers.
        notes: what is not exact, and why.
    """

    graph: Graph | None
    input_size: tuple[int, ...]
    layers: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def size(self, layer: str) -> tuple[int, ...] | None:
        """Sides of a layer's field in pixels, padding included, in the order of axes; None where it is not known."""
        if self.graph is None or layer not in self.graph:
            return None
        return self.graph[layer].receptive_field.size

    def box(self, layer: str, position: Sequence[int]) -> Box:
        """The pixels that the unit at a position sees, one ``(start, stop)`` per axis, inside the picture.

        >>> import torch
        >>> from torch import nn
        >>> from unconv.visualize.layers import view_network
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2))
        >>> fields = fields_of(view_network(model, torch.zeros(1, 3, 32, 32)), (3, 32, 32), ["0"])
        >>> fields.box("0", (0, 9)), fields.size("0")
        (((0, 3), (7, 12)), (5, 5))
        """
        whole = tuple((0, size) for size in self.input_size[1:])
        if self.graph is None or layer not in self.graph:
            return whole
        try:
            box = self.graph.field_box(layer, position)
        except UnconvError:
            # The layer's last axes are not those of the picture.
            return whole
        return box if all(start < stop for start, stop in box) else whole

    def windows(self, layer: str, shape: tuple[int, ...]) -> Windows:
        """The windows of a layer's units; the whole picture where its graph is not known.

        Args:
            layer: its name.
            shape: of its value, without the batch.
        """
        if self.graph is not None and layer in self.graph:
            found = windows_of(self.graph, layer)
            if found.shape == shape:
                return found
        size = self.input_size[1:]
        everything = ReceptiveField.everything(size)
        return Windows(layer, shape, size, size, (1,) * len(size), everything, "its receptive field is not known")


def fields_of(view: NetworkView, input_size: tuple[int, ...], layers: Sequence[str]) -> Fields:
    """The receptive fields of some layers of a network that was looked around in."""
    names, graph = tuple(layers), view.graph
    if graph is None:
        note = f"receptive fields are not known, patches show the whole picture: {view.refusal}"
        return Fields(None, input_size, names, (note,))
    missing = [layer for layer in names if layer not in graph]
    bounds = [layer for layer in names if layer in graph and not graph[layer].exact]
    notes = []
    if missing:
        notes.append(f"receptive fields of {', '.join(missing)} are not known: their patches show the whole picture")
    if bounds:
        notes.append(f"receptive fields of {', '.join(bounds)} are upper bounds: units may see less than their patches")
    return Fields(graph, input_size, names, tuple(notes))

"""``uc.windows_of``: the windows of a layer's units, of a graph or of a model however it is held."""

from __future__ import annotations

from torch import nn

from unconv.arguments import tell_wrong_arguments
from unconv.errors import ModelError
from unconv.models.load.open_model import AnyModel, open_model
from unconv.models.structure.trace import size_for
from unconv.network.run.input_axes import Axes
from unconv.network.run.input_sizes import InputSize
from unconv.network.run.name_layers import name_layer
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace
from unconv.network.windows import Windows, windows_of as windows_in


@tell_wrong_arguments
def windows_of(
    model: Graph | AnyModel, layer: str | nn.Module, input_size: InputSize = None, *, axes: Axes = None
) -> Windows:
    """The part of an image that is enough to compute some unit of a layer exactly, see :mod:`unconv.network.windows`.

    Args:
        model: a module, a MODEL string or a loaded model, which is traced; or the graph that :func:`unconv.trace` made.
        layer: its name, or the module itself, one of the model's.
        input_size: of the images, as for :func:`unconv.trace`; a graph has its own.
        axes: what each axis of the input is, as for :func:`unconv.trace`; windows lie along its places.

    Raises :class:`~unconv.errors.ModelError` for a layer that is not there, a size beside a graph, and as
    :func:`unconv.trace` does.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    >>> windows = windows_of(model, model[2], 64)
    >>> windows.layer, windows.size, windows.start((20, 31)), windows.within((20, 31), (36, 54))
    ('2', (10, 10), (36, 54), (2, 4))
    """
    if isinstance(model, Graph):
        if input_size is not None or axes is not None:
            raise ModelError("windows_of: a graph has its input size and axes; trace the model with others")
        if isinstance(layer, nn.Module):
            raise ModelError("windows_of: a graph knows its layers by name; give the layer's name, or the model")
        return windows_in(model, layer)
    opened = open_model(model, "windows_of", any_weights=True)
    name = name_layer(opened.module, layer)
    size = input_size if axes is not None and input_size is not None else size_for(opened, input_size)
    return windows_in(trace(opened.module, size, layers=[name], axes=axes), name)

"""``uc.trace``: a model however it is held as a graph of geometries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from unconv.arguments import tell_wrong_arguments
from unconv.models.load.open_model import AnyModel, OpenedModel, open_model
from unconv.network.run.held_inputs import Inputs, Keywords, hold_for_trace
from unconv.network.run.input_axes import Axes
from unconv.network.run.input_sizes import InputSize, as_input_sizes
from unconv.network.run.name_layers import AnyLayers, name_layers
from unconv.network.trace.graph import Graph
from unconv.network.trace.trace import trace as trace_module


@tell_wrong_arguments
def trace(
    model: AnyModel,
    input_size: InputSize = None,
    *,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    grad: bool = False,
    inputs: Inputs = None,
    kwargs: Keywords = None,
    layers: AnyLayers | None = None,
    axes: Axes = None,
) -> Graph:
    """A model as a graph of geometries: names, shapes, parameters, MACs and exact receptive fields.

    The model runs once in eval mode on fake tensors: shapes only, nothing is computed, and the model is left as it
    was. Every operation is seen where torch dispatches it; see :func:`unconv.network.trace.trace.trace`.

    Args:
        model: a module, a MODEL string (built with random weights: nothing is downloaded), or a loaded model.
        input_size: (channels, *axes); with the batch in front; a tensor; an int, the side of a picture; or
            ``"3x224x224"``: see :func:`~unconv.network.run.input_sizes.as_input_sizes`. Several inputs are a list of
            such sizes. None: what the model is made for, 224 × 224 for a module that does not say.
        dtype: of the inputs, one for all or one for each; that of the model's parameters unless given, and of tensors
            of whole numbers (tokens) their own.
        grad: whether autograd follows the pass, for hooks on the model.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes.
        Without
            an input size they are all that it takes, the image among them: tensors, dicts, numbers; see
            :func:`~unconv.network.run.held_inputs.hold_for_trace`.
        kwargs: arguments by keyword, likewise.
        layers: where the pass ends once all of them have been called: a name, a module, a pattern, or a list of these.
            What comes behind, as the proposals of a detector, need not be traceable. None: the whole model.
        axes: what each axis of an input is, where it is not (channels, *places): ``"t"`` for waveforms, ``"t c"`` for
            frames of features, ``"h w c"``; see :func:`~unconv.network.run.input_axes.read_axes`.

    Raises :class:`~unconv.errors.ModelError` for what is no model or no size, where the model does not take such an
    input, or where its path depends on values.

    >>> from torch import nn
    >>> graph = trace(nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3)), 32)
    >>> [layer.operator for layer in graph.layers], graph.macs
    (['conv', 'relu', 'conv'], 168192)
    >>> trace("zfnet-28").input_sizes
    ((1, 28, 28),)
    """
    opened = open_model(model, "trace", any_weights=True)
    module, size = held_and_size(opened, input_size, inputs, kwargs, "trace", axes)
    names = () if layers is None else name_layers(module, layers).names
    return trace_module(module, size, dtype=dtype, grad=grad, layers=names, axes=axes)


def held_and_size(
    opened: OpenedModel,
    input_size: InputSize,
    inputs: Inputs,
    kwargs: Keywords,
    operation: str,
    axes: Axes = None,
) -> tuple[nn.Module, InputSize]:
    """The network as one of images alone, and their sizes; where axes are told, sizes are as they were given.

    >>> opened = open_model("lenet5", any_weights=True)
    >>> held_and_size(opened, 48, None, None, "trace")[1]
    (1, 48, 48)
    """
    if input_size is not None and axes is not None:
        return hold_for_trace(opened.module, input_size, inputs, kwargs, operation)
    if inputs is None and kwargs is None:
        return opened.module, size_for(opened, input_size)
    if input_size is not None:
        input_size = as_input_sizes(size_for(opened, input_size), opened.module, operation)[0]
    return hold_for_trace(opened.module, input_size, inputs, kwargs, operation)


def size_for(opened: OpenedModel, input_size: InputSize) -> InputSize:
    """The size that was given, or else that of the model's own inputs; None where neither is known.

    >>> lenet5 = open_model("lenet5", any_weights=True)
    >>> size_for(lenet5, None), size_for(lenet5, 48), size_for(lenet5, (3, 8, 8))
    ((1, 32, 32), (1, 48, 48), (3, 8, 8))
    """
    if not opened.takes:
        return input_size
    if isinstance(input_size, int) and not isinstance(input_size, bool):
        # Of clips the frames stay what they are.
        kept = 2 if len(opened.takes) == 4 else 1
        return (*opened.takes[:kept], *(input_size,) * (len(opened.takes) - kept))
    return opened.takes if input_size is None else input_size

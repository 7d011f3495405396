"""``trace``: from a torch model and an input size to a graph of geometries."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves, tree_map

from unconv.describe import counted
from unconv.errors import GeometryError, ModelError, UnconvError
from unconv.network.run.forward import Arrived, OutOfTime, not_called, stopping
from unconv.network.run.input_axes import Axes, read_axes, usual_axes
from unconv.network.run.input_sizes import InputSize, as_input_sizes, input_dtypes, tell_added_channels
from unconv.network.run.model_state import at_rest, preserve
from unconv.network.run.unwrap_compiled import unwrap_compiled
from unconv.network.trace.build_graph import build_graph
from unconv.network.trace.explain_failure import explain_failure
from unconv.network.trace.functions import WholeFunctions
from unconv.network.trace.graph import Graph
from unconv.network.trace.record import Recorder
from unconv.network.trace.value_graph import ValueGraph


def trace(
    model: nn.Module,
    input_size: InputSize = None,
    *,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    grad: bool = False,
    layers: Sequence[str] = (),
    axes: Axes = None,
) -> Graph:
    """A model as a graph of geometries: names, shapes, parameters, MACs and exact receptive fields.

    The model runs once in eval mode on fake tensors: shapes only, nothing is computed, and the model is left as it
    was. Every operation is seen where torch dispatches it, so it does not matter whether the model writes
    ``nn.ReLU``, ``F.relu`` or ``x.relu_()``. An operation that is not known counts as seeing everything, and its layer
    says so in ``note``.

    ``input_size`` is (channels, *axes) with one to three axes, or another way to say it, see
    :func:`~unconv.network.run.input_sizes.as_input_sizes`; several inputs are a sequence of such sizes. Fields are in
    cells of the first input; others of the same size share its coordinates. ``dtype`` is that of the model's
    parameters unless given, one for all inputs or one for each (``torch.int64`` for tokens, taken from tensors of
    them).
    ``axes`` names the axes of an input that is not (channels, *places), as ``"h w c"``, see
    :func:`~unconv.network.run.input_axes.read_axes`; fields have an axis for each place, in that order.
    With ``grad`` autograd follows the pass, so that hooks on the model find out what its values were computed by.
    The pass ends once all of ``layers``, by name, have been called; what comes behind the last of them, as a detector's
    proposals, is not looked at.
    Raises :class:`~unconv.errors.ModelError` where the model does not take such an input, or where its path depends
    on values.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3))
    >>> graph = trace(model, (3, 32, 32))
    >>> [layer.operator for layer in graph.layers], graph.macs
    (['conv', 'relu', 'conv'], 168192)
    >>> graph["2"].receptive_field.size, graph.field_box("2", (0, 0))
    ((7, 7), ((0, 6), (0, 6)))
    """
    recorder, sizes, error = attempt(model, input_size, dtype=dtype, grad=grad, layers=layers, axes=axes)
    if isinstance(error, UnconvError) and not isinstance(error, GeometryError):
        raise error
    if error is not None:
        added = "" if axes else tell_added_channels(input_size, sizes)
        raise ModelError(explain_failure(error, recorder.stack, recorder.failed) + added) from error
    if not recorder.records:
        raise ModelError("trace: the model does nothing with its input; there is no layer to show")
    called = {run.path for run in recorder.runs}
    for layer in layers:
        if layer and layer not in called:
            raise not_called(model, layer)
    return build_graph(recorder, sizes)


def attempt(
    model: nn.Module,
    input_size: InputSize = None,
    *,
    dtype: torch.dtype | Sequence[torch.dtype] | None = None,
    grad: bool = False,
    layers: Sequence[str] = (),
    until: float = inf,
    axes: Axes = None,
) -> tuple[Recorder, tuple[tuple[int, ...], ...], Exception | None]:
    """What a pass of the model showed, up to where it failed, if it did: recorder, input sizes, and the failure.

    Arguments, and errors for these, are those of :func:`trace`. ``until`` is when the pass ends, by the clock of
    ``time.monotonic``, finished or not.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"trace: needs a torch.nn.Module, not {type(model).__name__}")
    model = unwrap_compiled(model)
    told = read_axes(axes)
    sizes = as_input_sizes(input_size, model, lengths=[len(one.names) for one in told])
    device, parameter_type = _kind_of(model)
    own = input_dtypes(input_size, model)
    if dtype is None and len(own) != len(sizes):
        raise ModelError(
            f"trace: {counted(len(sizes), 'size')} for {counted(len(own), 'input')}; give (channels, *axes) of each"
        )
    given = list(dtype) if isinstance(dtype, Sequence) else [dtype or kind or parameter_type for kind in own]
    if len(given) != len(sizes):
        raise ModelError(f"trace: {len(given)} dtypes for {len(sizes)} inputs; give one, or one for each")
    graph = ValueGraph(sizes[0], told or [usual_axes(size) for size in sizes])
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    recorder = Recorder(graph, model, fakes, until=until)
    # In inference mode torch hands other, compound operations on.
    with (
        at_rest(model, frozen=False, buffers=False),
        stopping(model, layers),
        _quiet(),
        torch.inference_mode(False),
        fakes,
    ):
        inputs = [torch.empty((1, *size), dtype=kind, device=device) for size, kind in zip(sizes, given, strict=True)]
        if grad:
            inputs = [_watch(tensor) for tensor in inputs]
        for tensor, one in zip(inputs, graph.axes, strict=True):
            recorder.bind(tensor, graph.image(tuple(tensor.shape), one))
        return recorder, sizes, _run(model, inputs, {}, recorder, grad)


def _watch(tensor: Tensor) -> Tensor:
    """The tensor as autograd sees it come in, and no leaf, so that a model may change it in place."""
    with torch.enable_grad():
        return tensor.requires_grad_().clone() if tensor.is_floating_point() else tensor


def replay(
    model: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], method: Callable[..., Any] | None = None
) -> tuple[Recorder, tuple[tuple[int, ...], ...], Exception | None] | None:
    """What a call of the model, or of one of its methods, shows when it is made again, with shapes only.

    As :func:`attempt`, but the model is in the mode that it is in. None where no tensor with a batch goes in.
    """
    model = unwrap_compiled(model)
    tensors = [leaf for leaf in tree_leaves((tuple(args), kwargs)) if isinstance(leaf, Tensor)]
    images = [tensor for tensor in tensors if tensor.is_floating_point() and tensor.ndim >= 2]
    # Of words there are numbers alone.
    images = images or [tensor for tensor in tensors if tensor.dtype in (torch.int64, torch.int32) and tensor.ndim >= 2]
    if not images:
        return None
    graph = ValueGraph(images[0].shape[1:], batch=len(images[0]))
    if method is None and len(images) > 1:
        graph.input_names = _names_of(model, args, kwargs, images)
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    recorder = Recorder(graph, model, fakes)
    with preserve(model, buffers=False), _quiet(), torch.inference_mode(False), fakes:
        stand_ins = {id(one): torch.empty(one.shape, dtype=one.dtype, device=one.device) for one in tensors}
        for one in images:
            recorder.bind(stand_ins[id(one)], graph.image(tuple(one.shape)))
        given, named = tree_map(lambda leaf: stand_ins.get(id(leaf), leaf), (tuple(args), kwargs))
        call: Callable[..., Any] = model
        if method is not None:
            recorder.enter(model, given)
            call = partial(method, model)
        return recorder, tuple(tuple(one.shape[1:]) for one in images), _run(call, given, named, recorder)


def _names_of(
    model: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], images: Sequence[Tensor]
) -> tuple[str, ...]:
    """What the model's forward calls its inputs; nothing where it gathers them."""
    if isinstance(model, torch.jit.ScriptModule):
        return ()
    parameters = inspect.signature(model.forward).parameters.values()
    plain = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    given = dict(zip(plain, args, strict=False)) | kwargs
    names = {id(value): name for name, value in given.items()}
    return tuple(names[id(one)] for one in images) if all(id(one) in names for one in images) else ()


def _run(
    call: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], recorder: Recorder, grad: bool = False
) -> Exception | None:
    try:
        with torch.set_grad_enabled(grad), recorder.listening(), WholeFunctions(recorder), recorder:
            output = call(*args, **kwargs)
    except Arrived:
        return None
    except OutOfTime:
        return ModelError("trace: the time that it was given was up before the end of the network")
    except Exception as error:
        recorder.forget_caught(error)
        return error
    recorder.note_output(output)
    return None


def _kind_of(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and dtype that the inputs of a model should have."""
    tensors = [*model.parameters(), *model.buffers()]
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    device = tensors[0].device if tensors else torch.device("cpu")
    return device, floating[0].dtype if floating else torch.get_default_dtype()


@contextmanager
def _quiet() -> Iterator[None]:
    """Plain operations instead of fused ones, and none of the model's own warnings: nothing is computed.

    What fails is said once, by the error: torch also logs it, with a traceback, when it happens on fake tensors.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    silent = log.disabled
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        log.disabled = silent

"""A model's state while it is run: read before, and put back after where it has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.network.run.containers import Empty, Held, read_containers
from unconv.network.run.forward import first_line
from unconv.network.run.tensors import TensorState, Values, read_tensors


@dataclass(frozen=True, eq=False)
class ModelState:
    """Everything of a model that running it may change, at one moment.

    Attributes:
        classes: of the modules; lazy ones change theirs.
        scripted: the modes of modules in TorchScript, which no attribute of Python's shows.
        containers: attributes, hooks, modes, and whatever else modules hold, with torch's generators.
        tensors: parameters, buffers, and other tensors, and their values where they are copied.
    """

    classes: tuple[tuple[nn.Module, type[nn.Module]], ...]
    scripted: tuple[tuple[nn.Module, bool], ...]
    containers: tuple[Held | Empty, ...]
    tensors: tuple[TensorState | Values, ...]

    def put_back(self) -> list[str]:
        """Put back what has changed, and return what could not be, a line each."""
        left = []
        with _plain_torch():
            for part in (*self.containers, *self.tensors):
                try:
                    part.put_back()
                # One that cannot be put back is no reason to leave the others.
                except Exception as failure:
                    left.append(f"{part.name} ({first_line(failure)})")
            for module, cls in self.classes:
                if type(module) is not cls:
                    module.__class__ = cls
            for module, training in self.scripted:
                module.training = training
        return left


def read_state(model: nn.Module, *, buffers: bool = True, parameters: bool = False) -> ModelState:
    """The state of a model now; the values of buffers and other tensors copied, those of parameters if asked for."""
    containers, tensors = read_containers([model])
    generators, _ = read_containers(_generators(tensors))
    modules = tuple(model.modules())

    def copied(tensor: Tensor) -> bool:
        # Of a tensor that is none, torch asks at length whether it is a parameter.
        return parameters if type(tensor) is not Tensor and isinstance(tensor, nn.Parameter) else buffers

    with _plain_torch():
        return ModelState(
            tuple((one, type(one)) for one in modules),
            tuple((one, one.training) for one in modules if isinstance(one, torch.jit.ScriptModule)),
            (*containers, *generators),
            tuple(read_tensors(tensors, copied)),
        )


@contextmanager
def preserve(model: nn.Module, *, buffers: bool = True, parameters: bool = False) -> Iterator[None]:
    """Leave a model exactly as it is now, whatever happens to it meanwhile.

    Put back is what has changed, and nothing else: modes, attributes, hooks, the entries of containers at any depth
    (those that a class has made read-only among them), which memory a tensor points to, what wants a gradient, the
    generators of torch. What functions and classes hold is not the model's.

    Args:
        model: any module.
        buffers: whether the values of buffers, and of tensors in other attributes, are copied and put back; False
            where nothing is computed.
        parameters: whether those of parameters are, too.

    Raises ModelError where something cannot be put back; all else is by then.

    >>> model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    >>> with preserve(model):
    ...     _ = model(torch.rand(4, 2)), model.eval()
    >>> model.training, model[0].running_mean, model[0].num_batches_tracked
    (True, tensor([0., 0.]), tensor(0))
    """
    state = read_state(model, buffers=buffers, parameters=parameters)
    left: list[str] = []
    try:
        yield
    finally:
        left.extend(state.put_back())
    if left:
        raise ModelError(f"model: {type(model).__name__} was changed and cannot be put back: {'; '.join(left[:3])}")


@contextmanager
def at_rest(model: nn.Module, *, frozen: bool = True, buffers: bool = True) -> Iterator[None]:
    """Hold a model in evaluation mode, with frozen parameters unless told otherwise; then all is as before.

    The modes are set one by one: ``eval`` may do more, such as merging weights. Within another such block around the
    same model the state is neither read nor put back again: that is the outer block's.

    >>> model = nn.Dropout().train()
    >>> with at_rest(model):
    ...     model.training
    False
    >>> model.training
    True
    """
    key = (id(model), frozen, buffers)
    held = _HELD.get().get(key)
    if held is not None:
        held.rest()
        yield
        return
    with preserve(model, buffers=buffers):
        held = _Held(tuple(model.modules()), tuple(model.parameters()) if frozen else ())
        token = _HELD.set({**_HELD.get(), key: held})
        try:
            held.rest()
            yield
        finally:
            _HELD.reset(token)


class _Held(NamedTuple):
    """The parts of a model at rest."""

    modules: tuple[nn.Module, ...]
    frozen: tuple[nn.Parameter, ...]

    def rest(self) -> None:
        """Evaluation mode for the modules, no gradients for the parameters."""
        for module in self.modules:
            if isinstance(module, torch.jit.ScriptModule):
                module.training = False
            else:
                # Past a class that forbids attributes to be set.
                vars(module)["training"] = False
        for parameter in self.frozen:
            if parameter.requires_grad:
                parameter.requires_grad = False


# Models at rest in this thread, by identity and by how they are held: an open block keeps them alive.
_HELD: ContextVar[Mapping[tuple[int, bool, bool], _Held]] = ContextVar("_HELD", default=MappingProxyType({}))


@contextmanager
def _plain_torch() -> Iterator[None]:
    """Tensors are read as what they are: without gradients, and past what a subclass makes of functions."""
    with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
        yield


def _generators(tensors: Sequence[Tensor]) -> list[torch.Generator]:
    """Those that a model may draw from unasked: torch's own of the processor, and of the devices that it is on."""
    devices = {one.device for one in tensors if one.is_cuda}
    return [torch.default_generator, *(torch.cuda.default_generators[one.index] for one in devices)]

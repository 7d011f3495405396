"""Randomised layers: a network beside the network as it is, whose own weights are never touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from unconv.errors import ModelError
from unconv.network.run.forward import check_open, first_line, takes_hooks
from unconv.network.run.model_state import preserve
from unconv.visualize.reverse.passage import run_forward


class Randomised(nn.Module):
    """A model that runs with other values in place of some parameters and buffers.

    The model's own stand aside while it runs and are back after, also when it fails (``torch.func.functional_call``).
    Its layers are found under their names after ``model.``.

    >>> model = nn.Sequential(nn.Linear(2, 2))
    >>> Randomised(model, {"0.weight": torch.zeros(2, 2), "0.bias": torch.ones(2)})(torch.rand(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, model: nn.Module, values: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self.replaced = dict(values)

    def forward(self, images: Tensor) -> Any:
        """What the model returns with the other values."""
        return functional_call(self.model, self.replaced, (images,))

    def name_of(self, layer: str) -> str:
        """The name under which a layer of the model is found here."""
        return f"model.{layer}" if layer else "model"


def layers_below(model: nn.Module, images: Tensor, layer: str) -> dict[str, tuple[str, ...]]:
    """Modules with parameters of their own that run up to a layer, itself included, from the pixels on, and those.

    A module none of whose parts is called (attention, which reads the weights of its projections itself) has theirs.
    Parameters that several modules share belong to the first.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 1))
    >>> layers_below(model, torch.rand(1, 1, 9, 9), "3")
    {'0': ('0.weight', '0.bias'), '1': ('1.weight', '1.bias'), '3': ('3.weight', '3.bias')}
    """
    check_open(model)
    modules = dict(model.named_modules())
    called: dict[str, None] = {}
    with ExitStack() as stack:
        for name, module in modules.items():
            if takes_hooks(module):
                stack.callback(module.register_forward_pre_hook(_note_calls(called, name)).remove)
        # No trace of its own, which would call modules too.
        run_forward(model, images, [layer], "gradient", arranged=False)
    shared: set[int] = set()
    found: dict[str, tuple[str, ...]] = {}
    for name in called:
        parts = [part for part, _ in modules[name].named_modules() if part]
        alone = not any(_join_names(name, part) in called for part in parts)
        own = [(key, value) for key, value in modules[name].named_parameters(recurse=alone) if id(value) not in shared]
        shared.update(id(value) for _, value in own)
        if own:
            found[name] = tuple(_join_names(name, key) for key, _ in own)
    return found


def split_layers(model: nn.Module, layers: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Layers below and above the middle of a way, which is counted in layers with kernels; the upper half is not less.

    Normalisations belong to the layer before them.

    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 1))
    >>> split_layers(model, layers_below(model, torch.rand(1, 1, 9, 9), "4"))
    (('0', '1'), ('3', '4'))
    """
    names = list(layers)
    kernels = [name for name in names if any(model.get_parameter(key).ndim > 1 for key in layers[name])]
    if not kernels:
        return (), tuple(names)
    first = names.index(kernels[len(kernels) // 2])
    return tuple(names[:first]), tuple(names[first:])


def randomise_layers(model: nn.Module, layers: Mapping[str, Sequence[str]], seed: int) -> Randomised:
    """The model with some layers as they were before training.

    Each layer is initialised by its own ``reset_parameters``; where it has none, its weights are shuffled. The
    generators of torch are as before afterwards.

    Args:
        model: any module.
        layers: names of modules, and of those of their parameters that are randomised.
        seed: of the initialisation.

    Raises ModelError for a layer whose ``reset_parameters`` fails.

    >>> model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    >>> sorted(randomise_layers(model, {"2": ["2.weight", "2.bias"]}, seed=0).replaced)
    ['2.bias', '2.weight']
    """
    values: dict[str, Tensor] = {}
    with preserve(model), torch.no_grad():
        torch.manual_seed(seed)
        for name, keys in layers.items():
            twin = _copy_module(model.get_submodule(name))
            try:
                values |= _initialise(twin, name, keys)
            except Exception as failure:
                raise ModelError(f"randomise: layer {name!r} cannot be initialised: {first_line(failure)}") from failure
    return Randomised(model, values)


def _initialise(twin: nn.Module, name: str, keys: Sequence[str]) -> dict[str, Tensor]:
    reset = getattr(twin, "reset_parameters", None)
    if callable(reset):
        reset()
    tensors = {_join_names(name, key): value.detach() for key, value in twin.named_parameters(remove_duplicate=False)}
    if not callable(reset):
        return {key: _shuffle(tensors[key]) for key in keys}
    # Running statistics belong to the weights that they were gathered with.
    kept = {_join_names(name, key): value for key, value in twin.named_buffers(recurse=False)}
    return {key: tensors[key] for key in keys} | kept


def _copy_module(module: nn.Module) -> nn.Module:
    """A module whose parameters and buffers are copies; all else it shares, so that nothing has to be copyable."""
    twin = module.__class__.__new__(module.__class__)
    twin.__dict__.update(module.__dict__)
    for kind, copied in (
        ("_parameters", lambda value: nn.Parameter(value.detach().clone(), value.requires_grad)),
        ("_buffers", torch.clone),
        ("_modules", _copy_module),
    ):
        held: dict[str, Any] = module.__dict__[kind]
        twin.__dict__[kind] = {key: None if value is None else copied(value) for key, value in held.items()}
    return twin


def _shuffle(value: Tensor) -> Tensor:
    return value.flatten()[torch.randperm(value.numel()).to(value.device)].reshape(value.shape)


def _note_calls(called: dict[str, None], name: str) -> Callable[[nn.Module, Any], None]:
    def hook(_module: nn.Module, _inputs: Any) -> None:
        called.setdefault(name)

    return hook


def _join_names(name: str, key: str) -> str:
    return f"{name}.{key}" if name and key else name or key

"""Models however they are held: a MODEL string, a module, a compiled one, a loaded model, as one value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.errors import ModelError, printable
from unconv.models.load.from_file import assumed_preprocess
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel, load_model, load_structure
from unconv.models.load.sources import find_format
from unconv.models.load.transforms import Transform, as_preprocess, first_channels
from unconv.network.run.held_inputs import Inputs, Keywords, hold_inputs
from unconv.network.run.input_sizes import states_inputs
from unconv.network.run.unwrap_compiled import unwrap_compiled
from unconv.results import Shown

AnyModel: TypeAlias = str | nn.Module | LoadedModel

FORMS = "give a torch.nn.Module, a MODEL string as load_model takes it, or what load_model returned"
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".h5", ".npz")


@dataclass(frozen=True, eq=False, repr=False)
class OpenedModel(Shown):
    """A network, and what is known of it.

    Attributes:
        name: the MODEL string, or the module's class.
        module: the network itself, as it was given; of a compiled one the module that it was made from.
        preprocess: the picture transform that belongs to it; None where it was given as a bare module.
        classes: names of its outputs, None where they are not known.
        weights: where they came from, as a phrase.
        takes: (channels, *size) of one input, as far as that is known; empty for a module that is asked for it.
        notes: what had to be assumed.
    """

    name: str
    module: nn.Module
    preprocess: Preprocess | None = None
    classes: tuple[str, ...] | None = None
    weights: str = "as given"
    takes: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def for_pictures(self) -> OpenedModel:
        """The same with a picture transform: its own; for a bare module ImageNet's is assumed, and a note says so.

        >>> opened = OpenedModel("net", nn.ReLU()).for_pictures()
        >>> opened.preprocess.size, opened.notes
        ((224, 224), ("the network names no picture transform: ImageNet's at 224x224 assumed unless told",))
        """
        if self.preprocess is not None:
            return self
        assumed, note = assumed_preprocess(self.module)
        return replace(self, preprocess=assumed, notes=(note, *self.notes))

    def label(self, index: int) -> str:
        """The name of an output, or ``class 7`` where it has none.

        >>> OpenedModel("net", nn.ReLU(), classes=("cat", "dog")).label(1), OpenedModel("net", nn.ReLU()).label(1)
        ('dog', 'class 1')
        """
        if self.classes is None or not 0 <= index < len(self.classes):
            return f"class {index}"
        return self.classes[index]


@tell_wrong_arguments
def open_model(
    model: Any,
    operation: str = "model",
    *,
    any_weights: bool = False,
    transform: Transform | None = None,
    inputs: Inputs = None,
    kwargs: Keywords = None,
) -> OpenedModel:
    """The network behind whatever a user holds.

    Args:
        model: a MODEL string as for :func:`~unconv.models.load.resolve.load_model`, a ``torch.nn.Module`` (compiled
            ones are opened as what they were made from), or a loaded model.
        operation: who asks; messages begin with it.
        any_weights: whether a network that is named may have random weights: enough where shapes alone count, and
            nothing is downloaded.
        transform: the picture transform, in place of the one that belongs to the model, in any form that
            :func:`~unconv.models.load.transforms.as_preprocess` takes.
        inputs: what a model of several inputs takes beside its images, held while these change: see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: likewise, by keyword.

    Raises:
        ModelError: as load_model for a MODEL string; in one line that says what would be right for a class or function
            in the place of an instance, weights without a network, a path, None, and all else.

    >>> open_model(nn.ReLU()).name, open_model("zfnet-28").takes
    ('ReLU', (1, 28, 28))
    >>> open_model(nn.ReLU, "scan")
    Traceback (most recent call last):
    unconv.errors.ModelError: scan: the model is the class ReLU; give an instance of it: ReLU(...)
    """
    if inputs is not None or kwargs is not None:
        opened = open_model(model, operation, any_weights=any_weights, transform=transform)
        return replace(opened, module=hold_inputs(opened.module, inputs, kwargs, operation))
    if transform is not None:
        opened = open_model(model, operation, any_weights=any_weights)
        preprocess, notes = as_preprocess(transform, first_channels(opened.module))
        return replace(opened, preprocess=preprocess, notes=(*notes, *opened.notes))
    if isinstance(model, OpenedModel):
        return model
    if isinstance(model, nn.Module):
        module = unwrap_compiled(model)
        return OpenedModel(type(module).__name__, module)
    if isinstance(model, str):
        model = _load(model, operation, any_weights)
    if not isinstance(model, LoadedModel):
        raise ModelError(f"{operation}: {_what_instead(model)}")
    return OpenedModel(
        model.name,
        unwrap_compiled(model.module),
        model.preprocess,
        model.classes,
        model.weights,
        () if states_inputs(model.module) else model.takes or model.input_size,
        model.notes,
    )


def _load(model: str, operation: str, any_weights: bool) -> LoadedModel:
    if model.lower().endswith(WEIGHTS):
        raise ModelError(f"{operation}: {_weights_file(model)}")
    return load_structure(model) if any_weights else load_model(model)


def _what_instead(given: Any) -> str:
    """What is wrong with something that is no model, and what would be right."""
    if given is None:
        return f"the model is None; {FORMS}"
    if isinstance(given, type):
        of_torch = issubclass(given, nn.Module)
        return f"the model is the class {given.__name__}; " + (
            f"give an instance of it: {given.__name__}(...)" if of_torch else FORMS
        )
    if isinstance(given, os.PathLike):
        path = printable(os.fspath(given))
        if path.endswith(".py"):
            return f"the model is the path {path}; name what makes the network in it, as text: '{path}:build'"
        if find_format(path) is not None:
            return f"the model is the path {path}; give it as text: '{path}'"
        return _weights_file(path) if path.lower().endswith(WEIGHTS) else f"the model is the path {path}; {FORMS}"
    if isinstance(given, Mapping):
        return _mapping(given)
    if isinstance(given, Tensor) or hasattr(given, "__array__"):
        return f"the model is a {type(given).__name__}, pictures perhaps; the model comes first, then the pictures"
    if isinstance(given, list | tuple):
        return f"the model is a {type(given).__name__}; {_sequence(given)}"
    for name in ("module", "model"):
        if isinstance(inside := getattr(given, name, None), nn.Module):
            return f"the model is a {type(given).__name__}; give its .{name}, a {type(inside).__name__}"
    if callable(given):
        name = getattr(given, "__name__", type(given).__name__)
        call = "its call" if name == "<lambda>" else f"{name}(...)"
        return f"the model is the function {name}; give the module that it makes: {call}"
    return f"the model is a {type(given).__name__}; {FORMS}"


def _mapping(given: Mapping[Any, Any]) -> str:
    """Tensors by name, or a checkpoint around them."""
    inside = next((key for key, value in given.items() if isinstance(value, nn.Module)), None)
    if inside is not None:
        return f"the model is a {type(given).__name__}; give the module in it: [{inside!r}]"
    holds = "a state dict" if any(isinstance(value, Tensor) for value in given.values()) else "a dict"
    return (
        f"the model is {holds}, which has no network; load it into one, module.load_state_dict(...), and give the "
        "module, or load_model(MODEL, weights=FILE)"
    )


def _sequence(given: list[Any] | tuple[Any, ...]) -> str:
    modules = [one for one in given if isinstance(one, nn.Module)]
    if len(modules) == 1:
        return f"give the module in it alone, a {type(modules[0]).__name__}"
    if modules:
        return "give one model, or torch.nn.Sequential(...) of its layers"
    return FORMS


def _weights_file(path: str) -> str:
    return (
        f"the model is the file of weights {printable(path)}; say whose they are: "
        f"load_model(MODEL, weights='{printable(path)}')"
    )

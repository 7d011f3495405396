"""Fitting weights to a network: the set of a file that has its names and shapes, or a line that says what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from unconv.errors import ModelError, printable
from unconv.models.load.recipe import Fitted
from unconv.models.load.weights.averages import spread_averages
from unconv.models.load.weights.candidates import COUNTER, Candidate, OwnNames, Renaming, find_candidates
from unconv.models.load.weights.choice import choose, describe_choice, part_of, unexpected_names
from unconv.models.load.weights.contents import Contents

Build = Callable[[int | None], nn.Module]

# How many names of each side a message about a mismatch has.
SHOWN = 5


def fit_weights(
    build: Build,
    contents: Contents,
    rename: Renaming,
    where: str,
    network: str = "the network",
    *,
    part: str = "",
    file: str = "FILE",
) -> Fitted:
    """Build a network and load tensors into it; where only the number of classes differs, the network follows the file.

    Args:
        build: makes the network, of its usual number of classes for None.
        contents: tensors by name, nested in whatever the file has around them.
        rename: gives tensors of another naming the network's names.
        where: what messages begin with: ``weights r18.pth``.
        network: what they call the network.
        part: of the file, by name; ``ema`` for averaged weights.
        file: what a user would write for the file, for notes.

    Raises ModelError with the counts and first names of tensors that are missing, unexpected or of another shape, and
    where several sets of weights fit.

    >>> def build(classes):
    ...     return nn.Linear(4, classes or 1000)
    >>> def held(layer):
    ...     return Contents({f"model.{name}": tensor for name, tensor in layer.state_dict().items()}, ("model",))
    >>> fit_weights(build, held(nn.Linear(4, 7)), dict, "weights").notes
    ('weights taken from model of the file', 'built for the number of classes of the file')
    >>> fit_weights(build, held(nn.Linear(4, 7, bias=False)), dict, "weights")
    Traceback (most recent call last):
    unconv.errors.ModelError: weights: do not fit the network: under model. of the file, 1 missing (bias), ...
    """
    contents = spread_averages(contents)
    if part:
        contents = part_of(contents, part, where)
    first = build(None)
    own = OwnNames.of(first)
    if not own.all:
        raise ModelError(f"{where}: do not fit {network}, which has no weights")
    candidates = find_candidates(contents, own, rename)
    tried = [(one, _module_for(one, first, build)) for one in candidates if not _names_differ(one, own)]
    modules = {one: module for one, module in tried if module is not None}
    if not modules:
        raise ModelError(f"{where}: do not fit {network}: {_difference(candidates[0], own, first)}")
    chosen = choose(tuple(modules), where, part)
    module = modules[chosen]
    _load(module, chosen, where)
    classes = () if module is first else ("built for the number of classes of the file",)
    done = (*describe_choice(chosen, tuple(modules), contents, file), *classes, *_converted(chosen.tensors, module))
    return Fitted(module, (*done, *contents.notes))


def _names_differ(one: Candidate, own: OwnNames) -> bool:
    return bool(one.missing or unexpected_names(one, own))


def _module_for(one: Candidate, module: nn.Module, build: Build) -> nn.Module | None:
    """The network that a set fits, of another number of classes perhaps; None where shapes differ otherwise."""
    if _wrong_formats(one.tensors, module):
        return None
    if not _wrong_shapes(one.tensors, module):
        return module
    classes = _other_number_of_classes(one.tensors, module, build)
    if classes is None:
        return None
    follower = build(classes)
    return None if _wrong_shapes(one.tensors, follower) else follower


def _load(module: nn.Module, chosen: Candidate, where: str) -> None:
    void = [name for name, tensor in chosen.tensors.items() if tensor.is_meta]
    if void:
        raise ModelError(f"{where}: {_told('without values', void)}: saved on the meta device")
    try:
        module.load_state_dict(chosen.tensors, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{where}: torch refuses them: {' '.join(str(error).split())}") from error


def _difference(one: Candidate, own: OwnNames, module: nn.Module) -> str:
    """How the names and shapes of the nearest set and the network differ, five names of each side."""
    wrong = _wrong_shapes(one.tensors, module)
    # Beside names that are missing, any other may be theirs.
    unexpected = one.left if one.missing else unexpected_names(one, own)
    told = (
        _told("missing", one.missing),
        _told("unexpected", unexpected),
        _told("of another shape", [f"{name} {shapes}" for name, shapes in wrong.items()]),
        _told("of other numbers", _wrong_formats(one.tensors, module)),
    )
    compared = f"under {printable(one.place)}. of the file, " if one.place else ""
    return compared + ", ".join(filter(None, told))


def _told(what: str, names: list[str] | tuple[str, ...]) -> str:
    if not names:
        return ""
    more = ", …" if len(names) > SHOWN else ""
    return f"{len(names)} {what} ({', '.join(map(printable, names[:SHOWN]))}{more})"


def _shapes(module: nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in module.state_dict().items() if isinstance(value, Tensor)}


def _wrong_shapes(tensors: Mapping[str, Tensor], module: nn.Module) -> dict[str, str]:
    own = _shapes(module)
    return {
        name: f"{list(value.shape)} for {own[name]}"
        for name, value in tensors.items()
        if name in own and list(value.shape) != own[name]
    }


def _wrong_formats(tensors: Mapping[str, Tensor], module: nn.Module) -> list[str]:
    """Complex numbers or integers where the network has others: packed weights, say; counters may be averages."""
    own = module.state_dict()
    return [
        f"{name} {_format(value)} for {_format(own[name])}"
        for name, value in tensors.items()
        if not name.endswith(COUNTER)
        and (value.is_complex(), value.is_floating_point() or value.is_complex())
        != (own[name].is_complex(), own[name].is_floating_point() or own[name].is_complex())
    ]


def _format(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _converted(tensors: Mapping[str, Tensor], module: nn.Module) -> tuple[str, ...]:
    """Which precision of the file became which other."""
    own = module.state_dict()
    pairs = [(_format(tensor), _format(own[name])) for name, tensor in tensors.items() if not name.endswith(COUNTER)]
    return tuple(f"{there} of the file taken as {here}" for there, here in dict.fromkeys(pairs) if there != here)


def _other_number_of_classes(tensors: Mapping[str, Tensor], module: nn.Module, build: Build) -> int | None:
    """The number of classes of the file, if nothing but that one number differs between file and network.

    It may be in more than one place, and as a multiple: layers that bring class scores to another resolution have it
    twice, a sub-pixel convolution has each class for every phase. How often is seen in the network of one class.
    """
    own, of_one = _shapes(module), _shapes(build(1))
    counts = set()
    for name in _wrong_shapes(tensors, module):
        shapes = list(tensors[name].shape), own[name], of_one.get(name, [])
        if len({len(shape) for shape in shapes}) > 1:
            return None
        for there, here, unit in zip(*shapes, strict=True):
            if there != here:
                counts.add(there // unit if unit and there % unit == 0 else 0)
    number = counts.pop()
    return number if number and not counts else None

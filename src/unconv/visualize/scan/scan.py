"""Scans: one forward pass over a collection of images, and where every unit of every layer was strongest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.data.images import Skipped
from unconv.data.read.batches import Batch, collection_of
from unconv.errors import UnconvError
from unconv.jobs import Checkpoint, Executor, Progress, Running, raising_causes, run
from unconv.models.load.open_model import AnyModel
from unconv.models.load.transforms import Transform
from unconv.network.feature_maps import is_plain
from unconv.network.run.channels_last import channels_last
from unconv.network.run.forward import (
    check_open,
    hooked,
    not_called,
    run_model,
)
from unconv.network.run.held_inputs import Inputs, Keywords, describe_held
from unconv.network.run.model_state import at_rest
from unconv.network.run.name_layers import AnyLayers, NamedLayers, name_layers
from unconv.visualize.reverse.projections.image_batches import axes_of, open_for_images, prepare_for, reading_for
from unconv.visualize.scan.layer_reader import Layers, Watcher, find_roles, shape_of_maps
from unconv.visualize.scan.peaks import Found, Peaks
from unconv.visualize.scan.state import Part, ScanState, join
from unconv.visualize.scan.top_activations import TopActivations, as_tables
from unconv.visualize.scan.unit_places import PATHS, Scanned

BATCH = 32
EVERY = "all"


@dataclass
class Asked:
    """A picture transform that remembers whether any picture went through it.

    >>> transform = Asked(torch.neg)
    >>> transform.asked, transform(torch.ones(1)), transform.asked
    (False, tensor([-1.]), True)
    """

    transform: Callable[[Tensor], Tensor]
    asked: bool = False

    def __call__(self, picture: Tensor) -> Tensor:
        """The picture as the network takes it."""
        self.asked = True
        return self.transform(picture)


@tell_wrong_arguments
def scan(
    model: AnyModel,
    images: Any,
    layers: AnyLayers | None = None,
    top: int = 9,
    *,
    per_image: int = 1,
    batch_size: int = BATCH,
    transform: Transform | None = None,
    dtype: torch.dtype | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: Progress | None = None,
    inputs: Inputs = None,
    kwargs: Keywords = None,
    max_pixels: int | None = None,
) -> TopActivations:
    """Find, for every unit of some layers, the images and places at which it is strongest; one pass over the images.

    Images stream by, a batch at a time, so that memory does not grow with their number. Of each feature map only the
    largest value is computed, and where it lies only if it counts.

    Args:
        model: a MODEL string as for load_model, a loaded model, or a module that takes images as its one argument.
        images: files and folders, a dataset or loader of torch, a tar of webdataset, a tensor (batch, channel, *size)
            of floats, which goes in as it is unless a transform is given, a list of these, or any iterable: see
            :func:`~unconv.data.read.batches.collection_of`. What cannot be read is skipped, counted and listed.
        layers: a name as in ``model.named_modules()``, one of the model's modules, a pattern (``"layer3.*"``: the
            convolutions among what matches, or all of it where none is one), or a list of these, see
            :func:`~unconv.network.run.name_layers.name_layers`; a layer that is called several times counts with its
            first call. None or ``"all"``: every convolution that is called.
        top: how many places each unit keeps.
        per_image: how many of them one image may hold.
        batch_size: images computed together; a part of a checkpoint.
        transform: what is done to pictures (not to tensors that a data set has prepared) in place of the model's own,
            and to tensors given by themselves: a :class:`~unconv.models.load.preprocess.Preprocess`, torchvision's
            ``weights.transforms()``, a ``Compose``, any callable, see
            :func:`~unconv.models.load.transforms.as_preprocess`. That of a bare module is ImageNet's (224 × 224) unless
            given, which the result notes.
        dtype: precision of the pass; that of the weights unless given. ``torch.bfloat16`` is quicker on some machines.
        executor: computes the batches; :class:`~unconv.jobs.Serial` unless given, as torch has threads of its own.
        checkpoint: a folder; a scan that was killed is resumed from there and ends the same.
        progress: as :func:`unconv.jobs.bar` makes it; counts batches.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.
        max_pixels: pictures of more are skipped from what their header says; 100,000,000 unless given.

    Raises:
        ModelError: unknown layers, layers that are never called or return no tensor, NaN, a model that fails.
        UnconvError: impossible numbers, no image at all.
        JobError: a checkpoint of another scan.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    >>> found = scan(model, torch.rand(20, 3, 16, 16), ["1", "2"], top=5)
    >>> found.values["1"].shape, found.images["2"].shape, found.positions["2"].shape
    (torch.Size([8, 5]), torch.Size([4, 5]), torch.Size([4, 5, 2]))
    """
    for name, number in (("top", top), ("per_image", per_image), ("batch_size", batch_size)):
        if number < 1:
            raise UnconvError(f"scan: {name} {number}; give 1 or more")
    opened = open_for_images(model, "scan", images, transform, inputs, kwargs)
    module = opened.module
    transformed = prepare_for(opened, images, transform)
    prepare = None if transformed is None else Asked(transformed)
    check_open(module)
    names, needed = _layers(module, layers)
    source = collection_of(images, prepare, batch_size, axes_of(module), reading_for(module, transformed, max_pixels))
    about = {
        "model": opened.name,
        "weights": opened.weights,
        "top": top,
        "per_image": per_image,
        "dtype": str(dtype or _dtype_of(module)).removeprefix("torch."),
        "batch_size": batch_size,
        "preprocess": repr(transformed) if transformed is not None else "none",
    }
    if inputs is not None or kwargs is not None:
        about["held"] = describe_held(inputs, kwargs)
    running = Running(executor, checkpoint, progress=progress)
    keeper = _checkpoint(running, about, names, source, module)
    reader = Layers(top, per_image)
    state = _scan(module, source, reader, names, needed, dtype, running, keeper)
    if not state.peaks:
        reasons = "; ".join(map(str, state.skipped[:3])) or "there are none"
        raise UnconvError(f"scan: no image could be used: {reasons}")
    # What is assumed of a bare module's pictures is told where there were some: tensors of a dataset go in as they are.
    needless = opened.weights == "as given" and prepare is not None and not prepare.asked
    notes = [] if needless else list(opened.notes)
    notes += dict.fromkeys(
        f"{layer}: {one.sentence}" for roles in reader.roles.values() for layer, one in roles.items()
    )
    told = {"notes": notes} if notes else {}
    found = tuple(layer for layer in names if layer in state.peaks)
    return replace(_result(state, found, {**about, **told, **_paths(images)}), scanned=Scanned.of(opened, images))


def _layers(module: nn.Module, layers: AnyLayers | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The layers to look at, and those of them that were named one by one and so have to be there."""
    found = convolutions(module)
    if layers is None or (isinstance(layers, str) and layers == EVERY):
        named = NamedLayers(tuple(found), ())
    else:
        named = name_layers(module, layers, lambda names: [one for one in names if one in found] or names)
    if not named.names:
        raise UnconvError("scan: the list of layers is empty; name one, or none at all for every convolution")
    return named.names, named.required


def _scan(
    module: nn.Module,
    source: Any,
    reader: Layers,
    names: tuple[str, ...],
    needed: Sequence[str],
    dtype: torch.dtype | None,
    running: Running,
    checkpoint: Checkpoint | None,
) -> ScanState:
    """The job: a batch is a part."""

    def combine(state: ScanState, part: Part) -> ScanState:
        state = join(state, part, reader.top)
        reader.bars.update({layer: peaks.bar for layer, peaks in state.peaks.items()})
        return state

    watcher = Watcher(names)
    with (
        at_rest(module),
        channels_last(module, dtype),
        hooked(module, [(layer, watcher.hook(layer)) for layer in names]),
        # Here and not for each batch: it is one for all threads.
        torch.compiler.set_stance("force_eager"),
        raising_causes(),
    ):
        return run(
            source.batches,
            lambda batch: look_at(module, batch, watcher, reader, dtype, needed),
            combine,
            state=ScanState(),
            units="batches",
            executor=running.executor,
            checkpoint=checkpoint,
            progress=running.progress,
        ).state


def convolutions(model: nn.Module) -> list[str]:
    """Names of a model's convolutions, transposed ones included, in the order of its modules.

    >>> convolutions(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(2, 2)))
    ['0']
    """
    kinds = nn.modules.conv._ConvNd
    return [name for name, module in model.named_modules() if isinstance(module, kinds) and name]


def look_at(
    module: nn.Module,
    batch: Batch,
    watcher: Watcher,
    reader: Layers,
    dtype: torch.dtype | None,
    needed: Sequence[str],
) -> Part:
    """One batch through the network, each layer reduced to its strongest places as it comes by."""
    names = dict(zip(batch.numbers, batch.names, strict=True))
    if not batch.numbers:
        return Part({}, {}, batch.count, batch.skipped)
    found: dict[str, tuple[Found, tuple[int, ...], int]] = {}
    images = batch.images.to(device=_device_of(module), dtype=dtype or _dtype_of(module))
    size = tuple(images.shape[1:])
    unread: dict[str, tuple[int, ...]] = {}
    first = size not in reader.roles

    def see(layer: str, value: Any) -> None:
        shape = shape_of_maps(value)
        if first and shape and not is_plain(module.get_submodule(layer), shape, images.shape):
            unread[layer] = shape
            return
        found[layer] = reader.look(layer, value, batch.numbers, size)

    watcher.seen, watcher.see = set(), see
    if images.ndim == 4:
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        run_model(module, images)
    if first:
        # The hooks are silent while the network is traced.
        watcher.seen = set(watcher.layers)
        reader.roles[size] = find_roles(module, unread, images.shape)
        if unread:
            return look_at(module, batch, watcher, reader, dtype, needed)
    for layer in needed:
        if layer not in found:
            raise not_called(module, layer)
    return Part(found, names, batch.count, batch.skipped)


def _paths(images: Any) -> dict[str, list[str]]:
    """Where the images can be read again, if files and folders are all that was given."""
    given = list(images) if isinstance(images, list | tuple) else [images]
    if not given or not all(isinstance(one, str | PathLike) for one in given):
        return {}
    return {PATHS: [str(Path(one).resolve()) for one in given]}


def _result(state: ScanState, layers: tuple[str, ...], about: dict[str, Any]) -> TopActivations:
    tables = as_tables({layer: state.peaks[layer] for layer in layers})
    about = {**about, "sizes": {layer: list(state.peaks[layer].size) for layer in layers}}
    return TopActivations(*tables, state.count, state.names, state.skipped, about)


def _checkpoint(
    running: Running, about: dict[str, Any], layers: tuple[str, ...], source: Any, module: nn.Module
) -> Checkpoint | None:
    from unconv.jobs import fingerprint_arrays

    def fingerprint() -> dict[str, Any]:
        weights = fingerprint_arrays(**{name.replace(".", "/"): value for name, value in module.state_dict().items()})
        return {**about, "layers": list(layers), "images": source.fingerprint(), "values": weights}

    return running.checkpoint(fingerprint, ScanState, Peaks, Skipped)


def _dtype_of(module: nn.Module) -> torch.dtype:
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def _device_of(module: nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))

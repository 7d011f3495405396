"""Projection of units of a network to pixel space: images of every kind in, one answer whatever the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex

from torch import nn

from unconv.arguments import tell_wrong_arguments
from unconv.choices import ReverseRuleOrAuto
from unconv.data.read.batches import Batch
from unconv.models.load.open_model import AnyModel
from unconv.models.load.transforms import Transform
from unconv.network.run.forward import check_open
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayer, name_layer
from unconv.visualize.reverse.projections.image_batches import image_batches, open_for_images, prepare_for
from unconv.visualize.reverse.projections.places import Places, peaks, read_units
from unconv.visualize.reverse.projections.projection import Projection, join_batches
from unconv.visualize.reverse.rules import AUTO, choose_rule, find_rule
from unconv.visualize.reverse.ways import Asked, count_switches, send_back

__all__ = ["Projection", "peaks", "project"]


@tell_wrong_arguments
def project(
    model: AnyModel,
    images: Any,
    layer: AnyLayer,
    unit: SupportsIndex | Iterable[SupportsIndex],
    position: Sequence[Any] | Any = None,
    rule: ReverseRuleOrAuto = "deconvnet",
    *,
    transform: Transform | None = None,
    inputs: Inputs = None,
    kwargs: Keywords = None,
    max_pixels: int | None = None,
) -> Projection:
    """Send units back to pixel space: all other activations zero, then unpool with switches, rectify, Cᵀ.

    A projection is ∂y/∂x with the rule in place of every rectifier's derivative: g ↦ max(g, 0) for the deconvnet
    (Zeiler & Fergus 2013, section 2.1). The forward pass ends at the layer. The model runs in evaluation mode and is
    given back as it was.

    Where it pays only the window of an image is computed that the unit sees, and of each convolution only its cone;
    whole images where they are small, where units see nearly all of them, and where the network cannot be traced.
    ``Projection.way`` says which. The answer is the same up to rounding: in float32, where torch chooses other kernels
    for other sizes, a rectifier or switch on a near-tie may fall the other way. A network's trace is kept, and used
    again while its modules are what they were.

    Args:
        model: a MODEL string as for load_model, a loaded model, or any module that takes the images as its one
            argument.
        images: a tensor ``(batch, channel, *size)`` of floats, with or without the batch, or a list of tensors: taken
            as they are, as the model wants them (normalised), unless a transform is given. Or pictures, which go
            through the model's transform: files, folders, a ``.tar``, Pillow pictures, arrays, tensors of bytes, a
            dataset or loader (whose float tensors are taken as they are), a list of these, as
            :func:`~unconv.data.read.batches.collection_of` takes them. They are read 32 at a time; what cannot be read
            is in ``Projection.skipped``. The result holds an image for each unit and image: for large collections
            :func:`~unconv.visualize.scan.scan.scan` finds those that matter.
        layer: a module of the model, or its name as in ``model.named_modules()``. Its value is what the module
            returns at that moment: later in-place operations do not count. A module called several times counts with
            its first call.
        unit: index among the units of that value, or several: the second axis of feature maps, the last one where
            channels come last and of tokens, as the trace tells.
        position: its place, ``(y, x)`` for feature maps and tokens, ``()`` after a linear layer; one for all
            images, one for each (those that are skipped included), or such a list for each unit. None: each
            unit's peak in each image.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`, or ``auto``:
            deconvnet where max-pooling is on the way, else guided. ``Projection.rule`` says which.
        transform: picture transform in place of the model's own, in any form that
            :func:`~unconv.models.load.transforms.as_preprocess` takes; a bare module's is ImageNet's
            (224 × 224) unless given.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.
        max_pixels: pictures of more are skipped from what their header says; 100,000,000 unless given.

    Raises:
        ModelError: unknown models and layers, layers that are never called or return no tensor, NaN weights, a model
            that fails.
        ImageError: no picture could be read.
        UnconvError: a unit or position outside the layer, an unknown rule, tensors that are no floating-point batch.

    >>> import torch
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.ReLU())
    >>> images = torch.rand(2, 1, 12, 12)
    >>> projection = project(model, images, layer="4", unit=3, position=(1, 1))
    >>> projection.image.shape, projection.position
    (torch.Size([2, 1, 12, 12]), ((1, 1), (1, 1)))
    >>> projection.coverage.sentence
    '2 of 2 rectifiers reversed (relu ×2); 1 max-pooling unpooled with its switches; passed as they are:
    convolution ×2'
    >>> several = project(model, images, model[4], [3, 7], rule="auto")
    >>> several.image.shape, several.rule, several[7].image.shape
    (torch.Size([2, 2, 1, 12, 12]), 'deconvnet', torch.Size([2, 1, 12, 12]))
    """
    find_rule(*((rule,) if rule != AUTO else ("deconvnet",)), AUTO)
    opened = open_for_images(model, "project", images, transform, inputs, kwargs)
    check_open(opened.module)
    name = _name(opened.module, layer)
    units, several = read_units(unit)
    places = None if position is None else Places.of(position, len(units))
    prepare = prepare_for(opened, images, transform)
    notes = () if prepare is None else opened.notes
    asked = Asked(opened.module, name, units, rule)
    parts: list[Projection] = []
    skipped: list[Any] = []
    count = 0
    for batch in image_batches(opened.module, images, prepare, max_pixels=max_pixels):
        count += batch.count
        skipped += batch.skipped
        if not batch.numbers:
            continue
        if asked.rule == AUTO:
            chosen, reason = choose_rule(count_switches(asked, batch.images))
            asked = Asked(asked.module, name, units, chosen)
            notes = (*notes, f"rule {chosen}, {reason}")
        parts.append(_project(asked, batch, places, several))
    if places is not None:
        places.check_count(count)
    return join_batches(parts, skipped=tuple(skipped), notes=notes, preprocess=prepare)


def _project(asked: Asked, batch: Batch, places: Places | None, several: bool) -> Projection:
    """One batch."""
    sent = send_back(asked, batch.images, None if places is None else places.at(batch.numbers))
    return Projection(
        image=sent.image if several else sent.image[0],
        layer=asked.layer,
        unit=asked.units if several else asked.units[0],
        position=sent.places if several else sent.places[0],
        activation=sent.activation if several else sent.activation[0],
        coverage=sent.coverage,
        way=sent.way,
        inputs=batch.images,
        names=batch.names,
    )


def _name(module: nn.Module, layer: AnyLayer) -> str:
    """The name of the layer; one that is a name already is looked up, which is quicker than all that it could be."""
    if not isinstance(layer, str):
        return name_layer(module, layer)
    try:
        module.get_submodule(layer)
    except AttributeError:
        # As a compiled model spells them.
        return name_layer(module, layer.removeprefix("_orig_mod."))
    return layer or name_layer(module, layer)

"""Ways of a projection: by windows of the images wherever that pays, by whole images elsewhere; the answer is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.describe import by_size
from unconv.network.feature_maps import arrange_maps
from unconv.network.kept_traces import keep_trace, structure_of
from unconv.network.run.forward import check_open, check_tensor, check_value, run_to_layers
from unconv.network.run.model_state import at_rest
from unconv.network.windows import Windows, windows_of
from unconv.visualize.cone.kernels import keep_kernels
from unconv.visualize.cone.unit_cones import UnitCones
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.passage import run_forward
from unconv.visualize.reverse.project_units import PIXELS, Pick, project_picks, slice_window
from unconv.visualize.reverse.projections.places import Position, check_place, check_unit, peaks
from unconv.visualize.reverse.rules import GRADIENT

# Below so many pixels, of all projections together, a whole image takes no longer than what is known of a window.
FEW_PIXELS = 64 * 64
# From so many projections on it pays to trace a network that has to be run on whole images all the same, to find the
# peaks, or whose trace cannot be kept for the next call: ResNet-50 is traced in 0.35 s, an image goes back in 0.05.
MANY = 8
# A window of a larger part of the image spares less than it costs to run the whole images twice.
LARGE = 0.5
# How far a unit's value may lie in its window from that in the image, by the largest: rounding and no more.
APART = 0.02

Places = tuple[tuple[Position, ...], ...]


@dataclass(frozen=True)
class Asked:
    """What is to be sent back: some units of a layer of a network, by a rule."""

    module: nn.Module
    layer: str
    units: tuple[int, ...]
    rule: str


@dataclass(frozen=True, eq=False)
class SentBack:
    """What came back.

    Attributes:
        image: of each unit and image, ``(unit, batch, channel, *size)``.
        places: where each unit was in each image.
        activation: its value there, ``(unit, batch)``.
        coverage: what the rule met.
        way: by windows or by whole images, and why.
    """

    image: Float[Tensor, "unit batch channel *size"]
    places: Places
    activation: Float[Tensor, "unit batch"]
    coverage: Coverage
    way: str


def send_back(asked: Asked, images: Float[Tensor, "batch channel *size"], places: Places | None) -> SentBack:
    """Send units of a layer back to the pixels of some images, at their places or, for None, at their peaks.

    Raises as :func:`~unconv.visualize.reverse.passage.run_forward` does, and UnconvError for units and places that the
    layer does not have.
    """
    check_open(asked.module)
    found = _find_windows(asked, images, searched=places is None)
    if isinstance(found, str):
        return _by_whole_images(asked, images, places, found)
    windows = found.windows
    if windows.whole:
        return _by_whole_images(asked, images, places, windows.reason)
    if places is not None:
        return _by_windows(asked, images, found, places)
    if windows.share > LARGE:
        return _by_whole_images(asked, images, None, windows.reason or "a window is nearly as large as the image")
    maps = _run_to_maps(asked, images)
    if tuple(maps.shape[2:]) != windows.shape[1:]:
        return _by_whole_images(asked, images, None, "the trace of the network tells other shapes")
    places = tuple(peaks(of_unit) for of_unit in maps)
    sent = _by_windows(asked, images, found, places)
    there = _values_at(maps, places)
    if bool((sent.activation - there).abs().max() > APART * there.abs().max()):
        return _by_whole_images(asked, images, places, "windows do not give the values of the images")
    return sent


def count_switches(asked: Asked, images: Tensor) -> int:
    """How many max-poolings lie between the layer and the pixels."""
    return run_forward(asked.module, images[:1], [asked.layer], GRADIENT.name).coverage(asked.layer).switches


def _find_windows(asked: Asked, images: Tensor, searched: bool) -> UnitCones | str:
    """Windows and cones of the units, or why there are none; ``searched``: whether the peaks have to be found."""
    size = tuple(images.shape[2:])
    projections = len(images) * len(asked.units)
    if not size or projections * prod(size) < FEW_PIXELS:
        return "images are small"
    if projections < MANY and (searched or structure_of(asked.module) is None):
        return "for few images a network is not traced"
    traced = keep_trace(asked.module, tuple(images.shape[1:]), asked.layer)
    if traced.graph is None:
        return f"windows are not known ({traced.refusal})"
    if asked.layer not in traced.graph:
        return "windows are not known (the trace does not tell the layer)"
    if asked.layer not in traced.derived:
        traced.derived[asked.layer] = UnitCones(windows_of(traced.graph, asked.layer))
    cones: UnitCones = traced.derived[asked.layer]
    return cones


def _by_windows(asked: Asked, images: Tensor, cones: UnitCones, places: Places) -> SentBack:
    """Each unit by the window that it sees, of every convolution its cone."""
    windows = cones.windows
    for unit in asked.units:
        check_unit(unit, asked.layer, windows.shape[0])
    picks = []
    for unit, row in zip(asked.units, places, strict=True):
        for number, place in enumerate(row):
            check_place(place, asked.layer, windows.shape[1:])
            picks.append(Pick(number, unit, place))
    found = project_picks(asked.module, images, cones, picks, asked.rule)
    shape = (len(asked.units), len(images))
    if found.windows.whole:
        image, way = found.image, f"whole images: {found.windows.reason}"
    else:
        image, way = _paste(found.image, found.start.tolist(), found.windows), _told(found.windows)
    return SentBack(
        image.reshape(*shape, *image.shape[1:]), places, found.activation.reshape(shape), found.coverage, way
    )


def _told(windows: Windows) -> str:
    return f"windows of {by_size(windows.size)} pixels: all that a unit sees"


def _paste(inside: Tensor, starts: Sequence[Sequence[int]], windows: Windows) -> Tensor:
    """Windows in their places, zeros around them."""
    image = _zeros(inside, (*inside.shape[:2], *windows.image_size))
    for whole, part, start in zip(image, inside, starts, strict=True):
        whole[slice_window(start, windows.size)] = part
    return image


def _zeros(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Zeros, of which the system makes no more than are touched: few of an image that is zero but in a window."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    size = prod(shape) * like.element_size()
    return torch.from_numpy(np.zeros(size, np.uint8)).view(like.dtype).view(shape)


def _by_whole_images(asked: Asked, images: Tensor, places: Places | None, reason: str) -> SentBack:
    """Every image forward once, and back from each unit."""
    parts = []
    with ExitStack() as held:
        if len(images) > _at_once(images):
            # For all portions at once.
            held.enter_context(at_rest(asked.module))
            held.enter_context(keep_kernels())
        first = 0
        for part in _portions(images):
            here = None if places is None else tuple(row[first : first + len(part)] for row in places)
            parts.append(_whole(asked, part, here))
            first += len(part)
    images_back, found, values, coverages, orders = zip(*parts, strict=True)
    return SentBack(
        images_back[0] if len(parts) == 1 else torch.cat(images_back, dim=1),
        tuple(tuple(place for row in rows for place in row) for rows in zip(*found, strict=True)),
        torch.cat(values, dim=1),
        coverages[0],
        f"whole images: {orders[0] or reason}",
    )


def _whole(asked: Asked, images: Tensor, places: Places | None) -> tuple[Tensor, Places, Tensor, Coverage, str]:
    """One portion; what is not as usual with the axes of the layer comes last."""
    passage = run_forward(asked.module, images, [asked.layer], asked.rule)
    maps = _maps_of(asked, passage.values[asked.layer].detach())
    if places is None:
        places = tuple(peaks(of_unit) for of_unit in maps)
    for row in places:
        for place in row:
            check_place(place, asked.layer, maps.shape[2:])
    backs = [
        passage.back_from_units(asked.layer, torch.full((len(images),), unit), row)
        for unit, row in zip(asked.units, places, strict=True)
    ]
    image = backs[0][None] if len(backs) == 1 else torch.stack(backs)
    order = passage.orders.get(asked.layer, "")
    return image, places, _values_at(maps, places), passage.coverage(asked.layer), order


def _run_to_maps(asked: Asked, images: Tensor) -> Float[Tensor, "unit batch *position"]:
    """The feature maps of the units, without gradient."""
    maps: list[Tensor] = []

    def see(layer: str, output: Tensor) -> None:
        maps.append(check_tensor(layer, output).clone())

    with at_rest(asked.module), torch.inference_mode(False), torch.no_grad(), torch.compiler.set_stance("force_eager"):
        for part in _portions(images):
            count = len(maps)
            # A copy, so that a model may change its input in place.
            run_to_layers(asked.module, part.clone(), [asked.layer], see)
            value = maps[-1] if len(maps) > count else None
            if value is not None:
                value, _ = arrange_maps(asked.module, asked.layer, value, tuple(part.shape))
            check_value(asked.module, asked.layer, value, len(part))
            assert value is not None
            maps[-1] = _maps_of(asked, value).clone()
    return torch.cat(maps, dim=1)


def _maps_of(asked: Asked, value: Tensor) -> Float[Tensor, "unit batch *position"]:
    """Of a layer's value the units that were asked for, in front."""
    for unit in asked.units:
        check_unit(unit, asked.layer, value.shape[1])
    return value[:, list(asked.units)].transpose(0, 1)


def _values_at(maps: Tensor, places: Places) -> Float[Tensor, "unit batch"]:
    return torch.stack(
        [
            torch.stack([one[at] for one, at in zip(of_unit, row, strict=True)])
            for of_unit, row in zip(maps, places, strict=True)
        ]
    )


def _at_once(images: Tensor) -> int:
    return max(1, PIXELS // prod(images.shape[2:]))


def _portions(images: Tensor) -> Iterator[Tensor]:
    """As many images as are quick together, in the layout that they have: values are the network's to the bit."""
    yield from torch.split(images, _at_once(images))

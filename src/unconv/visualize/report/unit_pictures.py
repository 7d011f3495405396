"""Units at their strongest places in a collection: patches and projections, a sheet of units at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from unconv.choices import ReverseRule
from unconv.errors import UnconvError
from unconv.network.windows import Windows
from unconv.operators.geometry.receptive import Box
from unconv.visualize.display import as_rgb, choose_slice, cut_slice, show_bands, show_projection
from unconv.visualize.fidelity.measure import fidelity
from unconv.visualize.fidelity.verdict import Fidelity
from unconv.visualize.layers import like_weights
from unconv.visualize.report.picture_view import Shown
from unconv.visualize.report.plan import Plan
from unconv.visualize.report.tiles import ACROSS, DOWN, Tile, block, block_side
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.project_units import Pick, project_units
from unconv.visualize.scan.top_activations import TopActivations

# How far a unit's value may be from what a scan has found, by the precision of the scan.
TOLERANCE = {"float64": 1e-3, "float32": 1e-2}
LOOSE = 0.1
# Of a field that the JSON leaves out where it is None.
OPTIONAL = {"optional": True}
# A unit, which of its places, and the picture's number.
Ranked = tuple[int, int, int]


@dataclass(frozen=True)
class Place:
    """One of the places where a unit is strongest.

    Attributes:
        image: number of the picture.
        activation: the unit's value.
        position: in the feature map, ``(y, x)``.
        box: pixels that it sees, inside the picture.
        silent: whether nothing comes back to them.
        slice: of a clip or a volume, the slice that is shown.
    """

    image: int
    activation: float
    position: tuple[int, ...]
    box: Box
    silent: bool
    slice: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, eq=False)
class UnitBlock:
    """A unit with its strongest places, and their pictures as two squares of tiles.

    Attributes:
        unit: its index.
        places: strongest first.
        patches: what it sees at each.
        projections: what it sends back, zero mid-grey, each scaled by itself.
    """

    unit: int
    places: tuple[Place, ...]
    patches: UInt8[Tensor, "3 height width"]
    projections: UInt8[Tensor, "3 height width"]


@dataclass(frozen=True, eq=False)
class LayerWindows:
    """What the pictures of one layer's units have in common.

    Attributes:
        plan: the network, its rule and which pixels its units see.
        layer: name of the layer.
        windows: what its units look through.
        tile: size of its tiles.
        read: reads a picture by its number.
    """

    plan: Plan
    layer: str
    windows: Windows
    tile: Tile
    read: Callable[[int], Shown]

    @classmethod
    def of(cls, plan: Plan, layer: str, read: Callable[[int], Shown]) -> LayerWindows:
        """The windows and tiles of a layer that is planned for."""
        picture = plan.fields.input_size[-2:]
        whole = plan.fields.size(layer) or picture
        seen = (min(whole[-2], picture[-2]), min(whole[-1], picture[-1]))
        return cls(plan, layer, plan.fields.windows(layer, plan.shapes[layer]), Tile.of(seen), read)

    @property
    def module(self) -> nn.Module:
        """The network."""
        return self.plan.model.module


def render_units(
    layer: LayerWindows, found: TopActivations, units: Sequence[int]
) -> Iterator[tuple[list[UnitBlock], Coverage | None]]:
    """The blocks of some units, as many at a time as a sheet holds.

    Args:
        layer: theirs.
        found: the strongest places of all its units.
        units: which, in this order.

    Raises :class:`~unconv.errors.UnconvError` where the network's values are not those of the scan.
    """
    at_once = ACROSS * DOWN
    for first in range(0, len(units), at_once):
        yield _render_some(layer, found, units[first : first + at_once])


def _render_some(
    layer: LayerWindows, found: TopActivations, units: Sequence[int]
) -> tuple[list[UnitBlock], Coverage | None]:
    top = found.images[layer.layer].shape[1]
    places, shown, picks = _pick(layer, found, units)
    if not picks:
        return [_arrange(layer.tile, unit, [], top) for unit in units], None
    images = [like_weights(layer.module, one.image) for one in shown]
    back = project_units(layer.module, images, layer.windows, picks, layer.plan.rule)  # type: ignore[arg-type]
    _check_values(found, layer.layer, places, back.activation)
    tiles: dict[int, list[tuple[Place, Tensor, Tensor]]] = {unit: [] for unit in units}
    for number, ((unit, rank, image), pick) in enumerate(zip(places, picks, strict=True)):
        box = layer.plan.fields.box(layer.layer, pick.position)
        picture = shown[pick.image].picture
        inside = back.image[number][_cut(box, back.start[number].tolist())]
        activation = float(found.values[layer.layer][unit, rank])
        shown_slice, patch, signal = _draw(layer, picture, inside.float().cpu(), box)
        silent = not bool(inside.count_nonzero())
        place = Place(image, activation, pick.position, box, silent, shown_slice)
        tiles[unit].append((place, patch, signal))
    return [_arrange(layer.tile, unit, tiles[unit], top) for unit in units], back.coverage


def _draw(layer: LayerWindows, picture: Tensor, inside: Tensor, box: Box) -> tuple[int | None, Tensor, Tensor]:
    """The slice that is shown of a place, and the tiles of its patch and of its projection."""
    first, sides = box[0][0], box[-2:]
    index = choose_slice(inside, first, layer.plan.slice)
    size = (int(picture.shape[-2]), int(picture.shape[-1]))
    patch = layer.tile.of_region(as_rgb(cut_slice(picture, index)[_cut(sides, (0, 0))]), sides, size)
    sent = cut_slice(inside, None if index is None else index - first)
    return index, patch, layer.tile.of_region(show_projection(show_bands(sent, layer.plan.bands)), sides, size)


def _pick(
    layer: LayerWindows, found: TopActivations, units: Sequence[int]
) -> tuple[list[Ranked], list[Shown], list[Pick]]:
    """The strongest places of some units, the pictures, and what to pick in these."""
    images, positions = found.images[layer.layer], found.positions[layer.layer]
    places = [
        (unit, rank, int(image)) for unit in units for rank, image in enumerate(images[unit].tolist()) if image >= 0
    ]
    numbers = sorted({image for *_, image in places})
    place_of = {number: place for place, number in enumerate(numbers)}
    picks = [Pick(place_of[image], unit, tuple(positions[unit, rank].tolist())) for unit, rank, image in places]
    return places, [layer.read(number) for number in numbers], picks


def measure_units(layer: LayerWindows, found: TopActivations, units: Sequence[int]) -> dict[int, Fidelity]:
    """How far the projections of some units can be trusted, all their places together.

    Raises as :func:`~unconv.visualize.fidelity.measure.fidelity` does.
    """
    _, shown, picks = _pick(layer, found, units)
    if not picks:
        return {}
    images = [like_weights(layer.module, one.image) for one in shown]
    rule: ReverseRule = layer.plan.rule  # type: ignore[assignment]
    return fidelity(layer.module, images, layer.layer, picks, rule, windows=layer.windows)


def _arrange(tile: Tile, unit: int, places: list[tuple[Place, Tensor, Tensor]], top: int) -> UnitBlock:
    side = block_side(top)
    missing = [tile.blank()] * (top - len(places))
    return UnitBlock(
        unit,
        tuple(place for place, _, _ in places),
        block([patch for _, patch, _ in places] + missing, side),
        block([signal for _, _, signal in places] + missing, side),
    )


def _cut(box: Box, start: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(low - first, high - first) for (low, high), first in zip(box, start, strict=True)))


def _check_values(found: TopActivations, layer: str, places: Sequence[Ranked], values: Tensor) -> None:
    scanned = torch.stack([found.values[layer][unit, rank] for unit, rank, _ in places]).double()
    here = values.detach().double().cpu()
    tolerance = TOLERANCE.get(str(found.about.get("dtype", "float32")), LOOSE)
    apart = (scanned - here).abs() > tolerance * scanned.abs().clamp(min=float(scanned.abs().max()) * tolerance)
    # A few may differ where rounding decides; many are another network or other pictures.
    if int(apart.sum()) * 2 > len(places):
        first = int(apart.nonzero()[0])
        raise UnconvError(
            f"scan: unit {places[first][0]} of layer {layer!r} is {float(scanned[first]):.4g} in it and "
            f"{float(here[first]):.4g} here; the weights or the pictures have changed since: scan again"
        )

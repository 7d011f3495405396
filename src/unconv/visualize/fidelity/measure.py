"""Fidelity of projections: what they owe to the image, the unit and the training, measured by comparison.

Each projection is compared with that of the same unit and place in another image, with those of other units at that
place (Mahendran & Vedaldi 2016), and with what the unit sends back when half of the layers on its way are randomised
(Adebayo et al. 2018). All picks of some units go through the network together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.choices import ReverseRule
from unconv.errors import UnconvError
from unconv.models.load.open_model import AnyModel
from unconv.models.load.transforms import Transform
from unconv.network.run.held_inputs import Inputs, Keywords
from unconv.network.run.name_layers import AnyLayer, name_layer
from unconv.network.trace.trace import trace
from unconv.network.windows import Windows, windows_of
from unconv.visualize.fidelity.gate_counts import CountGates, GateCounts
from unconv.visualize.fidelity.randomise import Randomised, layers_below, randomise_layers, split_layers
from unconv.visualize.fidelity.similarity import Similarity, compare
from unconv.visualize.fidelity.verdict import Fidelity
from unconv.visualize.reverse.project_units import PIXELS, Pick, WindowProjections, project_units
from unconv.visualize.reverse.projections.image_batches import images_by_number, open_for_images

OTHERS = 4
# Pixels of projections that are held at a time: 256 images of 224².
HELD = 256 * 224 * 224


@tell_wrong_arguments
def fidelity(
    model: AnyModel,
    images: Any,
    layer: AnyLayer,
    picks: Sequence[Pick],
    rule: ReverseRule = "deconvnet",
    *,
    windows: Windows | None = None,
    others: int = OTHERS,
    seed: int = 0,
    pixels: int = PIXELS,
    transform: Transform | None = None,
    inputs: Inputs = None,
    kwargs: Keywords = None,
) -> dict[int, Fidelity]:
    """How far the projections of some units can be trusted, unit by unit, in the order of the picks.

    The model is as before afterwards, and so are torch's generators. The same seed gives the same figures, whichever
    other units are asked for; but a unit whose picks all lie in one image is looked at in an image of the others'.

    Args:
        model: a MODEL string, a loaded model or a module that takes the images as its one argument.
        images: ``(batch, channel, *size)`` or a list of ``(channel, *size)``, as the model wants them; or pictures
            (files, folders, Pillow's, arrays, tensors of bytes), which go through its transform, as for
            :func:`~unconv.visualize.reverse.project.project`, each read when it is needed.
        layer: its name, or the module itself.
        picks: the projections, of any units: a unit's strongest places, say.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`.
        windows: the layer's windows, if they are at hand.
        others: how many other units of the layer each projection is compared with.
        seed: of the other units and of the randomised weights.
        pixels: how many pixels are computed at a time.
        transform: picture transform in place of the model's own, as for ``project``.
        inputs: what the model takes behind the image, one or several, ``...`` marking where else the image goes; see
            :func:`~unconv.network.run.held_inputs.hold_inputs`.
        kwargs: arguments by keyword, likewise.

    Raises as :func:`~unconv.visualize.reverse.project_units.project_units` does; UnconvError for impossible numbers;
    ModelError for a network that cannot be traced while ``windows`` are left out, and for layers that cannot be
    initialised.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3))
    >>> found = fidelity(model, torch.rand(2, 3, 32, 32), "3", [Pick(0, 5, (3, 4)), Pick(1, 5, (7, 0))])
    >>> found[5].gate_counts.switches, found[5].gate_counts.switches_used > 0
    (72, True)
    """
    opened = open_for_images(model, "fidelity", images, transform, inputs, kwargs)
    images = images_by_number(opened, images, transform)
    _check(picks, images, others, seed)
    module = opened.module
    layer = name_layer(module, layer)
    way = layers_below(module, images[0][None], layer)
    windows = windows or windows_of(trace(module, tuple(images[0].shape), layers=[layer]), layer)
    below, above = (
        randomise_layers(module, {name: way[name] for name in half}, seed) if half else None
        for half in split_layers(module, way)
    )
    measure = _Measure(module, images, windows, rule, below, above, others, seed, pixels)
    by_unit: dict[int, list[Pick]] = {}
    for pick in picks:
        by_unit.setdefault(pick.unit, []).append(pick)
    elsewhere = sorted({pick.image for pick in picks})
    found: dict[int, Fidelity] = {}
    together: dict[int, list[Pick]] = {}
    for unit, own in by_unit.items():
        held = sum(map(len, together.values())) + len(own)
        if together and held * (2 + others) * prod(windows.size) > HELD:
            found |= measure.units(together, elsewhere)
            together = {}
        together[unit] = own
    return found | measure.units(together, elsewhere)


@dataclass(frozen=True, eq=False)
class _Measure:
    """What is measured, and with what."""

    model: nn.Module
    images: Sequence[Tensor] | Tensor
    windows: Windows
    rule: ReverseRule
    below: Randomised | None
    above: Randomised | None
    others: int
    seed: int
    pixels: int

    def units(self, by_unit: dict[int, list[Pick]], elsewhere: Sequence[int]) -> dict[int, Fidelity]:
        """Some units at once."""
        picks = [pick for own in by_unit.values() for pick in own]
        compared = [self._compared(pick, by_unit[pick.unit], elsewhere) for pick in picks]
        watch = CountGates(self.windows.layer, len(picks))
        everything = [*picks, *(other for others in compared for other in others)]
        shown = project_units(
            self.model, self.images, self.windows, everything, self.rule, pixels=self.pixels, watch=watch
        )
        halves = [self._half(half, picks) for half in (self.above, self.below)]
        found: dict[int, Fidelity] = {}
        first, behind = 0, len(picks)
        for unit, own in by_unit.items():
            rows = range(first, first + len(own))
            width = len(compared[first])
            others = range(behind, behind + width * len(own))
            first, behind = rows.stop, others.stop
            found[unit] = self._unit(unit, rows, others, shown, halves, watch)
        return found

    def _unit(
        self,
        unit: int,
        rows: range,
        others: range,
        shown: WindowProjections,
        halves: Sequence[WindowProjections | None],
        watch: CountGates,
    ) -> Fidelity:
        own = shown.image[rows.start : rows.stop]
        width = len(others) // len(own)
        beside = shown.image[others.start : others.stop].reshape(len(own), width, *own.shape[1:])
        units = min(self.others, self.windows.shape[0] - 1)
        above, below = (_alike(shown, half, rows) for half in halves)
        return Fidelity(
            layer=self.windows.layer,
            unit=unit,
            rule=self.rule,
            pictures=len(own),
            empty=int((own == 0).flatten(1).all(1).sum()),
            coverage=shown.coverage,
            gate_counts=sum(watch.counts[rows.start : rows.stop], GateCounts()),
            other_image=compare(own, beside[:, -1]) if width > units else None,
            other_units=(
                compare(own.repeat_interleave(units, dim=0), beside[:, :units].flatten(0, 1)) if units else None
            ),
            above=above,
            below=below,
        )

    def _compared(self, pick: Pick, own: Sequence[Pick], elsewhere: Sequence[int]) -> list[Pick]:
        """Other units at the place of a pick, and last the same unit at the same place of another image."""
        generator = torch.Generator().manual_seed(self.seed * self.windows.shape[0] + pick.unit)
        drawn = torch.randperm(self.windows.shape[0], generator=generator).tolist()
        units = [unit for unit in drawn if unit != pick.unit][: self.others]
        its = sorted({other.image for other in own})
        others = [image for image in (its if len(its) > 1 else elsewhere) if image != pick.image]
        later = [image for image in others if image > pick.image]
        picks = [replace(pick, unit=unit) for unit in units]
        return [*picks, replace(pick, image=(later or others)[0])] if others else picks

    def _half(self, half: Randomised | None, picks: Sequence[Pick]) -> WindowProjections | None:
        if half is None:
            return None
        windows = replace(self.windows, layer=half.name_of(self.windows.layer))
        return project_units(half, self.images, windows, picks, self.rule, pixels=self.pixels)


def _alike(shown: WindowProjections, half: WindowProjections | None, rows: range) -> Similarity | None:
    if half is None:
        return None
    if shown.windows.size == half.windows.size:
        return compare(shown.image[rows.start : rows.stop], half.image[rows.start : rows.stop])
    return compare(*(torch.stack([found.whole(row) for row in rows]) for found in (shown, half)))


def _check(picks: Sequence[Pick], images: Sequence[Tensor] | Tensor, others: int, seed: int) -> None:
    for name, given in (("picks", picks), ("images", images)):
        if not len(given):
            raise UnconvError(f"fidelity: no {name}; give one or more")
    for name, number in (("others", others), ("seed", seed)):
        if number < 0:
            raise UnconvError(f"fidelity: {name} {number}; give 0 or more")

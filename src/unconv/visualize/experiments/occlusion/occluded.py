"""Occluded images through a network, each computed only where its occluder can have changed something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from unconv.operators.geometry.receptive import Interval
from unconv.visualize.experiments.occlusion.stops import Route
from unconv.visualize.experiments.occlusion.stretch import Stretch
from unconv.visualize.experiments.partial_forward import Shortcut

Place = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Occluder:
    """A square of one colour at some places of an image.

    Attributes:
        image: ``(1, channel, height, width)``.
        colour: of the square, ``(channel, 1, 1)``.
        intervals: pixels that it covers, ``[start, stop)``, for each row and each column of places.
    """

    image: Tensor
    colour: Tensor
    intervals: tuple[tuple[Interval, ...], ...]

    @property
    def places(self) -> list[Place]:
        """All places, row by row."""
        rows, columns = self.intervals
        return list(product(range(len(rows)), range(len(columns))))


@dataclass(frozen=True, eq=False)
class Passing:
    """A model with the way that its occluded images take.

    Attributes:
        model: takes images as its one argument.
        occluder: what covers them.
        route: where the model is stopped.
        clean: what the layers of the route return for the image without occluder, by cut; the image first.
        layer: is summed up on the way.
        unit: which of its feature maps.
    """

    model: nn.Module
    occluder: Occluder
    route: Route
    clean: tuple[Tensor, ...]
    layer: str
    unit: int

    @cached_property
    def shortcut(self) -> Shortcut:
        """Runs the model from a stop on."""
        return Shortcut(self.model, self.occluder.image)

    def batches(self, count: int) -> Iterator[tuple[Any, Tensor]]:
        """For some places at a time: what the model returns, and the sum over the feature map."""
        places = self.occluder.places
        for first in range(0, len(places), count):
            yield self._through(places[first : first + count])

    def _through(self, places: list[Place]) -> tuple[Any, Tensor]:
        patches = self._squares(places)
        for number, stretch in enumerate(self.route.stretches):
            patches = self._stretched(number, stretch, places, patches)
        whole = self.clean[-1].expand(len(places), -1, -1, -1).clone(memory_format=torch.channels_last)
        for row, (place, patch) in enumerate(zip(places, patches, strict=True)):
            (top, bottom), (left, right) = self._box(-1, place)
            whole[row, :, top:bottom, left:right] = patch
        sums: list[Tensor] = []
        output = self.shortcut.run(
            whole,
            self.route.cuts[-1].layer,
            layer=self.layer,
            see=lambda value: sums.append(value[:, self.unit].sum((1, 2))),
        )
        return output, sums[-1]

    def _squares(self, places: list[Place]) -> list[Tensor]:
        boxes = [self._box(0, place) for place in places]
        return [self.occluder.colour.expand(-1, bottom - top, right - left) for (top, bottom), (left, right) in boxes]

    def _box(self, cut: int, place: Place) -> tuple[Interval, Interval]:
        rows, columns = self.route.changed[cut]
        return rows[place[0]], columns[place[1]]

    def _stretched(self, number: int, stretch: Stretch, places: list[Place], patches: list[Tensor]) -> list[Tensor]:
        """From what changed at one cut to what changed at the next."""
        starts = [tuple(stretch.starts[axis][place[axis]] for axis in (0, 1)) for place in places]
        pieces = self._pieces(number, stretch, starts, places, patches)
        cuts = self.route.cuts
        value = self.shortcut.run(pieces, cuts[number].layer, cuts[number + 1].layer)
        found = []
        for row, (place, start) in enumerate(zip(places, starts, strict=True)):
            (top, bottom), (left, right) = self._box(number + 1, place)
            down, across = stretch.shift(0, start[0]), stretch.shift(1, start[1])
            found.append(value[row, :, top - down : bottom - down, left - across : right - across])
        return found

    def _pieces(
        self,
        number: int,
        stretch: Stretch,
        starts: list[tuple[int, ...]],
        places: list[Place],
        patches: list[Tensor],
    ) -> Tensor:
        """Pieces of the clean feature maps with what changed pasted in."""
        clean, (height, width) = self.clean[number], stretch.size
        pieces = torch.empty(
            (len(places), clean.shape[1], height, width),
            dtype=clean.dtype,
            device=clean.device,
            memory_format=torch.channels_last,
        )
        for row, (place, (down, across), patch) in enumerate(zip(places, starts, patches, strict=True)):
            pieces[row] = clean[0, :, down : down + height, across : across + width]
            (top, bottom), (left, right) = self._box(number, place)
            first, last = max(top, down), min(bottom, down + height)
            begin, end = max(left, across), min(right, across + width)
            if first < last and begin < end:
                pieces[row, :, first - down : last - down, begin - across : end - across] = patch[
                    :, first - top : last - top, begin - left : end - left
                ]
        return pieces

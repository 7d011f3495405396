"""The projection of units as a value: what they send back to the pixels, where they were, and what the rule met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from unconv.data.read.items import Skipped
from unconv.describe import by_size, counted, listed, spread
from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.results import Plotted, draw_with
from unconv.visualize.reverse.coverage import Coverage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Position = tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Projection(Plotted):
    """What a unit sends back to the pixels, or several units of a layer.

    Of one unit the shapes are those below. Of several, ``unit`` is a tuple, ``image``, ``activation`` and ``position``
    have an axis of units in front, and ``projection[17]`` is the projection of unit 17 alone.

    Attributes:
        image: the projection of each image, ``(batch, channel, *size)``, in the units of the model's input.
        layer: name of the layer.
        unit: index of the unit (feature map) in the layer.
        position: where in the feature map the unit was, for each image.
        activation: value of the unit there, ``(batch,)``.
        coverage: what the rule met on the way back.
        way: how it was computed, and why: by windows of the images or by whole ones.
        inputs: the images as the model was given them, ``(batch, channel, *size)``.
        names: what the images are called.
        skipped: what could not be read, and why.
        notes: what was chosen or assumed, a phrase each.
        preprocess: the transform that pictures went through; None where none did.
    """

    image: Tensor
    layer: str
    unit: int | tuple[int, ...]
    position: tuple[Any, ...]
    activation: Tensor
    coverage: Coverage
    way: str
    inputs: Tensor
    names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    preprocess: Preprocess | None = None

    @property
    def rule(self) -> str:
        """The name of the reverse rule, chosen or asked for."""
        return self.coverage.rule

    @property
    def units(self) -> tuple[int, ...]:
        """The units, also where it is one."""
        return (self.unit,) if isinstance(self.unit, int) else self.unit

    def __getitem__(self, unit: int) -> Projection:
        """The projection of one of the units, by its index in the layer.

        Raises :class:`~unconv.errors.UnconvError` for a unit that was not projected.
        """
        if unit not in self.units:
            raise UnconvError(f"projection: unit {unit!r} is not in it; it is of {listed(self.units)}")
        if isinstance(self.unit, int):
            return self
        at = self.unit.index(unit)
        return replace(
            self,
            image=self.image[at],
            unit=self.unit[at],
            position=self.position[at],
            activation=self.activation[at],
        )

    def __iter__(self) -> Iterator[Projection]:
        """Unit by unit."""
        return (self[unit] for unit in self.units)

    def plot(self) -> Figure:
        """The images beside what comes back to them: each around the pixels that it comes back to, 0 mid-grey.

        Nine images and four units at most are drawn, and how many there are is said. Of signals curves are drawn, of
        volumes the slice in which most comes back. Raises MissingExtraError where matplotlib is not installed.
        """
        figure: Figure = draw_with("unconv.visualize.reverse.projections.plots:plot_projection", self)
        return figure

    def _heading(self) -> str:
        named = "unit" if len(self.units) == 1 else "units"
        return f"Projection of {self.layer}, {named} {listed(self.units)}, in {counted(len(self.inputs), 'image')}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "rule", self.rule
        yield "activation", spread(self.activation.flatten().tolist())
        yield "position", listed(self.position if isinstance(self.unit, int) else self.position[0])
        yield "image", by_size(self.image.shape)
        yield "way", self.way
        yield "coverage", self.coverage.sentence
        for note in self.notes:
            yield "note", note
        if self.skipped:
            yield "skipped", listed(map(str, self.skipped), 3)


def join_batches(parts: Sequence[Projection], **fields: Any) -> Projection:
    """Projections of the same units in several batches as one; ``fields`` replace what is not joined."""
    import torch

    first = parts[0]
    if len(parts) == 1:
        return replace(first, **fields)
    axis = 0 if isinstance(first.unit, int) else 1
    positions: tuple[Any, ...] = (
        tuple(place for part in parts for place in part.position)
        if axis == 0
        else tuple(tuple(place for part in parts for place in part.position[row]) for row in range(len(first.units)))
    )
    shapes = {tuple(part.inputs.shape[1:]) for part in parts}
    if len(shapes) > 1:
        sizes = " and ".join(by_size(shape) for shape in sorted(shapes)[:2])
        raise UnconvError(f"project: images of {sizes}; bring them to one size, or give them one after the other")
    return replace(
        first,
        image=torch.cat([part.image for part in parts], axis),
        position=positions,
        activation=torch.cat([part.activation for part in parts], axis),
        inputs=torch.cat([part.inputs for part in parts]),
        names=tuple(name for part in parts for name in part.names),
        **fields,
    )

"""Projections of many units of many images, each by the window that it sees: exact, and quick where fields are small.

See :mod:`unconv.network.windows` for why a window is enough. Units that look at the same window share its forward
pass; windows of one layer have one size and are computed together, from however many images they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.choices import ReverseRule
from unconv.data.mosaic import MOST
from unconv.describe import by_size, counted, listed, spread
from unconv.errors import ModelError, UnconvError
from unconv.models.load.open_model import AnyModel, open_model
from unconv.models.load.transforms import Transform
from unconv.network.run.forward import all_finite
from unconv.network.run.model_state import at_rest
from unconv.network.windows import Windows
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.cone.kernels import keep_kernels
from unconv.visualize.cone.schedule import limit_convolutions
from unconv.visualize.cone.unit_cones import UnitCones
from unconv.visualize.display import show_projection
from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.passage import Passage, run_forward
from unconv.visualize.reverse.projections.image_batches import Tensors, images_by_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Pixels computed at a time: two images of 224². More leave the cache between one layer and the next (VGG-16, two cores:
# conv4_3 44 ms a projection by two, 73 by eight; conv5_3 142 and 240).
PIXELS = 2 * 224 * 224
# The part of what a batch sends back that may be for nothing.
IDLE = 1 / 8

# A window, by its image and start, and the numbers of the picks that look at it.
Crop = tuple[tuple[int, tuple[int, ...]], list[int]]
# Held open around every way back: the passage, the signal that starts, and where in it each pick is, by its number.
Watch = Callable[[Passage, Tensor, Mapping[int, tuple[int, ...]]], AbstractContextManager[None]]


@dataclass(frozen=True)
class Pick:
    """One unit at one position of one image."""

    image: int
    unit: int
    position: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class WindowProjections(Plotted, Tabled):
    """Projections of some units of a layer, each inside its window; outside of it they are zero.

    Attributes:
        picks: which units, in the order asked for.
        image: what each sends back to the pixels of its window, ``(pick, channel, *size)``.
        start: first pixel of each window, ``(pick, axis)``.
        activation: value of each unit.
        windows: what the windows are, and why they are whole images where they are.
        coverage: what the rule met on the way back.
    """

    picks: tuple[Pick, ...]
    image: Float[Tensor, "pick channel *size"]
    start: Int[Tensor, "pick axis"]
    activation: Float[Tensor, " pick"]
    windows: Windows
    coverage: Coverage

    def whole(self, number: int) -> Float[Tensor, channel * image_size]:
        """One projection in the size of the image."""
        inside = self.image[number]
        image = inside.new_zeros((len(inside), *self.windows.image_size))
        image[slice_window(self.start[number].tolist(), self.windows.size)] = inside
        return image

    def plot(self) -> Figure:
        """Draw the first projections, each in its window: 0 is mid-grey.

        Raises MissingExtraError where matplotlib is not installed, UnconvError for windows that are no pictures.
        """
        if self.image.ndim != 4:
            raise UnconvError(f"plot: windows of {self.image.ndim - 2} axes have no picture")
        names = [f"unit {pick.unit}, image {pick.image}" for pick in self.picks]
        shown = [show_projection(one) for one in self.image[:MOST]]
        figure: Figure = draw_with("unconv.data.thumbnails:plot_pictures", shown, names)
        return figure

    def _heading(self) -> str:
        return f"WindowProjections of {counted(len(self.picks), 'unit')} of {self.windows.layer}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        whole = f", whole images: {self.windows.reason}" if self.windows.whole else ""
        yield "windows", f"{by_size(self.windows.size)} of images {by_size(self.windows.image_size)}{whole}"
        yield "units", listed(dict.fromkeys(pick.unit for pick in self.picks))
        yield "images", listed(dict.fromkeys(pick.image for pick in self.picks))
        yield "activations", spread(self.activation)
        yield "rule", f"{self.coverage.rule}: {self.coverage.sentence}"

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for pick, start, activation in zip(self.picks, self.start.tolist(), self.activation.tolist(), strict=True):
            yield {
                "image": pick.image,
                "unit": pick.unit,
                "position": pick.position,
                "activation": activation,
                "start": tuple(start),
                "size": self.windows.size,
            }


@tell_wrong_arguments
def project_units(
    model: AnyModel,
    images: Any,
    windows: Windows,
    picks: Sequence[Pick],
    rule: ReverseRule = "deconvnet",
    *,
    transform: Transform | None = None,
    pixels: int = PIXELS,
    watch: Watch | None = None,
) -> WindowProjections:
    """Send some units of a layer back to pixel space, each through the window of the image that it sees.

    Equal to :func:`~unconv.visualize.reverse.project.project`, one unit and image at a time, up to rounding; in
    float32, where torch chooses other kernels for other sizes, a rectifier or switch on a near-tie may fall the other
    way.

    Args:
        model: a MODEL string, a loaded model, or any module that takes the images as its one argument.
        images: ``(batch, channel, *size)`` or a sequence of ``(channel, *size)``, as the model wants them; else files,
            folders, arrays, a dataset, as :func:`~unconv.data.read.source.source_of` takes them, of which those that
            are picked are read.
        windows: the layer's windows, from :func:`~unconv.network.windows.windows_of`.
        picks: units, images and positions, in any order.
        rule: name of a reverse rule, as in :data:`~unconv.visualize.reverse.rules.REVERSE_RULES`.
        transform: picture transform in place of the model's own, in any form that
            :func:`~unconv.models.load.transforms.as_preprocess` takes; a bare module's is ImageNet's unless given.
        pixels: how many pixels are computed at a time.
        watch: is held open around every way back; where something has to be computed again it sees it again.

    Raises ModelError as run_forward does; ImageError for pictures that are picked and cannot be read; UnconvError for
    images of another size, and picks that are not there.

    >>> from unconv.network.trace.trace import trace
    >>> from unconv.network.windows import windows_of
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
    >>> windows = windows_of(trace(model, (3, 64, 48)), "2")
    >>> found = project_units(model, torch.rand(2, 3, 64, 48), windows, [Pick(1, 3, (7, 30)), Pick(0, 4, (59, 0))])
    >>> found.image.shape, found.start.tolist(), found.whole(0).shape
    (torch.Size([2, 3, 5, 5]), [[7, 30], [59, 0]], torch.Size([3, 64, 48]))
    """
    opened = open_model(model, "project_units", transform=transform)
    if not picks:
        raise UnconvError("project_units: an empty list of picks; give one or more")
    tensors = images_by_number(opened, images, transform)
    _check(tensors, windows, picks)
    return project_picks(opened.module, tensors, UnitCones(windows), picks, rule, pixels=pixels, watch=watch)


def project_picks(
    model: nn.Module,
    images: Tensors,
    cones: UnitCones,
    picks: Sequence[Pick],
    rule: str,
    *,
    pixels: int = PIXELS,
    watch: Watch | None = None,
) -> WindowProjections:
    """The same for a module, images as it takes them, and picks that are known to be there."""
    while True:
        try:
            return _project_windows(model, images, cones, tuple(picks), rule, pixels, watch)
        except ModelError:
            # Some networks refuse small images; what is wrong elsewhere is wrong with the whole image too.
            if cones.windows.whole:
                raise
            cones = UnitCones(cones.windows.grown())


def _project_windows(
    model: nn.Module,
    images: Tensors,
    known: UnitCones,
    picks: tuple[Pick, ...],
    rule: str,
    pixels: int,
    watch: Watch | None,
) -> WindowProjections:
    backs: list[Tensor] = [torch.empty(0)] * len(picks)
    values: list[Tensor] = [torch.empty(0)] * len(picks)
    windows = known.windows
    starts = [windows.start(pick.position) for pick in picks]
    coverage: Coverage | None = None
    with at_rest(model), keep_kernels():
        for crops in _batches(windows, picks, starts, max(1, pixels // prod(windows.size))):
            batch = torch.stack([images[image][slice_window(start, windows.size)] for (image, start), _ in crops])
            if batch.ndim == 4:
                # Which convolutions of CPUs are quicker with.
                batch = batch.contiguous(memory_format=torch.channels_last)
            passage, found = _pass_by_cones(model, batch, known, crops, picks, rule, watch)
            coverage = coverage or passage.coverage(windows.layer)
            for number, (back, value) in found.items():
                backs[number], values[number] = back, value
    assert coverage is not None
    return WindowProjections(picks, torch.stack(backs), torch.tensor(starts), torch.stack(values), windows, coverage)


def _pass_by_cones(
    model: nn.Module,
    batch: Tensor,
    known: UnitCones,
    crops: Sequence[Crop],
    picks: Sequence[Pick],
    rule: str,
    watch: Watch | None,
) -> tuple[Passage, dict[int, tuple[Tensor, Tensor]]]:
    """A batch of windows to the layer and back; of every convolution as much as is needed, where that is known."""
    layer = known.windows.layer
    needed = known.needed([(start, [picks[number].position for number in numbers]) for (_, start), numbers in crops])
    if any(one.boxes for one in needed):
        with limit_convolutions(needed) as schedule:
            passage = run_forward(model, batch, [layer], rule, arranged=known.windows.whole)
        if schedule.kept:
            found = _send_back(passage, known, crops, picks, watch)
            # Where nobody looks convolutions leave zeros. What divides by them gives no numbers, nor does its way back.
            if all(all_finite(back) for back, _ in found.values()):
                return passage, found
    passage = run_forward(model, batch, [layer], rule, arranged=known.windows.whole)
    return passage, _send_back(passage, known, crops, picks, watch)


def _send_back(
    passage: Passage, known: UnitCones, crops: Sequence[Crop], picks: Sequence[Pick], watch: Watch | None
) -> dict[int, tuple[Tensor, Tensor]]:
    """For each pick, by its number, what comes back to its window, and its value."""
    windows = known.windows
    value = passage.values[windows.layer].detach()
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for turn in range(max(len(numbers) for _, numbers in crops)):
        shown = [
            (start, [picks[number].position for number in numbers[turn : turn + 1]]) for (_, start), numbers in crops
        ]
        placed = {
            numbers[turn]: (row, picks[numbers[turn]].unit, *windows.within(picks[numbers[turn]].position, start))
            for row, ((_, start), numbers) in enumerate(crops)
            if turn < len(numbers)
        }
        signal = torch.zeros_like(value)
        for place in placed.values():
            signal[place] = 1
        with watch(passage, signal, placed) if watch else nullcontext():
            back = passage.back(windows.layer, signal, known.needed(shown))
        for number, place in placed.items():
            found[number] = back[place[0]], value[place]
    return found


def slice_window(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    """The part of an image ``(channel, *size)`` that begins there.

    >>> torch.rand(3, 9, 9)[slice_window((2, 5), (4, 4))].shape
    torch.Size([3, 4, 4])
    """
    return (slice(None), *(slice(first, first + length) for first, length in zip(start, size, strict=True)))


def _batches(
    windows: Windows, picks: Sequence[Pick], starts: Sequence[tuple[int, ...]], count: int
) -> Iterator[list[Crop]]:
    """Windows with the numbers of the picks that look at them; those that serve as many picks together."""
    shared: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    for number, (pick, start) in enumerate(zip(picks, starts, strict=True)):
        shared.setdefault((pick.image, start), []).append(number)

    def likeness(crop: Crop) -> tuple[int, tuple[int, ...], tuple[int, tuple[int, ...]]]:
        # Units at the same place of their windows need the same boxes, which are cut out together.
        (_, start), numbers = crop
        return -len(numbers), windows.within(picks[numbers[0]].position, start), crop[0]

    batch: list[Crop] = []
    idle = 0
    for crop in sorted(shared.items(), key=likeness):
        if batch:
            # A batch goes back as often as its first window has picks, all of it: where others have fewer, for nothing.
            turns = len(batch[0][1])
            idle += turns - len(crop[1])
            if len(batch) == count or idle > IDLE * turns * (len(batch) + 1):
                yield batch
                batch, idle = [], 0
        batch.append(crop)
    yield batch


def _check(images: Tensors, windows: Windows, picks: Sequence[Pick]) -> None:
    for pick in picks:
        if not 0 <= pick.image < len(images):
            raise UnconvError(f"project_units: image {pick.image} of {len(images)}; they count from 0")
        size = tuple(images[pick.image].shape[1:])
        if size != windows.image_size:
            raise UnconvError(
                f"project_units: image {pick.image} has size {size}, the windows of {windows.layer!r} are those of "
                f"images of {windows.image_size}"
            )
        if not 0 <= pick.unit < windows.shape[0]:
            raise UnconvError(
                f"project_units: unit {pick.unit} of layer {windows.layer!r}, which has {windows.shape[0]}"
            )
        inside = len(pick.position) == len(windows.shape) - 1 and all(
            0 <= place < size for place, size in zip(pick.position, windows.shape[1:], strict=True)
        )
        if not inside:
            raise UnconvError(
                f"project_units: position {pick.position} is not in a feature map of layer {windows.layer!r}, whose "
                f"size is {windows.shape[1:]}"
            )

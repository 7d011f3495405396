"""The places of one unit, as a scan has found them: what the unit saw there, and what it sends back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from unconv.choices import ReverseRuleOrAuto
from unconv.data.read.source import pictures_of, stack_pictures
from unconv.describe import listed, spread
from unconv.errors import UnconvError
from unconv.models.load.open_model import AnyModel, OpenedModel, open_model
from unconv.models.load.resolve import LoadedModel
from unconv.models.load.transforms import Transform, read_transform
from unconv.network.kept_traces import keep_trace
from unconv.network.run.held_inputs import Inputs, Keywords, describe_held
from unconv.network.windows import Windows, windows_of
from unconv.operators.geometry.receptive import Box, ReceptiveField
from unconv.results import Plotted, Tabled, draw_with
from unconv.visualize.cone.unit_cones import UnitCones
from unconv.visualize.reverse.project_units import Pick, WindowProjections, project_picks
from unconv.visualize.reverse.projections.image_batches import NumberedImages, axes_of
from unconv.visualize.reverse.rules import AUTO, choose_rule, find_rule
from unconv.visualize.reverse.ways import Asked, count_switches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Under which a scan notes the paths of its pictures.
PATHS = "images"
# How far a unit's value may be from what the scan has found, of its largest: other precisions, no other network.
APART = 0.1


@dataclass(frozen=True, eq=False)
class Scanned:
    """What was scanned, as long as it is in memory: no file holds it.

    Attributes:
        opened: the network.
        images: what they were read from; None where that cannot be read again, as a stream.
    """

    opened: OpenedModel
    images: Any = None

    @classmethod
    def of(cls, opened: OpenedModel, images: Any) -> Scanned:
        """With the images where they have a length and come in the same order again.

        >>> from torch import nn
        >>> Scanned.of(OpenedModel("net", nn.ReLU()), iter([])).images is None
        True
        """
        again = hasattr(images, "__len__") and not isinstance(images, DataLoader)
        return cls(opened, images if again else None)


@dataclass(frozen=True, eq=False, repr=False)
class UnitPlaces(Plotted, Tabled):
    """Where one unit of a layer was strongest, strongest first; what it saw there, and what it sends back.

    Attributes:
        layer: name of the layer.
        unit: index of the unit in it.
        values: the activation at each place.
        images: numbers of the images.
        names: what these are called.
        positions: places in the feature map, ``(y, x)``.
        count: how many images were looked at.
        about: the network and the settings of the scan, as plain data.
        scanned: the network and the images themselves, right after a scan.

    >>> import torch
    >>> from torch import nn
    >>> from unconv.visualize.scan.scan import scan
    >>> model, images = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)), torch.rand(20, 3, 64, 64)
    >>> unit = scan(model, images, ["2"], top=9).unit("2", 3)
    >>> len(unit.images), [patch.shape for patch in unit.patches(images, model=model)][0]
    (9, torch.Size([3, 5, 5]))
    >>> unit.project(model, images).image.shape
    torch.Size([9, 3, 5, 5])
    """

    layer: str
    unit: int
    values: Float[Tensor, " place"]
    images: tuple[int, ...]
    names: tuple[str, ...]
    positions: tuple[tuple[int, ...], ...]
    count: int
    about: Mapping[str, Any] = field(default_factory=dict)
    scanned: Scanned | None = None

    def patches(
        self,
        images: Any = None,
        *,
        model: AnyModel | None = None,
        transform: Transform | None = None,
        inputs: Inputs = None,
        kwargs: Keywords = None,
    ) -> tuple[Tensor, ...]:
        """What the unit saw at each place: its receptive field, cut from the image, ``(channel, height, width)``.

        Values are in [0, 1] where the network has a picture transform, else those that the network was given. At a
        border of the image a patch is smaller.

        Args:
            images: the same as in the scan; may be left out right after it, and where it read files that are still
                there.
            model: the network; may be left out right after the scan, and where ``load_model`` knows it by its name.
            transform: that of the scan; may be left out where the scan tells its values and the model is no loaded one.
            inputs: what the scan held beside the images; may be left out right after it.
            kwargs: likewise, by keyword.

        Raises as :meth:`project` does.
        """
        opened, tensors = self._open(model, images, transform, inputs, kwargs)
        windows = self._windows(opened, tensors)
        return tuple(
            _picture(opened, tensors[number])[(slice(None), *(slice(*side) for side in self._box(windows, place)))]
            for number, place in zip(self.images, self.positions, strict=True)
        )

    def project(
        self,
        model: AnyModel | None = None,
        images: Any = None,
        rule: ReverseRuleOrAuto = "auto",
        *,
        transform: Transform | None = None,
        inputs: Inputs = None,
        kwargs: Keywords = None,
    ) -> WindowProjections:
        """What the unit sends back to the pixels from each place, each through the window that it sees.

        Args:
            model: the network of the scan; may be left out right after it, and where ``load_model`` knows it by its
                name.
            images: the same as in the scan; may be left out right after it, and where it read files that are still
                there.
            rule: name of a reverse rule, or ``auto``: deconvnet where max-pooling is on the way, else guided.
            transform: that of the scan, where one was given.
            inputs: what the scan held beside the images; may be left out right after it.
            kwargs: likewise, by keyword.

        Raises UnconvError where the model or the images have to be given, or are not those of the scan; and as
        :func:`~unconv.visualize.reverse.project_units.project_units` does.
        """
        if rule != AUTO:
            find_rule(rule, AUTO)
        opened, tensors = self._open(model, images, transform, inputs, kwargs)
        return self._project(opened, tensors, self._windows(opened, tensors), rule)

    def plot(
        self,
        model: AnyModel | None = None,
        images: Any = None,
        rule: ReverseRuleOrAuto = "auto",
        *,
        transform: Transform | None = None,
        inputs: Inputs = None,
        kwargs: Keywords = None,
    ) -> Figure:
        """The patches beside the projections: nine and nine, as in Zeiler & Fergus (2013), figure 2.

        Arguments and errors are those of :meth:`project`. Raises MissingExtraError where matplotlib is not installed.
        """
        opened, tensors = self._open(model, images, transform, inputs, kwargs)
        windows = self._windows(opened, tensors)
        found = self._project(opened, tensors, windows, rule)
        pictures = [_picture(opened, tensors[number]) for number in self.images]
        boxes = [self._box(windows, place) for place in self.positions]
        figure: Figure = draw_with("unconv.visualize.scan.unit_figure:plot_unit", self, pictures, boxes, found)
        return figure

    def _project(self, opened: OpenedModel, tensors: NumberedImages, windows: Windows, rule: str) -> WindowProjections:
        numbers = sorted(set(self.images))
        images = [tensors[number] for number in numbers]
        if rule == AUTO:
            rule, _ = choose_rule(count_switches(Asked(opened.module, self.layer, (self.unit,), rule), images[0][None]))
        picks = [
            Pick(numbers.index(image), self.unit, place)
            for image, place in zip(self.images, self.positions, strict=True)
        ]
        found = project_picks(opened.module, images, UnitCones(windows), picks, rule)
        apart = (found.activation.double().cpu() - self.values.double()).abs()
        # A few may differ where rounding decides; many are another network or other pictures.
        if int((apart > APART * float(self.values.abs().max())).sum()) * 2 > len(picks):
            raise UnconvError(
                f"scan: unit {self.unit} of layer {self.layer!r} is {float(self.values[0]):.4g} in it and "
                f"{float(found.activation[0]):.4g} here; the weights or the pictures have changed since: scan again"
            )
        return found

    def _open(
        self, model: AnyModel | None, images: Any, transform: Transform | None, inputs: Inputs, kwargs: Keywords
    ) -> tuple[OpenedModel, NumberedImages]:
        """The network and the images of the scan."""
        held = self._check_held(model, inputs, kwargs)
        name, weights = self.about.get("model"), self.about.get("weights", "as given")
        if model is None and self.scanned is not None:
            model = self.scanned.opened  # type: ignore[assignment]
        if model is None and (name is None or weights == "as given"):
            raise UnconvError(
                f"unit: the scan was of a module, {name}, which has no name to load it by; give it: unit.plot(model)"
            )
        scanned = self.about.get("preprocess", "none")
        if transform is None and not isinstance(model, LoadedModel | OpenedModel):
            # Nobody says another: that of the scan, where its values are known.
            transform = read_transform(scanned)
        # Random weights are the same every time.
        drawn = str(weights).startswith("random")
        opened = open_model(name if model is None else model, "unit", any_weights=drawn, transform=transform, **held)
        if scanned != "none":
            opened = opened.for_pictures()
        # Tensors went in as they were.
        prepare = opened.preprocess if scanned != "none" or transform is not None else None
        prepared = "none" if prepare is None else repr(prepare)
        for told, here, there in (
            ("weights", opened.weights, weights if model is None else opened.weights),
            ("transform", prepared, scanned),
        ):
            if here != there:
                raise UnconvError(
                    f"unit: the {told} in the scan was {there}, here it is {here}; give the same model= or transform="
                )
        if images is None:
            images = self.about.get(PATHS, None if self.scanned is None else self.scanned.images)
        if images is None:
            raise UnconvError("unit: the scan does not know where its images can be read again; give images=, the same")
        axes = axes_of(opened.module)
        if isinstance(images, Tensor):
            pictures = stack_pictures(images[None] if axes is not None and images.ndim == axes + 1 else images)
        else:
            pictures = pictures_of(images)
        if len(pictures) != self.count:
            raise UnconvError(f"unit: the scan was of {self.count} images, here are {len(pictures)}; give the same")
        for number, called in zip(self.images, self.names, strict=True):
            if pictures.name(number) != called:
                raise UnconvError(
                    f"unit: image {number} was {called!r} in the scan, here it is {pictures.name(number)!r}; give the "
                    "same images in the same order"
                )
        return opened, NumberedImages(opened.module, pictures, prepare)

    def _check_held(self, model: AnyModel | None, inputs: Inputs, kwargs: Keywords) -> dict[str, Any]:
        """What is held beside the images: that of the scan, which its own network has already."""
        there = self.about.get("held", "nothing")
        if model is None and self.scanned is not None and inputs is kwargs is None:
            return {}
        here = "nothing" if inputs is kwargs is None else describe_held(inputs, kwargs)
        if here != there:
            raise UnconvError(
                f"unit: beside its images the scan held {there}, here it is {here}; give the same inputs= and kwargs="
            )
        return {} if inputs is kwargs is None else {"inputs": inputs, "kwargs": kwargs}

    def _windows(self, opened: OpenedModel, tensors: NumberedImages) -> Windows:
        first = tensors[self.images[0]]
        traced = keep_trace(opened.module, tuple(first.shape), self.layer)
        if traced.graph is not None and self.layer in traced.graph:
            return windows_of(traced.graph, self.layer)
        size = tuple(first.shape[1:])
        grid = self.about.get("sizes", {}).get(self.layer) or [
            max(place) + 1 for place in zip(*self.positions, strict=True)
        ]
        everything = ReceptiveField.everything(size)
        return Windows(self.layer, (self.unit + 1, *grid), size, size, (1,) * len(size), everything, traced.refusal)

    def _box(self, windows: Windows, place: Sequence[int]) -> Box:
        """The pixels that the unit sees from a place, inside the image; all of it where it has no place in it."""
        size = windows.image_size
        if len(place) != len(size):
            return tuple((0, total) for total in size)
        seen = windows.field.of(place)
        return tuple((max(start, 0), min(stop, total)) for (start, stop), total in zip(seen, size, strict=True))

    def _heading(self) -> str:
        return f"Unit {self.unit} of {self.layer}: its {len(self.images)} strongest places in {self.count:,} images"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "activation", spread(self.values.tolist())
        yield "images", listed(self.names, 9)
        yield "positions", listed(self.positions, 9)
        for name in ("model", "weights"):
            if name in self.about:
                yield name, str(self.about[name])

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for rank, (value, image, name, place) in enumerate(
            zip(self.values.tolist(), self.images, self.names, self.positions, strict=True)
        ):
            yield {"rank": rank, "value": value, "image": image, "name": name, "position": place}

    def _picture(self) -> str:
        # Without a model and images there is nothing to draw.
        here = self.scanned
        known = here is not None or self.about.get("weights", "as given") != "as given"
        images = PATHS in self.about or (here is not None and here.images is not None)
        return super()._picture() if known and images else ""


def _picture(opened: OpenedModel, tensor: Tensor) -> Tensor:
    """What a network was given as a picture, where its transform is known."""
    return tensor if opened.preprocess is None else opened.preprocess.denormalise(tensor).clamp(0, 1)

"""Top activations of every unit, as a value: merged, saved and loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconv.data.images import Skipped
from unconv.data.tensor_file import TensorFormat
from unconv.describe import counted, listed, spread
from unconv.errors import UnconvError
from unconv.network.run.name_layers import AnyLayer, name_layer
from unconv.results import Shown, Tabled
from unconv.visualize.scan.unit_places import PATHS, Scanned, UnitPlaces

FORMAT = TensorFormat("unconv top activations", 1, content="top activations", writer="a scan")
# Layers told of in a few lines.
LISTED = 12


@dataclass(frozen=True, eq=False, repr=False)
class TopActivations(Shown, Tabled):
    """For each unit of some layers: where in a collection of images it was strongest.

    Strongest first; ties by image, then by position in the order of rows. Where there were fewer than ``top`` places,
    the rest has the value −∞ and the image −1.

    Attributes:
        values: by layer, ``(unit, top)``, float32.
        images: by layer, ``(unit, top)``: numbers of the images.
        positions: by layer, ``(unit, top, axis)``: places in the feature map, ``(y, x)``.
        count: how many images were looked at; numbers go from 0 to count − 1, skipped ones included.
        names: of the images that occur.
        skipped: what could not be used, and why.
        about: the network and the settings, as plain data.
        scanned: the network and the images themselves, right after a scan; not in files and pickles.

    >>> found = TopActivations.of({"conv": torch.rand(2, 8, 5, 5)}, top=3)
    >>> found.values["conv"].shape, found.positions["conv"].shape, found.count
    (torch.Size([8, 3]), torch.Size([8, 3, 2]), 2)
    """

    values: Mapping[str, Float[Tensor, "unit top"]]
    images: Mapping[str, Int[Tensor, "unit top"]]
    positions: Mapping[str, Int[Tensor, "unit top axis"]]
    count: int
    names: Mapping[int, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    scanned: Scanned | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "scanned": None}

    @classmethod
    def of(cls, feature_maps: Mapping[str, Tensor], top: int = 9, per_image: int = 1) -> TopActivations:
        """The strongest places of feature maps ``(image, unit, *position)`` that are at hand."""
        from unconv.visualize.scan.peaks import Peaks, peaks_in

        count = {len(value) for value in feature_maps.values()}
        if len(count) != 1:
            raise UnconvError(f"top activations: layers of {sorted(count)} images; give the same images to all")
        found = {
            layer: Peaks.none(value.shape[1], top, tuple(value.shape[2:])).joined(
                peaks_in(value, range(len(value)), top, per_image)
            )
            for layer, value in feature_maps.items()
        }
        return cls(*as_tables(found), count=count.pop())

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(self.values)

    @property
    def top(self) -> int:
        """How many places each unit has."""
        return next(iter(self.values.values())).shape[1]

    def merge(self, *others: TopActivations) -> TopActivations:
        """The strongest of all: scans of other images, whose numbers go on where those before end.

        >>> maps = torch.rand(5, 8, 6, 6)
        >>> one, two = TopActivations.of({"conv": maps[:2]}), TopActivations.of({"conv": maps[2:]})
        >>> whole = TopActivations.of({"conv": maps})
        >>> torch.equal(one.merge(two).images["conv"], whole.images["conv"])
        True

        Raises :class:`~unconv.errors.UnconvError` where layers, units or ``top`` differ.
        """
        total = self
        for other in others:
            total = _merged(total, other)
        return total

    def dead(self, layer: str) -> Int[Tensor, " units"]:
        """Units of a layer that no image has brought above zero."""
        return (self.values[layer][:, 0] <= 0).nonzero().flatten()

    def unit(self, layer: AnyLayer, unit: int) -> UnitPlaces:
        """The places of one unit, with what it saw there and what it sends back.

        The layer by its name, or right after a scan as a module of the network.

        >>> found = TopActivations.of({"conv": torch.rand(20, 8, 5, 5)})
        >>> found.unit("conv", 7)
        Unit 7 of conv: its 9 strongest places in 20 images
        ...

        Raises :class:`~unconv.errors.UnconvError` for a layer or unit that is not there, saying which are.
        """
        if isinstance(layer, nn.Module) and self.scanned is not None:
            layer = name_layer(self.scanned.opened.module, layer)
        if not isinstance(layer, str) or layer not in self.values:
            raise UnconvError(f"scan: layer {layer!r} is not in it; it holds {listed(self.layers)}")
        table = self.values[layer]
        if not hasattr(unit, "__index__") or not 0 <= unit < len(table):
            raise UnconvError(f"scan: unit {unit!r} is not in layer {layer!r}, which has units 0 to {len(table) - 1}")
        there = self.images[layer][unit] >= 0
        images = tuple(self.images[layer][unit][there].tolist())
        return UnitPlaces(
            layer=layer,
            unit=int(unit),
            values=table[unit][there],
            images=images,
            names=tuple(self.names.get(image, f"image {image}") for image in images),
            positions=tuple(map(tuple, self.positions[layer][unit][there].tolist())),
            count=self.count,
            about=self.about,
            scanned=self.scanned,
        )

    def _heading(self) -> str:
        return f"The {self.top} strongest places of every unit in {counted(self.count, 'image')}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "model", str(self.about.get("model", "not said"))
        for layer in self.layers[:LISTED]:
            values = self.values[layer][:, 0]
            yield layer, f"{counted(len(values), 'unit')}, {len(self.dead(layer))} dead, peaks {spread(_ends(values))}"
        if len(self.layers) > LISTED:
            yield "more", counted(len(self.layers) - LISTED, "layer")
        yield from (("note", note) for note in self.about.get("notes", ()))
        if self.skipped:
            yield "skipped", listed(map(str, self.skipped), 3)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for layer in self.layers:
            for unit in range(len(self.values[layer])):
                yield from ({"layer": layer, "unit": unit, **row} for row in self.unit(layer, unit)._rows())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a safetensors file, whole or not at all; names and settings are in it as JSON.

        >>> import tempfile
        >>> found = TopActivations.of({"conv": torch.rand(2, 8, 5, 5)}, top=3)
        >>> path = found.save(Path(tempfile.mkdtemp()) / "top.safetensors")
        >>> torch.equal(TopActivations.load(path).values["conv"], found.values["conv"])
        True
        """
        tensors = {}
        for kind in ("values", "images", "positions"):
            for layer, tensor in getattr(self, kind).items():
                tensors[f"{kind}/{layer}"] = tensor
        head = {
            "count": self.count,
            "names": {str(image): name for image, name in sorted(self.names.items())},
            "skipped": [[item.name, item.reason, _text(item.path)] for item in self.skipped],
            "about": dict(self.about),
            "layers": list(self.layers),
        }
        return FORMAT.write(Path(path), tensors, head)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TopActivations:
        """Read what :meth:`save` has written; nothing in a file is run.

        Raises :class:`~unconv.errors.UnconvError` for files that are something else.
        """
        name = Path(path)
        where = f"top activations {str(name)!r}"
        file = FORMAT.read(name, where)
        head = file.head
        with FORMAT.assembling(where):
            values, places, positions = (
                {layer: file.tensors[f"{kind}/{layer}"] for layer in head["layers"]} for kind in _KINDS
            )
            names = {int(image): str(text) for image, text in head["names"].items()}
            skipped = tuple(map(_skipped, head["skipped"]))
            return cls(values, places, positions, int(head["count"]), names, skipped, head["about"])


def _ends(values: Tensor) -> list[float]:
    """The least and the largest of those that are there."""
    there = values[values.isfinite()]
    return [float(there.min()), float(there.max())] if len(there) else []


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _skipped(entry: str | list[Any]) -> Skipped:
    """What :meth:`TopActivations.save` writes of a skipped picture; before 0.2 it was one text."""
    if isinstance(entry, str):
        name, _, reason = entry.partition(": ")
        return Skipped(name, reason)
    name, reason, path = entry
    return Skipped(str(name), str(reason), None if path is None else Path(path))


_KINDS = ("values", "images", "positions")


def as_tables(found: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Values, images and positions of the peaks of some layers."""
    return (
        {layer: peaks.values for layer, peaks in found.items()},
        {layer: peaks.images for layer, peaks in found.items()},
        {layer: peaks.positions for layer, peaks in found.items()},
    )


def _merged(one: TopActivations, other: TopActivations) -> TopActivations:
    from unconv.visualize.scan.peaks import strongest

    if one.layers != other.layers or one.top != other.top:
        raise UnconvError(
            f"merge: scans of {listed(one.layers, 3)}, top {one.top}, and of {listed(other.layers, 3)}, "
            f"top {other.top}; merge scans of the same layers with the same top"
        )
    values, images, positions = {}, {}, {}
    for layer in one.layers:
        units, others = len(one.values[layer]), len(other.values[layer])
        if units != others or one.positions[layer].shape != other.positions[layer].shape:
            raise UnconvError(f"merge: layer {layer!r} has {units} units in one scan and {others} in the other")
        later = torch.where(other.images[layer] >= 0, other.images[layer] + one.count, -1)
        values[layer], images[layer], positions[layer] = strongest(
            torch.cat([one.values[layer], other.values[layer]], 1),
            torch.cat([one.images[layer], later], 1),
            torch.cat([one.positions[layer], other.positions[layer]], 1),
            one.top,
        )
    names = {**one.names, **{image + one.count: name for image, name in other.names.items()}}
    kept = {image for table in images.values() for image in table.flatten().tolist() if image >= 0}
    return replace(
        one,
        values=values,
        images=images,
        positions=positions,
        count=one.count + other.count,
        names={image: name for image, name in names.items() if image in kept},
        skipped=(*one.skipped, *other.skipped),
        about=_paths(one, other),
        scanned=_both(one.scanned, other.scanned),
    )


def _both(one: Scanned | None, other: Scanned | None) -> Scanned | None:
    """The network that both were scanned with; images of two scans are read again by their paths alone."""
    same = one is not None and other is not None and one.opened.module is other.opened.module
    return Scanned(one.opened) if one is not None and same else None


def _paths(one: TopActivations, other: TopActivations) -> dict[str, Any]:
    """What is known of both, with the paths of all their images where those of both are known."""
    about = {name: value for name, value in one.about.items() if name != PATHS}
    if PATHS not in one.about or PATHS not in other.about:
        return about
    return {**about, PATHS: [*one.about[PATHS], *other.about[PATHS]]}

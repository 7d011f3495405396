"""The state of a scan: the strongest places in all batches so far, and how another batch joins it."""

from __future__ import annotations

from dataclasses import dataclass, field

from unconv.data.images import Skipped
from unconv.errors import UnconvError
from unconv.visualize.scan.peaks import Found, Peaks


@dataclass(frozen=True, eq=False)
class ScanState:
    """What a scan has found so far."""

    peaks: dict[str, Peaks] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    count: int = 0
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, eq=False)
class Part:
    """What one batch has given."""

    found: dict[str, tuple[Found, tuple[int, ...], int]]
    names: dict[int, str]
    count: int
    skipped: tuple[Skipped, ...]


def join(state: ScanState, part: Part, top: int) -> ScanState:
    """The state after another batch; names are kept of images that occur."""
    peaks = dict(state.peaks)
    for layer, (found, size, units) in part.found.items():
        before = peaks.get(layer)
        if before is None:
            before = Peaks.none(units, top, size)
        elif before.size != size:
            raise UnconvError(
                f"scan: layer {layer!r} has feature maps of {before.size} for the images before and {size} for those "
                "now; bring the images to one size"
            )
        peaks[layer] = before.joined(found)
    names = {**state.names, **part.names}
    occurring: set[int] = set()
    if part.names:
        for table in peaks.values():
            occurring.update(table.images.flatten().tolist())
        names = {image: name for image, name in names.items() if image in occurring}
    return ScanState(peaks, names, state.count + part.count, (*state.skipped, *part.skipped))

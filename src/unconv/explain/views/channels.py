"""Channels: one filter reads all the maps of its group and makes one map; several filters make several maps."""

from __future__ import annotations

from dataclasses import dataclass

from unconv.errors import GeometryError
from unconv.explain.boards import Board, Position, beams
from unconv.explain.captions import counted, position_text, relation_lines, settings, size_text
from unconv.explain.scene import Frame, Grid, Mark, Scene, Stack
from unconv.explain.views import parts
from unconv.explain.views.gather import window_of
from unconv.operators.geometry.base import Geometry

MAX_CHANNELS = 8
"""Maps, in or out, that a picture shows."""


@dataclass(frozen=True)
class Channels:
    """Maps that come in and go out, and the groups that they are divided into.

    >>> Channels(4, 2, 2).inputs_of(1)
    (2, 3)
    """

    inputs: int = 1
    outputs: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        for name, value in (("in_channels", self.inputs), ("out_channels", self.outputs), ("groups", self.groups)):
            if not isinstance(value, int) or value < 1:
                raise GeometryError(f"draw: {name} {value!r} must be a whole number of at least 1")
        if self.inputs % self.groups or self.outputs % self.groups:
            raise GeometryError(
                f"draw: groups {self.groups} must divide in_channels {self.inputs} and out_channels {self.outputs}"
            )

    @property
    def single(self) -> bool:
        """Whether there is one map on either side."""
        return self.inputs == self.outputs == 1

    def inputs_of(self, output: int) -> tuple[int, ...]:
        """Input channels that one output channel reads: those of its group."""
        per_group = self.inputs // self.groups
        first = output * self.groups // self.outputs * per_group
        return tuple(range(first, first + per_group))


def check_channels(geometry: Geometry, channels: Channels) -> None:
    """Refuse what a picture of channels cannot show."""
    if not geometry.kind.weighted and not channels.inputs == channels.outputs == channels.groups:
        raise GeometryError(
            f"draw: {geometry.operation} works on each channel alone; in_channels {channels.inputs}, out_channels "
            f"{channels.outputs} and groups {channels.groups} must be equal"
        )
    if geometry.dimensions == 3:
        raise parts.DrawingLimitError("draw: channels are drawn for 1 and 2 axes; draw a volume with one channel")
    if max(channels.inputs, channels.outputs) > MAX_CHANNELS:
        raise parts.DrawingLimitError(
            f"draw: {channels.inputs} → {channels.outputs} channels are more than the {MAX_CHANNELS} maps that a "
            "picture shows; draw fewer, every filter works like the first"
        )


def channels_scene(geometry: Geometry, channels: Channels) -> Scene:
    """The gather view with stacks of maps: each output channel in turn collects with its own filter."""
    check_channels(geometry, channels)
    low, high = (
        parts.window_span(geometry) if not geometry.transposed else ((0,) * geometry.dimensions, geometry.input_size)
    )
    sources = [Board(n, low, high) for n in range(channels.inputs)]
    whole = (0,) * geometry.dimensions
    targets = [Board(channels.inputs + n, whole, geometry.output_size) for n in range(channels.outputs)]
    parts.check_cells(geometry, None, *sources, *targets)
    first = channels.inputs + channels.outputs
    per_filter = channels.inputs // channels.groups
    filters = [
        [parts.kernel_board(geometry, first + n * per_filter + m) for m in range(per_filter)]
        for n in range(channels.outputs if geometry.kind.weighted else 0)
    ]
    grids = _grids(geometry, sources, targets, filters)
    steps, note = parts.thinned((n, *o) for n in range(channels.outputs) for o in targets[0].positions())
    frames = tuple(_frame(geometry, channels, sources, targets, filters, step) for step in steps)
    return Scene(
        title=geometry.kind.title,
        subtitle=_subtitle(geometry, channels),
        grids=grids,
        rows=_arrangement(geometry, channels, sources, targets, filters),
        frames=frames,
        captions=(*relation_lines(geometry), _weights(geometry, channels)) if filters else relation_lines(geometry),
        legend=parts.legend(geometry, grids),
        view="gather",
        note=note,
        seconds=parts.seconds_per_frame(len(frames), None),
    )


def _grids(
    geometry: Geometry, sources: list[Board], targets: list[Board], filters: list[list[Board]]
) -> tuple[Grid, ...]:
    roles = parts.Roles(geometry)
    grids: list[Grid] = []
    for board in sources:
        grids += board.grids(roles.input)
    for n, board in enumerate(targets):
        grids += board.grids(roles.output, hue=n)
    for n, planes in enumerate(filters):
        for board in planes:
            grids += parts.kernel_grids(board, None, hue=n)
    return tuple(grids)


def _subtitle(geometry: Geometry, channels: Channels) -> str:
    groups = f", groups {channels.groups}" if channels.groups > 1 else ""
    return f"{settings(geometry)}{groups}, {channels.inputs} → {counted(channels.outputs, 'channel')}"


def _weights(geometry: Geometry, channels: Channels) -> str:
    kernel = size_text((*geometry.kernel_size, channels.inputs // channels.groups))
    count = channels.outputs
    weights = count * (channels.inputs // channels.groups)
    for size in geometry.kernel_size:
        weights *= size
    return f"{counted(count, 'filter')} of {kernel}: {weights:,} weights; each filter makes one map."


def _arrangement(
    geometry: Geometry, channels: Channels, sources: list[Board], targets: list[Board], filters: list[list[Board]]
) -> tuple[tuple[Stack, ...], ...]:
    padded = parts.input_label(geometry, padded=not geometry.transposed).split(",")
    detail = ",".join([f"{padded[0]} × {channels.inputs}", *padded[1:]])
    groups: list[tuple[Stack, ...]] = [(Stack(tuple(board.first for board in sources), "Input", detail),)]
    if filters:
        sign = "∗ᵀ" if geometry.transposed else "∗"
        depth = channels.inputs // channels.groups
        groups.append(
            tuple(
                Stack(
                    tuple(board.first for board in planes),
                    f"Filter {n + 1}" if len(filters) > 1 else "Filter",
                    size_text((*geometry.kernel_size, depth)),
                    "" if n else sign,
                )
                for n, planes in enumerate(filters)
            )
        )
    output = Stack(
        tuple(board.first for board in targets),
        "Output",
        f"{size_text(geometry.output_size)} × {channels.outputs}",
        "→",
    )
    groups.append((output,))
    return parts.arranged(geometry, groups)


def _frame(
    geometry: Geometry,
    channels: Channels,
    sources: list[Board],
    targets: list[Board],
    filters: list[list[Board]],
    step: Position,
) -> Frame:
    channel, position = step[0], step[1:]
    cells = [cell for _, cell in window_of(geometry, position)]
    read = channels.inputs_of(channel)
    marks: list[Mark] = []
    for n in reversed(read):
        marks += [
            sources[n].mark(cell, "window" if parts.inside(cell, geometry.input_size) else "blank") for cell in cells
        ]
    for board in reversed(filters[channel]) if filters else ():
        marks += [board.mark(tap, "window") for tap in board.positions()]
    marks.append(targets[channel].mark(position, "target"))
    maps = counted(len(read), "map")
    filtered = f"Filter {channel + 1}: " if len(filters) > 1 else ""
    return Frame(
        position=position,
        marks=tuple(marks),
        beams=() if filters else beams(sources[read[0]], cells, targets[channel], [position]),
        line=f"{filtered}output {position_text(position)} collects from {maps}",
        channel=channel,
    )

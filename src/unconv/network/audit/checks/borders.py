"""Border rules: cells that no window reads, windows and taps that meet padding only, SAME."""

from __future__ import annotations

from collections.abc import Iterator

from unconv.network.audit.checks.padding_before import padded_walks, padding_ends
from unconv.network.audit.finding import Finding, Subject, argument, by_size
from unconv.network.trace.graph import Layer
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.sizes import effective_kernel_size
from unconv.operators.geometry.walk import Walk

Walks = tuple[Walk, ...]

_Told = list[tuple[int, str, str]]
"""Axis, message with a place for its name, and fix."""


def check_borders(subject: Subject) -> Iterator[Finding]:
    """``dropped-border``, ``skipped-cells``, ``only-padding``, ``idle-taps`` and ``same-differs``."""
    graph = subject.graph
    ends = padding_ends(graph)
    moved = []
    for layer in graph:
        geometry = layer.geometry
        if geometry is None or geometry.transposed:
            continue
        yield from _unread(layer, geometry, padded_walks(graph, ends, layer))
        # Cells that repeat others carry something of the input, and SAME never pads by these.
        walks = padded_walks(graph, ends, layer, constant=True)
        yield from _padding_only(layer, geometry, walks)
        if layer.operator in ("conv", "max_pool") and _same_differs(walks):
            moved.append((layer, walks))
    if moved:
        yield _moved(*moved[0], len(moved) - 1)


def _moved(layer: Layer, walks: Walks, more: int) -> Finding:
    front = argument(tuple(_same(walk)[0] for walk in walks))
    least = ', value=float("-inf")' if layer.operator == "max_pool" else ""
    others = f", and {more} more" if more else ""
    sides = [side for walk in reversed(walks) for side in _same(walk)]
    assert layer.geometry is not None
    before = [pad for pad, _ in layer.geometry.padding] != [walk.pad_before for walk in walks]
    instead = "in place of the padding before the layer" if before else "before the layer"
    fronts, backs = zip(*(_pads(walk, layer.geometry, axis) for axis, walk in enumerate(walks)), strict=True)
    pads = (
        f"{argument(fronts)} on both sides"
        if fronts == backs
        else f"{argument(fronts)} in front and {argument(backs)} behind"
    )
    return Finding(
        "same-differs",
        layer.name,
        f"pads {pads}, where SAME pads "
        f"{front} in front{others}: weights that come from TensorFlow or Keras see the input moved",
        f"F.pad(x, {sides}{least}) {instead} and padding=0 in it, if weights come from there",
    )


def _unread(layer: Layer, geometry: Geometry, walks: Walks) -> Iterator[Finding]:
    if any(walk.stride > span for walk, span in zip(walks, geometry.effective_kernel_size, strict=True)):
        read = 1.0
        for walk in walks:
            read *= sum(bool(walk.touching(cell)) for cell in range(walk.input_size)) / walk.input_size
        yield Finding(
            "skipped-cells",
            layer.name,
            f"kernel {argument(geometry.kernel_size)} with stride {argument(geometry.stride)} reads {100 * read:.0f}% "
            f"of its input {by_size(tuple(walk.input_size for walk in walks))}",
            f"nn.AvgPool{geometry.dimensions}d({argument(geometry.stride)}) before the layer and stride=1 in it, "
            "as ResNet-D does",
        )
        return
    dropped = [_dropped(walk) for walk in walks]
    more = [walk.stride - count if count else 0 for walk, count in zip(walks, dropped, strict=True)]
    sides = ", ".join(f"0, {count}" for count in reversed(more))
    fix = "ceil_mode=True in the layer" if layer.operator.endswith("pool") else f"F.pad(x, ({sides})) before the layer"
    told: _Told = []
    for axis, (walk, count) in enumerate(zip(walks, dropped, strict=True)):
        if count:
            size = walk.input_size
            holes = f", dilation {walk.dilation}" if walk.dilation > 1 else ""
            what = (
                f"{'is' if count == 1 else 'are'} read by no window (kernel {walk.kernel_size}, stride {walk.stride}, "
                f"padding {walk.pad_before}{holes}); sizes {size - count} and {size - count + walk.stride} fit"
            )
            told.append((axis, f"the last {count} of {size} cells{{axis}} {what}", fix))
    yield from _by_axis("dropped-border", layer, geometry, told)


def _dropped(walk: Walk) -> int:
    """Cells at the end that no window reads."""
    count = 0
    while count < walk.input_size and not walk.touching(walk.input_size - 1 - count):
        count += 1
    return count


def _padding_only(layer: Layer, geometry: Geometry, walks: Walks) -> Iterator[Finding]:
    told: _Told = []
    for axis, walk in enumerate(walks):
        blind = [o for o in range(walk.output_size) if not walk.touched(o)]
        if blind:
            what = f"see only padding (kernel {walk.kernel_size}, dilation {walk.dilation}, "
            pads, fix = _pads_of(walk, geometry, axis)
            told.append((axis, f"{len(blind)} of {walk.output_size} outputs{{axis}} {what}{pads})", fix))
    yield from _by_axis("only-padding", layer, geometry, told)
    told = []
    for axis, walk in enumerate(walks):
        idle = [tap for tap in range(walk.kernel_size) if not walk.windows_with(tap)]
        if idle:
            what = f"only ever meet padding: dilation {walk.dilation} on an input of {walk.input_size}"
            fix = f"a dilation below {walk.input_size}" if walk.dilation > 1 else "a smaller kernel"
            told.append((axis, f"{len(idle)} of {walk.kernel_size} taps{{axis}} {what}", f"{fix}, or a larger input"))
    yield from _by_axis("idle-taps", layer, geometry, told)


def _pads(walk: Walk, geometry: Geometry, axis: int) -> tuple[int, int]:
    """The cells of padding in front and behind, those before the layer with its own."""
    own = geometry.padding[axis]
    return walk.pad_before, geometry.input_size[axis] + sum(own) - walk.input_size - walk.pad_before


def _pads_of(walk: Walk, geometry: Geometry, axis: int) -> tuple[str, str]:
    """The padding that a window meets along an axis, its own and that before the layer, and how much it may be."""
    (front, back), own = _pads(walk, geometry, axis), geometry.padding[axis]
    before = front - own[0], back - own[1]
    largest = walk.dilation * (walk.kernel_size - 1)
    told = f"padding {front}" if front == back else f"padding {front} in front and {back} behind"
    if any(before):
        outside = str(before[0]) if before[0] == before[1] else f"{before[0]} and {before[1]}"
        return f"{told}, {outside} of it before the layer", f"at most {largest} cells of padding at each end"
    keeps = f"; padding={largest // 2} keeps the size" if walk.stride == 1 and largest % 2 == 0 else ""
    return told, f"padding={largest} at most{keeps}"


def _by_axis(rule: str, layer: Layer, geometry: Geometry, told: _Told) -> Iterator[Finding]:
    """One finding for all axes of which the same is told."""
    axes: dict[tuple[str, str], list[int]] = {}
    for axis, message, fix in told:
        axes.setdefault((message, fix), []).append(axis)
    for (message, fix), where in axes.items():
        every = len(where) == geometry.dimensions > 1
        some = geometry.axis_name(where[0]) if len(where) == 1 else f" on axes {' and '.join(map(str, where))}"
        name = " on every axis" if every else some
        yield Finding(rule, layer.name, message.format(axis=name), fix)


def _same(walk: Walk) -> tuple[int, int]:
    """What SAME of TensorFlow puts before and after."""
    last = (-(-walk.input_size // walk.stride) - 1) * walk.stride
    total = max(last + effective_kernel_size(walk.kernel_size, walk.dilation) - walk.input_size, 0)
    return total // 2, total - total // 2


def _same_differs(walks: Walks) -> bool:
    """Whether a layer comes to the size of SAME, from padding that SAME would share out otherwise."""
    if any(walk.output_size != -(-walk.input_size // walk.stride) for walk in walks):
        return False
    return any(walk.pad_before > 0 and _same(walk)[0] != walk.pad_before for walk in walks)

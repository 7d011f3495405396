"""Upsampled sizes: outputs that miss the input's size or the multiple of a stride by some cells, and SAME."""

from __future__ import annotations

from collections.abc import Iterator

from unconv.network.audit.checks.meeting import UPSAMPLING, maker_of, sized_by
from unconv.network.audit.finding import Finding, Subject, argument, by_size, module_of, spelled
from unconv.network.trace.graph import Graph, Layer
from unconv.operators.geometry.conv import ConvTransposeGeometry

Shape = tuple[int, ...]


def check_upsampled_sizes(subject: Subject) -> Iterator[Finding]:
    """``misses-input``, ``misses-multiple`` and ``same-differs`` of transposed convolutions."""
    missed = list(_misses_input(subject))
    yield from missed
    told = {finding.layer for finding in missed}
    moved = []
    for layer in subject.graph:
        geometry = layer.geometry
        if not isinstance(geometry, ConvTransposeGeometry):
            continue
        if layer.name not in told and _misses_multiple(subject.graph, layer, geometry):
            yield _multiple(layer, geometry)
        if _same_crops(geometry) not in (None, tuple(before for before, _ in geometry.padding)):
            moved.append((layer, geometry))
    if moved:
        yield _moved(*moved[0], len(moved) - 1)


def _misses_input(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    wanted = graph.input_sizes[0][1:]
    for index in graph.returned or ():
        shape = graph.values[index].shape[2:]
        near = len(shape) == len(wanted) and all(abs(a - b) <= 1 for a, b in zip(shape, wanted, strict=True))
        name = sized_by(graph, maker_of(graph, index))
        if not near or shape == wanted or name not in graph or graph[name].operator not in UPSAMPLING:
            continue
        layer = graph[name]
        if layer.output_shape[1:] != shape:
            continue
        yield Finding(
            "misses-input",
            name,
            f"{by_size(wanted)} in, {by_size(shape)} out: the output misses the input's size by a cell",
            _way_to(subject, layer, wanted),
        )


def _way_to(subject: Subject, layer: Layer, wanted: Shape) -> str:
    """What to write so that a layer comes to a size."""
    geometry = layer.geometry
    if isinstance(geometry, ConvTransposeGeometry):
        kept = tuple(
            already + size - now
            for already, size, now in zip(geometry.output_padding, wanted, geometry.output_size, strict=True)
        )
        if all(0 <= more < step for more, step in zip(kept, geometry.stride, strict=True)):
            return f"output_padding={argument(kept)} in the layer"
        pads = _pads(geometry, wanted)
        if pads is not None:
            return f"padding={argument(pads[0])}, output_padding={argument(pads[1])} in the layer"
    name = spelled(subject.model, module_of(layer.name), "self")
    return f"F.interpolate({name}(x), size={wanted}), or an input size that the strides divide"


def _pads(geometry: ConvTransposeGeometry, wanted: Shape) -> tuple[Shape, Shape] | None:
    """The least paddings and output paddings with which a transposed convolution comes to a size."""
    rows = zip(
        geometry.input_size, geometry.effective_kernel_size, geometry.stride, geometry.dilation, wanted, strict=True
    )
    pairs = []
    for size, span, step, holes, end in rows:
        # 2p − a = s(i − 1) + d(k − 1) + 1 − o, by relation 14.
        surplus = step * (size - 1) + span - end
        padding = max(0, -(-surplus // 2))
        more = 2 * padding - surplus
        if more >= max(step, holes):
            return None
        pairs.append((padding, more))
    return tuple(padding for padding, _ in pairs), tuple(more for _, more in pairs)


def _misses_multiple(graph: Graph, layer: Layer, geometry: ConvTransposeGeometry) -> bool:
    """Whether an output's size is no multiple of the stride, and that of no other tensor before it."""
    if all(size % step == 0 for size, step in zip(geometry.output_size, geometry.stride, strict=True)):
        return False
    size = layer.output_shape[1:]
    before = graph.layers[: graph.layers.index(layer)]
    if any(size == one[1:] for one in graph.input_sizes) or any(size == one.output_shape[1:] for one in before):
        return False
    # What is cropped at once has its size from there.
    readers = [one for one in graph.layers if layer.name in one.inputs]
    return all(layer.output_shape in one.input_shapes for one in readers)


def _multiple(layer: Layer, geometry: ConvTransposeGeometry) -> Finding:
    wanted = tuple(step * size for step, size in zip(geometry.stride, geometry.input_size, strict=True))
    rows = dict.fromkeys(
        f"{step}n {'+' if now > whole else '-'} {abs(now - whole)}" if now != whole else f"{step}n"
        for step, now, whole in zip(geometry.stride, geometry.output_size, wanted, strict=True)
    )
    pads = _pads(geometry, wanted)
    gives = " × ".join(dict.fromkeys(f"{step}n" for step in geometry.stride))
    fix = "F.interpolate(y, size=...) behind the layer"
    if pads is not None:
        fix = f"padding={argument(pads[0])}, output_padding={argument(pads[1])} gives {gives}"
    return Finding(
        "misses-multiple", layer.name, f"upsamples by {argument(geometry.stride)} and comes to {' × '.join(rows)}", fix
    )


def _same_crops(geometry: ConvTransposeGeometry) -> Shape | None:
    """What SAME of TensorFlow crops in front; None where a layer does not come to its size.

    SAME of a transposed layer is the gradient of the SAME of a strided one: of max(k − s, 0) cells the smaller half.
    """
    rows = list(zip(geometry.effective_kernel_size, geometry.stride, strict=True))
    whole = tuple(step * size for step, size in zip(geometry.stride, geometry.input_size, strict=True))
    if geometry.output_size != whole or max(geometry.stride) == 1:
        return None
    return tuple(max(span - step, 0) // 2 for span, step in rows)


def _moved(layer: Layer, geometry: ConvTransposeGeometry, more: int) -> Finding:
    front = _same_crops(geometry) or ()
    rows = zip(geometry.effective_kernel_size, geometry.stride, front, strict=True)
    ends = [(crop, max(span - step, 0) - crop) for span, step, crop in rows]
    cells = ", ".join(f"{before}:{-after if after else ''}" for before, after in ends)
    others = f", and {more} more" if more else ""
    return Finding(
        "same-differs",
        layer.name,
        f"crops {argument(tuple(before for before, _ in geometry.padding))} in front, where SAME of a transposed layer "
        f"in TensorFlow and Keras crops {argument(front)}{others}: weights that come from there give an output moved",
        f"padding=0, output_padding=0 in the layer and y[..., {cells}] behind it, if weights come from there",
    )

"""Meeting rules: whether sizes meet where tensors are joined, for this input and for others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from unconv.errors import UnconvError
from unconv.network.audit.finding import Finding, Subject, argument, by_size, module_of, spelled
from unconv.network.find_working_sizes import working_sizes
from unconv.network.near_sizes import FARTHEST
from unconv.network.trace.build_graph import build_graph
from unconv.network.trace.graph import Graph
from unconv.network.trace.operation import JOINS
from unconv.network.trace.record import Recorder
from unconv.network.trace.trace import attempt
from unconv.network.working_sizes import WorkingSizes
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.sizes import per_axis

UPSAMPLING = frozenset({"conv_transpose", "interpolate", "pixel_shuffle", "max_unpool", "scatter_add"})

# The search for sizes that work ends after so long.
SECONDS = 4.0

Sizes = tuple[tuple[int, ...], ...]
Dtype = torch.dtype | Sequence[torch.dtype] | None


@dataclass(frozen=True, eq=False)
class Mismatch:
    """Two tensors that were to be joined, and are not of one size.

    Attributes:
        model: in which they were.
        graph: of it, up to there.
        operator: that was to join them.
        where: the module in which it happened.
        shapes: of the two, batch included.
        layers: that made them; "the input" for that.
    """

    model: nn.Module
    graph: Graph
    operator: str
    where: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    layers: tuple[str, str]


def find_mismatch(recorder: Recorder, sizes: Sizes) -> Mismatch | None:
    """What did not meet, if that is why a pass failed."""
    failed = recorder.failed
    if failed is None or failed.operator.rstrip("_") not in JOINS:
        return None
    unequal = [n for n, shape in enumerate(failed.shapes) if _differ(shape, failed.shapes[0])]
    if not unequal or None in (failed.values[0], failed.values[unequal[0]]):
        return None
    graph = build_graph(recorder, sizes)
    one, two = failed.values[0], failed.values[unequal[0]]
    assert one is not None
    assert two is not None
    return Mismatch(
        recorder.model,
        graph,
        failed.operator.rstrip("_"),
        recorder.stack[-1].path if recorder.stack else "",
        (failed.shapes[0], failed.shapes[unequal[0]]),
        (maker_of(graph, one), maker_of(graph, two)),
    )


def report_mismatch(model: nn.Module, found: Mismatch, dtype: Dtype) -> Finding:
    """``sizes-do-not-meet``: both layers, the sizes for which they do, and what mends it."""
    first, second = upsampled_first(found)
    works = tell_working_sizes(model, found.graph, dtype)
    known = f"; it works for {works}" if works else ""
    return Finding(
        "sizes-do-not-meet",
        first[0],
        f"{first[0]} comes to {by_size(first[1])} and {second[0]} to {by_size(second[1])}, but "
        f"{found.where or 'the model'} joins them ({found.operator}){known}",
        way_out(found, first, second),
    )


def check_other_sizes(subject: Subject, dtype: Dtype) -> Iterator[Finding]:
    """``only-some-sizes``: an input one larger is tried."""
    graph = subject.graph
    if not any(layer.operator in UPSAMPLING for layer in graph) or not any(one.operator in JOINS for one in graph):
        return
    sizes = graph.input_sizes
    larger = tuple((size[0], *(side + 1 for side in size[1:])) for size in sizes)
    recorder, _, error = attempt(subject.model, larger, dtype=dtype)
    found = find_mismatch(recorder, larger) if error is not None else None
    if found is None:
        return
    first, second = upsampled_first(found)
    works = working_sizes(subject.model, sizes, dtype, axes=graph.axes, seconds=SECONDS, every=False)
    known = all(axis.starts for axis in works.axes)
    told = f"the model works for {_multiples(works, 'sizes')}" if known else "no multiple was found that works"
    yield Finding(
        "only-some-sizes",
        first[0],
        f"meets {second[0]} for an input of {by_size(sizes[0][1:])}, but for {by_size(larger[0][1:])} it comes to "
        f"{by_size(first[1])} against {by_size(second[1])}; {told}",
        way_out(found, first, second),
    )


def tell_working_sizes(model: nn.Module, graph: Graph, dtype: Dtype) -> str:
    """The input sizes that a model takes, and the nearest below and above, in words; "" where none was found."""
    try:
        works = working_sizes(model, graph.input_sizes, dtype, axes=graph.axes, seconds=SECONDS)
    except UnconvError:
        return ""
    near = [_nearest(works, graph, step) for step in (-1, 1)]
    names = " and ".join(dict.fromkeys(by_size(sides[0]) for sides in near if sides))
    return _multiples(works, "input sizes") + (f", as {names}" if names else "")


def _multiples(works: WorkingSizes, noun: str) -> str:
    """Multiples along every axis, by one number where they are alike."""
    rows = {(axis.multiple, *(start % axis.multiple for start in axis.starts if axis.multiple)) for axis in works.axes}
    plain = len(rows) == 1 and next(iter(rows))[1:] == (0,)
    return f"{noun} that are multiples of {works.axes[0].multiple}" if plain else works.told


def _nearest(works: WorkingSizes, graph: Graph, step: int) -> Sizes | None:
    """Working sizes along all places, down or up from a graph's; None where there are none in reach."""
    rows = [list(axes.sizes(size)) for axes, size in zip(graph.axes, graph.input_sizes, strict=True)]
    for axis in works.axes:
        given, place = axis.places[0]
        side = rows[given][place]
        reach = range(side, side + step * (2 * max(axis.multiple, FARTHEST) + 1), step)
        size = next((one for one in reach if axis.takes(one)), 0)
        for given, place in axis.places:
            rows[given][place] = size
    return tuple(map(tuple, rows)) if all(side for row in rows for side in row) else None


def way_out(found: Mismatch, first: tuple[str, tuple[int, ...]], second: tuple[str, tuple[int, ...]]) -> str:
    """What to write so that the first of two layers comes to the size of the second."""
    graph = found.graph
    maker = sized_by(graph, first[0])
    known = maker in graph and len(first[1]) == len(second[1])
    if not known or graph[maker].operator not in UPSAMPLING:
        padded = padded_to(graph, first[0], first[1], second[1]) or padded_to(graph, second[0], second[1], first[1])
        padded = padded or _projected(found)
        resized = f"F.interpolate(x, size={second[1]}) of {first[0]}, or a crop of the larger"
        return f"{padded}, or {resized}" if padded else resized
    layer = graph[maker]
    geometry = layer.geometry
    if layer.operator == "max_unpool" and layer.module_type.startswith("MaxUnpool"):
        unpool: Any = found.model.get_submodule(module_of(maker))
        strides = per_axis("max_unpool", "stride", unpool.stride, len(first[1]), 1)
        if all(abs(a - b) < step for a, b, step in zip(first[1], second[1], strides, strict=True)):
            return f"{spelled(found.model, module_of(maker), 'self')}(x, indices, output_size=skip.shape[2:])"
    if not isinstance(geometry, ConvTransposeGeometry):
        return "F.interpolate(x, size=skip.shape[2:])"
    rows = zip(second[1], first[1], geometry.output_padding, strict=True)
    extra = tuple(wanted - now + already for wanted, now, already in rows)
    name = spelled(found.model, module_of(maker), "self")
    if all(0 <= more < step for more, step in zip(extra, geometry.stride, strict=True)):
        if second[0] not in graph:
            return f"output_padding={argument(extra)} in layer {maker}, which then comes to the size of {second[0]}"
        return f"{name}(x, output_size=skip.shape[2:]), here output_padding={argument(extra)}"
    resized = f"F.interpolate({name}(x), size=skip.shape[2:])"
    return f"{resized}, or a crop: no output_padding of it comes to {by_size(second[1])}"


def _projected(found: Mismatch) -> str:
    """The strided convolution that brings one of two summands to the size and channels of the other."""
    large, small = sorted(found.shapes, key=lambda shape: prod(shape[2:]), reverse=True)
    name = found.layers[found.shapes.index(large)]
    strides = {-(-a // b) if b else 0 for a, b in zip(large[2:], small[2:], strict=True)}
    stride = next(iter(strides))
    if found.operator != "add" or len(strides) != 1 or stride < 2 or not 3 <= len(large) <= 5:
        return ""
    if any(-(-a // stride) != b for a, b in zip(large[2:], small[2:], strict=True)):
        return ""
    return f"nn.Conv{len(large) - 2}d({large[1]}, {small[1]}, 1, stride={stride}) of {name}"


def padded_to(graph: Graph, name: str, now: Sequence[int], wanted: Sequence[int]) -> str:
    """The padding by which the convolution that sized a layer's output comes to a size; "" where there is none.

    >>> from unconv.network.trace.trace import trace
    >>> padded_to(trace(nn.Sequential(nn.Conv2d(1, 1, 5), nn.ReLU()), (1, 9, 9)), "1", (5, 5), (9, 9))
    'padding=2 in layer 0'
    """
    maker = sized_by(graph, name)
    geometry = graph[maker].geometry if maker in graph else None
    if not isinstance(geometry, ConvGeometry) or set(geometry.stride) != {1} or len(now) != len(wanted):
        return ""
    missing = [b - a for a, b in zip(now, wanted, strict=True)]
    if any(more < 0 or more % 2 for more in missing) or any(before != after for before, after in geometry.padding):
        return ""
    pads = tuple(before + more // 2 for (before, _), more in zip(geometry.padding, missing, strict=True))
    return f"padding={argument(pads)} in layer {maker}"


def sized_by(graph: Graph, name: str) -> str:
    """The layer that gave a layer's output its size: itself, or the last before it that changed the size."""
    while name in graph:
        layer = graph[name]
        size = layer.output_shape[1:]
        alike = [one for one in layer.inputs if one in graph and graph[one].output_shape[1:] == size]
        if layer.operator in UPSAMPLING or not alike:
            break
        name = alike[0]
    return name


def upsampled_first(found: Mismatch) -> tuple[tuple[str, tuple[int, ...]], tuple[str, tuple[int, ...]]]:
    """The two layers with their sizes, one that was upsampled before one that was not."""
    pairs = [(name, shape[2:] or shape) for name, shape in zip(found.layers, found.shapes, strict=True)]
    makers = [sized_by(found.graph, name) for name in found.layers]
    upsampled = [name in found.graph and found.graph[name].operator in UPSAMPLING for name in makers]
    if upsampled == [False, True]:
        pairs.reverse()
    return pairs[0], pairs[1]


def _differ(one: tuple[int, ...], two: tuple[int, ...]) -> bool:
    """Whether two shapes do not go together, channels aside."""
    if len(one) != len(two):
        return False
    return any(a != b and 1 not in (a, b) for a, b in zip(one[2:], two[2:], strict=True))


def maker_of(graph: Graph, index: int | None) -> str:
    """The layer that made a tensor, by the index of that, through views and slices; the input where none did."""
    if index is None:
        return "a tensor that does not depend on the input"
    made = {graph.value_of(layer.name).index: layer.name for layer in graph}
    while index not in made:
        parents = [parent for parent, _ in graph.values[index].parents]
        if not parents:
            return graph.input_name(index)
        index = max(parents)
    return made[index]

"""Answers for losses: an output and a target whose shapes do not go together."""

from __future__ import annotations

from collections.abc import Sequence

from unconv.network.audit.checks.meeting import UPSAMPLING, maker_of, sized_by
from unconv.network.audit.finding import argument, by_size
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.shapes.size_story import size_stories
from unconv.network.trace.failed import Failed
from unconv.network.trace.graph import Graph
from unconv.network.trace.operation import LOSSES
from unconv.operators.geometry.conv import ConvTransposeGeometry

Shape = tuple[int, ...]


def answer_loss(failed: Failed, graph: Graph) -> ShapeAnswer | None:
    """What mends an output and a target that a loss does not take together; None where that is not known.

    Of the losses that compare number by number, and of those whose targets are numbers of classes: (batch, *size) for
    an output of (batch, classes, *size), as ``F.cross_entropy`` and ``F.nll_loss``.
    """
    output, target = given = failed.shapes[:2]
    without = failed.operator in LOSSES and len(target) == len(output) - 1 and output[1:2] == (1,)
    if without and target[1:] != output[2:]:
        target = (target[0], 1, *target[1:])
    index = failed.values[0]
    name = "the output" if index is None else maker_of(graph, index)
    if name in graph and graph[name].operator == "log_softmax" and graph[name].module_type != "LogSoftmax":
        # The loss's own first step.
        name = graph[name].inputs[0]
    what = f"{name} is {by_size(output[1:])} and the target {by_size(target[1:]) or 'one number'} for each of a batch"
    classes = failed.operator not in LOSSES and len(target) != len(output)
    answers = (_of_classes if classes else _of_numbers)(output, target, failed.operator)
    if answers:
        return ShapeAnswer(what, (), (name,), answers, by_input=False)
    places = target[1:] if classes else target[2:]
    if len(output) - 2 != len(places) or output[2:] == places:
        return None
    channel = "" if target is given[1] else "target[:, None] and "
    story = size_stories(graph, name, [n for n, (a, b) in enumerate(zip(output[2:], places, strict=True)) if a != b])
    fix = _resized(graph, name, output[2:], places, "target.shape[1:]" if classes else "target.shape[2:]")
    return ShapeAnswer(
        f"{name} comes to {by_size(output[2:])} and the target to {by_size(places)} ({failed.operator})",
        story,
        (name,),
        channel + fix,
    )


def _of_numbers(output: Shape, target: Shape, operator: str) -> str:
    """What makes a target fit that is compared number by number, or that has the axes of the output."""
    if len(target) == len(output) - 1 and target[1:] == output[2:] and output[1] == 1:
        return "target[:, None]: the output has a channel, and the target none"
    if len(output) == len(target) - 1 and output[1:] == target[2:] and target[1] == 1:
        return "target[:, 0], or output[:, None]: the target has a channel, and the output none"
    if len(output) != len(target) or len(output) < 2:
        return ""
    for name, one, other in (("output", output, target), ("target", target, output)):
        if one == (other[0], *other[2:], other[1]) and len(one) > 2:
            order = ", ".join(map(str, (0, len(one) - 1, *range(1, len(one) - 1))))
            return f"{name}.permute({order}): its channels come last, and those of the other behind the batch"
    if output[2:] == target[2:] and output[1] != target[1]:
        if operator not in LOSSES and target[1] == 1:
            return "target[:, 0]: the numbers of the classes have no channel"
        if target[1] == 1:
            return (
                f"F.cross_entropy(output, target[:, 0].long()) where the target is one of {output[1]} classes; else "
                "one channel in the last layer"
            )
        return f"{target[1]} channels in the last layer, which has {output[1]}"
    if operator not in LOSSES and target[1] == 1 and len(output) == len(target):
        return "target[:, 0]: the numbers of the classes have no channel"
    return ""


def _of_classes(output: Shape, target: Shape, _operator: str) -> str:
    """What makes a target of class numbers fit."""
    if len(output) > 2 and target == output[:-1]:
        order = ", ".join(map(str, (0, len(output) - 1, *range(1, len(output) - 1))))
        return f"output.permute({order}): its classes come last, and the loss takes them behind the batch"
    if len(output) == 2 and len(target) == 1 and output[0] != target[0]:
        more = f"{output[0] // target[0]} rows" if output[0] % target[0] == 0 else "other rows"
        return f"keep the batch in front, x.flatten(1) or x.reshape(len(x), -1): the output has {more} for each target"
    return ""


def _resized(graph: Graph, name: str, now: Sequence[int], wanted: Sequence[int], shape: str) -> str:
    """What brings an output to the size of its target."""
    resize = f"F.interpolate(output, size={shape}) before the loss"
    maker = sized_by(graph, name)
    if maker not in graph:
        return resize
    layer = graph[maker]
    if layer.operator not in UPSAMPLING or not isinstance(layer.geometry, ConvTransposeGeometry):
        return resize
    geometry = layer.geometry
    rows = zip(wanted, now, geometry.output_padding, geometry.stride, strict=True)
    extra = [(size - has + already, step) for size, has, already, step in rows]
    if not all(0 <= more < step for more, step in extra):
        return resize
    return f"output_padding={argument(tuple(more for more, _ in extra))} in layer {maker}, or {resize}"

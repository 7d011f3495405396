"""Answers for losses: an output and a target whose shapes do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from unconv.network.audit.checks.meeting import UPSAMPLING, maker_of, sized_by
from unconv.network.audit.finding import argument, by_size
from unconv.network.shapes.joined_answers import batch_of
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
    sizes = [by_size(shape[1:]) or "one number" for shape in (output, target)]
    what = f"{name} is {sizes[0]} and the target {sizes[1]} for each of a batch"
    classes = failed.operator not in LOSSES and len(target) != len(output)
    if output[:1] != target[:1]:
        batch = None if index is None else batch_of(graph, index)
        batches = _of_batches(output, target, batch, classes)
        if batches:
            what = f"{name} is {by_size(output)} and the target {by_size(target)}, batch first"
            return ShapeAnswer(what, (), (name,), batches, by_input=False)
    answers = (_of_classes if classes else _of_numbers)(output, target, failed.operator)
    if answers:
        return ShapeAnswer(what, (), (name,), answers, by_input=False)
    if failed.operator not in LOSSES and len(target) >= len(output):
        return ShapeAnswer(what, (), (name,), _as_numbers(output, target, failed.error), by_input=False)
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
        if len(output) == 2:
            return "target[:, None], or output[:, 0]: the output has an axis of one number, and the target none"
        return "target[:, None]: the output has a channel, and the target none"
    if len(output) == len(target) - 1 and output[1:] == target[2:] and target[1] == 1:
        return "target[:, 0], or output[:, None]: the target has a channel, and the output none"
    if len(output) == 2 and len(target) == 1 and operator in LOSSES:
        return (
            f"F.cross_entropy(output, target.long()) where the target is one of {output[1]} classes; else one number "
            "in the last layer, and target[:, None]"
        )
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
                f"one {'channel' if len(output) > 2 else 'number'} in the last layer"
            )
        kind = "channels" if len(output) > 2 else "features"
        fix = f"{target[1]} {kind} in the last layer, which has {output[1]}"
        if operator not in LOSSES and len(output) > 2:
            each = f"one number of a class at each of {by_size(output[2:])}"
            fix += f", where the target has a map for each class; else {each}"
        return fix
    if operator not in LOSSES and target[1] == 1 and len(output) == len(target):
        return "target[:, 0]: the numbers of the classes have no channel"
    return ""


def _of_classes(output: Shape, target: Shape, _operator: str) -> str:
    """What makes a target of class numbers fit."""
    if len(output) > 2 and target == output[:-1]:
        order = ", ".join(map(str, (0, len(output) - 1, *range(1, len(output) - 1))))
        return f"output.permute({order}): its classes come last, and the loss takes them behind the batch"
    return ""


def _of_batches(output: Shape, target: Shape, batch: int | None, classes: bool) -> str:
    """What mends an output and a target that are not of one batch; "" where that is not known."""
    if not output or not target:
        return ""
    if classes and len(output) > 2 and len(target) == 1:
        if target[0] == prod(output[:-1]):
            return "output.flatten(0, -2): a row of classes for each number of the target"
        if target[0] == prod(output) // output[1]:
            return "output.movedim(1, -1).flatten(0, -2): a row of classes for each number of the target"
    if batch is not None and output[0] == batch:
        return (
            f"a target of the same batch: {batch} went in, and the target has {target[0]} (a last batch is smaller, "
            "unless the DataLoader has drop_last=True)"
        )
    more = f"{output[0] // target[0]} rows" if output[0] % target[0] == 0 else "other rows"
    if len(output) == len(target) == 1:
        if output[0] % target[0]:
            return ""
        each = output[0] // target[0]
        return (
            f"output.reshape(len(target), -1).mean(1): the output has {each} numbers for each target; or a model that "
            "comes to one place before they are read in one row"
        )
    return f"keep the batch in front, x.flatten(1) or x.reshape(len(x), -1): the output has {more} for each target"


def _as_numbers(output: Shape, target: Shape, error: Exception) -> str:
    """What makes numbers of classes of a target that has too many axes."""
    if "class probabilities" in str(error):
        return "target.argmax(1) where it is one-hot, or target.float(): whole numbers are no probabilities"
    each = f"one number of a class at each of {by_size(output[2:])}" if len(output) > 2 else "one number of a class"
    axis = -1 if len(output) > 2 and target[1:-1] == output[2:] else 1
    return f"{each}: target.argmax({axis}) where it is one-hot; colours are first turned into numbers of classes"


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

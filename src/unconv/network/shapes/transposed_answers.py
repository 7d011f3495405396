"""Answers for transposed convolutions that do not come to a size: asked for, or named by an output padding."""

from __future__ import annotations

from typing import Any

from unconv.network.audit.finding import argument, by_size
from unconv.network.shapes.shape_error import ShapeAnswer


def answer_transposed(layer: Any, shape: tuple[int, ...], name: str, path: str) -> ShapeAnswer:
    """What is wrong with a size or an output padding, of an input of a shape that a layer of some name made.

    >>> from torch import nn
    >>> answer_transposed(nn.ConvTranspose1d(3, 4, 3, output_padding=1), (1, 3, 9), "the input", "up").fix
    'output_padding=0'
    """
    rows = zip(layer.output_padding, layer.stride, layer.dilation, strict=True)
    if any(more >= max(step, holes) for more, step, holes in rows):
        return _too_much_added(layer, shape, name, path)
    return _out_of_reach(layer, shape, name, path)


def _least(layer: Any, shape: tuple[int, ...]) -> list[int]:
    """The size of each axis without an output padding."""
    rows = zip(shape[2:], layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    return [s * (i - 1) + d * (k - 1) + 1 - 2 * p for i, k, s, p, d in rows]


def _too_much_added(layer: Any, shape: tuple[int, ...], name: str, path: str) -> ShapeAnswer:
    """An output padding that names none of the sizes that the convolution maps to the input's."""
    least, added, paddings = _least(layer, shape), layer.output_padding, layer.padding
    story = []
    for axis, (size, i, k, s, p, d) in enumerate(
        zip(least, shape[2:], layer.kernel_size, layer.stride, paddings, layer.dilation, strict=True)
    ):
        sizes = f"sizes {size} to {size + s - 1}" if s > 1 else f"size {size}"
        story.append(f"axis {axis}: o′ = {s}·({i} − 1) + {d}·({k} − 1) + 1 − 2·{p} = {size}; it maps {sizes} to {i}")
    kept = tuple(min(more, max(s, d) - 1) for more, s, d in zip(added, layer.stride, layer.dilation, strict=True))
    fix = f"output_padding={argument(kept)}"
    if all(more <= p for more, p in zip(added, paddings, strict=True)):
        # One cell more at the end is one cell of padding less there.
        pads = tuple((p, p - more) for p, more in zip(paddings, added, strict=True))
        others = (f", {name}={value!r}" for name, value in _unusual(layer))
        fix += (
            f", or, for {by_size(size + more for size, more in zip(least, added, strict=True))}, "
            f"uc.upsample.ConvTransposeTo{len(pads)}d({layer.in_channels}, {layer.out_channels}, "
            f"kernel_size={argument(layer.kernel_size)}, stride={argument(layer.stride)}, padding={pads}"
            f"{''.join(others)})"
        )
    what = (
        f"{path} has output_padding {argument(added)}, which chooses among the sizes that the convolution maps to its "
        f"input's, and must be smaller than stride {argument(layer.stride)} or dilation {argument(layer.dilation)}"
    )
    return ShapeAnswer(what, tuple(story), (name, path), fix, by_input=False)


def _unusual(layer: Any) -> list[tuple[str, Any]]:
    """Further arguments of a transposed layer that are not torch's defaults."""
    given = {"groups": (layer.groups, 1), "bias": (layer.bias is not None, True)}
    dilation = [("dilation", argument(layer.dilation))] if set(layer.dilation) != {1} else []
    return [*((name, value) for name, (value, usual) in given.items() if value != usual), *dilation]


def _out_of_reach(layer: Any, shape: tuple[int, ...], name: str, path: str) -> ShapeAnswer:
    """A size that no output padding reaches."""
    least = _least(layer, shape)
    most = [low + step - 1 for low, step in zip(least, layer.stride, strict=True)]
    reach = f"from {by_size(least)} up to {by_size(most)}"
    what = f"{path} comes to sizes {reach} from an input of {by_size(shape[2:])}, not to the size asked for"
    fix = f"an output_size {reach}, or F.interpolate(..., size=skip.shape[2:]) behind it"
    return ShapeAnswer(what, (), (name, path), fix)

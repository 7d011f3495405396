"""Feature maps: a layer's value as ``(batch, unit, *place)``, whatever the order of its axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.network.axis_roles import AxisRoles, read_axis_roles
from unconv.network.kept_traces import keep_trace
from unconv.network.trace.graph import Graph

# Borders and rounding make the strides of two axes differ a little; channels in the place of an axis, a lot.
MOST_UNEVEN = 1.5
# Modules whose values are (batch, channel, *size) by torch's own rules.
_CHANNELS_SECOND: tuple[type[nn.Module], ...] = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.padding._ConstantPadNd,
    nn.modules.padding._ReflectionPadNd,
    nn.modules.padding._ReplicationPadNd,
    nn.GroupNorm,
    nn.Upsample,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
)


def is_grid(shape: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a value's last axes may be those of the image, made coarser alike: not (batch, height, width, channel).

    >>> is_grid((1, 64, 28, 28), (1, 3, 224, 224)), is_grid((1, 28, 28, 64), (1, 3, 224, 224))
    (True, False)
    """
    return _unevenness(shape, image) < MOST_UNEVEN


def _unevenness(shape: Sequence[int], image: Sequence[int]) -> float:
    """By how much the strides of a value's last axes differ from one another: 1 where they are the same."""
    if len(shape) != len(image) or shape[0] != image[0] or max(shape[2:]) < 2:
        return math.inf
    strides = [pixels / cells for pixels, cells in zip(image[2:], shape[2:], strict=True) if cells > 1]
    return max(strides) / min(strides)


def is_plain(module: nn.Module, shape: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a value is ``(batch, unit, *place)`` beyond doubt, by its module or its shape; no trace is needed then.

    >>> is_plain(nn.ReLU(), (1, 64, 28, 28), (1, 3, 224, 224)), is_plain(nn.ReLU(), (1, 28, 28, 28), (1, 3, 224, 224))
    (True, False)
    """
    if shape[0] != image[0]:
        return False
    if len(shape) == 2 or isinstance(module, _CHANNELS_SECOND) or set(shape[2:]) == {1}:
        return True
    turned = (shape[0], shape[-1], *shape[1:-1])
    # As much as the rounding of the sizes explains: a cell more or less along each axis.
    rounding = math.prod((cells + 1) / cells for cells in turned[2:])
    return is_grid(shape, image) and _unevenness(turned, image) > rounding


def find_axis_roles(model: nn.Module, layer: str, shape: Sequence[int], image: Sequence[int]) -> AxisRoles | None:
    """The roles of the axes of a layer's value; None where it is ``(batch, unit, *place)`` as it is.

    Args:
        model: in which the layer is; it is traced where the value alone does not tell, and the trace is kept.
        layer: its name.
        shape: of its value, batch included.
        image: shape of what went in, batch included.

    Raises ModelError where the trace says that the value holds no feature maps, or that it does not know.

    >>> class Last(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.LayerNorm(8)
    ...     def forward(self, x):
    ...         return self.norm(self.conv(x).permute(0, 2, 3, 1))
    >>> find_axis_roles(Last(), "norm", (2, 6, 6, 8), (2, 3, 8, 8)).sentence
    'units along the last axis'
    """
    if is_plain(model.get_submodule(layer), shape, image):
        return None
    traced = keep_trace(model, tuple(image[1:]), layer)
    roles = roles_in(traced.graph, layer, shape, image)
    if isinstance(roles, str):
        why = roles or f"which of its axes are places is not known, as the network cannot be traced ({traced.refusal})"
        raise ModelError(f"{why}; choose another layer" if roles else f"layer {layer!r}: {why}")
    return None if roles.plain else roles


def roles_in(graph: Graph | None, layer: str, shape: Sequence[int], image: Sequence[int]) -> AxisRoles | str:
    """The roles in a traced network, of a value of some shape; without a trace, or a layer in it, by the shape alone.

    A string says why there are none; an empty one, that nothing is known.
    """
    if graph is not None and layer in graph:
        roles = read_axis_roles(graph, layer)
        # A value that has no places in the picture is as it is: there is nothing to put in order.
        placed = graph.value_of(layer).present
        return roles if not isinstance(roles, str) or placed or not is_grid(shape, image) else _as_it_is(shape)
    return _as_it_is(shape) if is_grid(shape, image) else ""


def arrange_maps(model: nn.Module, layer: str, value: Tensor, image: Sequence[int]) -> tuple[Tensor, str]:
    """A layer's value as ``(batch, unit, *place)``, and what is not as usual with its axes, in a line.

    Raises as :func:`find_axis_roles` does.
    """
    roles = find_axis_roles(model, layer, value.shape, image)
    return (value, "") if roles is None else (roles.arrange(value, image[0]), roles.sentence)


def _as_it_is(shape: Sequence[int]) -> AxisRoles:
    sizes = tuple(shape[1:])
    return AxisRoles(((), *((size,) for size in sizes)), tuple(range(1, len(shape))), sizes[0], sizes[1:])

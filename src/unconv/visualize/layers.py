"""Which layers to look into, and which of their units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.visualize.reverse.coverage import clipped_from, ends_convolved, ends_rectified
from unconv.visualize.reverse.passage import at_rest, check_images, check_open, run_hooked, takes_hooks

# Borders and rounding make the strides of two axes differ a little; channels in the place of an axis, a lot.
MOST_UNEVEN = 1.5


@dataclass(frozen=True)
class FeatureMaps:
    """A layer that returns feature maps.

    Args:
        layer: its name.
        units: how many maps it returns.
        size: their grid.
        rectified: whether they come from a rectifier.
        convolved: whether they come straight from a convolution.
        unclipped: the layer that returned them before a rectifier cut them off at its top (ReLU6), None where no
            rectifier does, or where no layer returns that. Clipped, the strongest units are all alike, and nothing
            comes back from them: f′ = 0.

    >>> FeatureMaps("features.3", units=64, size=(224, 224), rectified=True).size
    (224, 224)
    """

    layer: str
    units: int
    size: tuple[int, ...]
    rectified: bool
    convolved: bool = False
    unclipped: str | None = None


def list_feature_maps(model: nn.Module, image: Tensor) -> tuple[FeatureMaps, ...]:
    """Every layer that returns feature maps, in the order in which they come to be.

    Modules that return the same tensor count once, under the shortest name. Left out are modules that change the grid
    inside (a stretch of the network, not a layer) and those called several times (the name does not say which call).

    Args:
        model: any module that takes the image as its one argument.
        image: ``(1, channel, *size)``, as the model wants it.

    Raises ModelError when the model fails on the image, and for models in TorchScript.

    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> [(maps.layer, maps.size, maps.rectified) for maps in list_feature_maps(model, torch.rand(1, 1, 8, 8))]
    [('0', (6, 6), False), ('1', (6, 6), True)]
    """
    check_images(image)
    check_open(model)
    calls: Counter[str] = Counter()
    found: dict[Any, FeatureMaps] = {}
    kept: list[Any] = []

    def see(name: str, output: Any) -> None:
        calls[name] += 1
        if not isinstance(output, Tensor) or not output.requires_grad or not _is_grid(output.shape, image.shape):
            return
        inside = [maps for maps in found.values() if maps.layer.startswith(f"{name}.")]
        if any(maps.size != output.shape[2:] for maps in inside):
            return
        kept.append(output.grad_fn)
        before = found.get(clipped_from(output))
        maps = FeatureMaps(
            layer=name,
            units=output.shape[1],
            size=tuple(output.shape[2:]),
            rectified=ends_rectified(output),
            convolved=ends_convolved(output),
            unclipped=before.layer if before else None,
        )
        known = found.get(output.grad_fn)
        if known is None or name.count(".") < known.layer.count(".") or calls[known.layer] > 1:
            found[output.grad_fn] = maps

    with ExitStack() as stack:
        stack.enter_context(at_rest(model))
        for name, module in model.named_modules():
            # What cannot be watched still runs; the layers around it can be looked into.
            if name and takes_hooks(module):
                handle = module.register_forward_hook(lambda _m, _i, output, name=name: see(name, output))
                stack.callback(handle.remove)
        run_hooked(model, image, "gradient")
    return tuple(maps for maps in found.values() if calls[maps.layer] == 1)


def _is_grid(shape: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a value's last axes are those of the image, made coarser alike: not (batch, height, width, channel)."""
    if len(shape) != len(image) or shape[0] != image[0] or max(shape[2:]) < 2:
        return False
    strides = [pixels / cells for pixels, cells in zip(image[2:], shape[2:], strict=True) if cells > 1]
    return max(strides) < MOST_UNEVEN * min(strides)


def choose_layers(maps: Sequence[FeatureMaps], count: int = 5) -> tuple[str, ...]:
    """Some layers, spread over the depth: the last rectified one of each resolution, then those far from the chosen.

    Where the rectifier is clipped, the layer before it; where no layer is rectified, those of the convolutions.

    >>> sizes = [8, 8, 4, 4, 2, 2]
    >>> maps = [FeatureMaps(f"conv{n}", 16, (size, size), rectified=True) for n, size in enumerate(sizes)]
    >>> choose_layers(maps, count=3)
    ('conv1', 'conv3', 'conv5')
    """
    if count < 1:
        raise UnconvError(f"layers: {count} layers were asked for; ask for 1 or more")
    candidates = [m for m in maps if m.rectified] or [m for m in maps if m.convolved]
    if not candidates:
        raise ModelError("layers: the model has no layer that returns feature maps; name the layers to look into")
    last_of = {m.size: index for index, m in enumerate(candidates)}
    last = sorted(last_of.values())
    chosen = [last[place] for place in spread(len(last), count)]
    while len(chosen) < min(count, len(candidates)):
        rest = [index for index in range(len(candidates)) if index not in chosen]
        chosen.append(max(rest, key=lambda index: min(abs(index - other) for other in chosen)))
    return tuple(candidates[index].unclipped or candidates[index].layer for index in sorted(chosen))


def spread(length: int, count: int) -> list[int]:
    """Some of so many places, evenly spread, the last one always.

    >>> spread(9, 5), spread(2, 5), spread(9, 1)
    ([0, 2, 4, 6, 8], [0, 1], [8])
    """
    if length <= count:
        return list(range(length))
    if count == 1:
        return [length - 1]
    return [round(step * (length - 1) / (count - 1)) for step in range(count)]


def like_weights(model: nn.Module, images: Tensor) -> Tensor:
    """Images on the device and in the precision of a model's weights.

    >>> like_weights(nn.Conv2d(3, 4, 3).double(), torch.rand(1, 3, 8, 8)).dtype
    torch.float64
    """
    weight = next((p for p in model.parameters() if p.is_floating_point()), None)
    return images if weight is None else images.to(weight)


def check_feature_maps(layer: str, value: Tensor) -> None:
    """Refuse what is not ``(batch, unit, height, width)``: nothing in it has a place in the picture.

    >>> check_feature_maps("features.3", torch.zeros(1, 64, 56, 56))
    """
    if value.ndim != 4:
        raise ModelError(
            f"layer {layer!r}: returns shape {tuple(value.shape)}, not feature maps (batch, unit, height, width); "
            "choose a layer before the classifier"
        )


def strongest_units(value: Float[Tensor, unit * position], count: int) -> list[tuple[int, tuple[int, ...], float]]:
    """The units with the highest peaks: index, place of the peak and its value, strongest first.

    >>> strongest_units(torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]], [[2.0, 2.0]]]), count=2)
    [(1, (0, 1), 3.0), (2, (0, 0), 2.0)]
    """
    flat = value.reshape(len(value), -1)
    values, places = flat.max(dim=1)
    order = torch.argsort(values, descending=True, stable=True)[:count]
    size = value.shape[1:]
    return [
        (int(unit), tuple(int(axis) for axis in torch.unravel_index(places[unit], size)), float(values[unit]))
        for unit in order
    ]

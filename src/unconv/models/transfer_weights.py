"""Weight transfer: from one network into another that has more layers, or writes the same ones otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.models.fcn import CONVOLUTIONS

BACKBONE = "backbone.body."
"""What the names of a network begin with where an FCN stands on it."""

# Layers that may begin as they are initialised: those that score classes, those that bring scores up, and the path up
# of a U-Net.
FRESH = ("score", "upscore", "up.", "join.")

PATH_DOWN = "down."
OF_COMPACT = re.compile(rf"(?:{re.escape(BACKBONE)})?features\.(conv|norm)(\d+)_(\d+)\.(\w+)")


def carry_over(model: nn.Module, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Load into a network that names pixels what another has learned; the names of what begins anew.

    For training in stages, as published: an FCN-16s goes on from an FCN-32s, an FCN-8s from an FCN-16s. Its new
    score layer begins at zero and its new upscaling as interpolation, so that it begins near where the other stopped.
    And from a classifier, as the first of them does: the network that an FCN stands on, or torchvision's VGG-16. The
    path down of a light U-Net begins from a compact network, or from an FCN on one.

    Args:
        model: is changed in place.
        state: tensors by name; names that the model does not have are passed over. Where no layer has a name of the
            model's, they are taken to be a classifier's.

    Raises ModelError for tensors of another shape, and where a layer that does not score is missing.

    >>> from unconv.models.fcn import FCN
    >>> small = {"channels": (2, 2, 2, 2, 2), "hidden": 2}
    >>> carry_over(FCN(16, **small), FCN(32, **small).state_dict())
    ('upscore2.weight', 'score_pool4.weight', 'score_pool4.bias', 'upscore16.weight')
    """
    own = model.state_dict()
    if not any(name in state for name in own if not name.startswith(FRESH)):
        state = _of_another(state, own)
    for name, tensor in own.items():
        if name in state and state[name].shape != tensor.shape:
            raise ModelError(
                f"carry over: {name} is {tuple(state[name].shape)}, the network's {tuple(tensor.shape)}; "
                "build both with the same classes, channels and kind of upscaling"
            )
    new = tuple(name for name in own if name not in state)
    missing = [name for name in new if not name.startswith(FRESH)]
    if missing:
        more = ", …" if missing[3:] else ""
        raise ModelError(
            f"carry over: {len(missing)} tensors are not there ({', '.join(missing[:3])}{more}); "
            "only layers that score or upscale may begin anew"
        )
    model.load_state_dict({name: state[name] for name in own if name in state}, strict=False)
    return new


def _of_another(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names of the network whose names these are; as they are, to be named as missing, without a way."""
    if any(name.startswith(BACKBONE) for name in own):
        return {f"{BACKBONE}{name}": tensor for name, tensor in state.items()}
    if any(name.startswith(PATH_DOWN) for name in own):
        return compact_to_unet(state) or dict(state)
    return vgg16_to_fcn(state) or dict(state)


def compact_to_unet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolutions of a compact network, or of an FCN on it, by the names of a light U-Net's path down.

    >>> import torch
    >>> list(compact_to_unet({"features.conv2_1.weight": torch.zeros(48, 24, 3, 3), "score.8.bias": torch.zeros(9)}))
    ['down.1.conv1.weight']
    """
    found = {}
    for name, tensor in state.items():
        if match := OF_COMPACT.fullmatch(name):
            kind, stage, step, rest = match.groups()
            found[f"{PATH_DOWN}{int(stage) - 1}.{kind}{step}.{rest}"] = tensor
    return found


def vgg16_to_fcn(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of torchvision's VGG-16 by the names of an FCN, its first two linear layers as kernels.

    The linear layer that reads 512 maps of 7×7 is a convolution of 7×7, the next one of 1×1 (section 3.1); the last,
    which tells ImageNet's classes apart, is left out.

    >>> import torch
    >>> state = {"features.2.bias": torch.zeros(64), "classifier.0.weight": torch.zeros(4096, 25088)}
    >>> {name: tuple(tensor.shape) for name, tensor in vgg16_to_fcn(state).items()}
    {'features.conv1_2.bias': (64,), 'fc6.weight': (4096, 512, 7, 7)}
    """
    names, index = {"classifier.0": "fc6", "classifier.3": "fc7"}, 0
    for stage, count in enumerate(CONVOLUTIONS, start=1):
        for step in range(1, count + 1):
            names[f"features.{index}"] = f"features.conv{stage}_{step}"
            index += 2  # a rectifier behind each
        index += 1  # the pooling
    kernels = {"fc6.weight": 7, "fc7.weight": 1}
    found = {}
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        if layer in names:
            name = f"{names[layer]}.{kind}"
            size = kernels.get(name)
            found[name] = tensor if size is None else tensor.reshape(len(tensor), -1, size, size)
    return found

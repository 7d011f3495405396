"""Networks to test on, and slow references that share nothing with the code under test."""

from __future__ import annotations

import copy
import warnings
from functools import cache
from typing import Any

import torch
import torchvision
from captum.attr import NeuronDeconvolution, NeuronGradient, NeuronGuidedBackprop
from torch import Tensor, nn

RECTIFYING_NODES = (
    *("Relu", "Hardtanh", "LeakyRelu", "PreluKernel", "Elu", "Silu", "Gelu", "Hardswish", "Mish", "Softplus"),
    *("Threshold", "Clamp", "ClampMin"),
)
CAPTUM = {"deconvnet": NeuronDeconvolution, "guided": NeuronGuidedBackprop, "gradient": NeuronGradient}


@cache
def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    arguments = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **arguments).eval()
    for module in model.modules():
        # Fresh running statistics would make batch norm the identity.
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias, std=0.1)
    return model


def pictures(size: int = 224, batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def captum_projection(model: nn.Module, images: Tensor, layer: str, seed: tuple[int, ...], rule: str) -> Tensor:
    # captum replaces the gradient of a rectifier's input, which a rectifier in place overwrites.
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attribution = CAPTUM[rule](model, model.get_submodule(layer))
        return attribution.attribute(images.clone(), seed).detach()


def by_graph_hooks(model: nn.Module, images: Tensor, layer: str, seed: tuple[int, ...], rule: str) -> Tensor:
    """The rule as hooks on the nodes of an untouched autograd graph: it knows no function and no module."""
    kept: list[Tensor] = []
    # Cloned: what the module returns at that moment.
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output.clone()))
    leaf = images.clone().requires_grad_()
    model(leaf.clone())
    handle.remove()
    value = kept[0]
    for node in _nodes(value.grad_fn):
        if node.name().partition("Backward")[0] in RECTIFYING_NODES and rule != "gradient":
            _rectify(node, rule)
    signal = torch.zeros_like(value)
    signal[(slice(None), *seed)] = 1
    (image,) = torch.autograd.grad(value, leaf, signal)
    return image


def _rectify(node: Any, rule: str) -> None:
    if rule == "guided":
        node.register_prehook(lambda signals: (signals[0].clamp(min=0), *signals[1:]))
    else:
        node.register_hook(lambda results, signals: (signals[0].clamp(min=0), *results[1:]))


def _nodes(start: Any) -> list[Any]:
    found, queue = {}, [start]
    while queue:
        node = queue.pop()
        if node is not None and node not in found:
            found[node] = None
            queue.extend(parent for parent, _ in node.next_functions)
    return list(found)


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())

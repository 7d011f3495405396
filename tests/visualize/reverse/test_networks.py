"""Projections of networks of other people equal the rule on the graph of the same network, in float64.

The reference knows no module and none of the library's functions: autograd's own graph of an untouched pass, with the
rule written on its rectifying nodes. Where a network composes its rectifiers of several operations, the reference runs
the same network, with the same weights, on torch's rectifier of the same values.
"""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from timm.layers import activations
from torch import Tensor, nn

from tests.visualize.reference import by_graph_hooks, relative_error
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.rules import REVERSE_RULES

# The network, one of its last layers, and what it composes its rectifiers by, with torch's rectifier in its place.
NETWORKS: dict[str, tuple[str, tuple[Any, Any] | None]] = {
    "resnet10t": ("layer3.0.conv2", None),
    "mobilenetv2_050": ("blocks.3.1.conv_pwl", None),
    "tinynet_e": ("blocks.4.0.conv_pwl", None),
    "repvgg_a0": ("stages.2.1.conv_kxk.conv", None),
    "darknet21": ("stages.3.conv_down.conv", None),
    "lcnet_050": ("blocks.4.1.conv_pw", None),
    "rexnet_100": ("features.3.conv_pwl.conv", None),
    "regnetx_002": ("s3.b1.conv2.conv", (activations.Swish, nn.SiLU)),
    "gernet_s": ("stages.2.0.conv2_kxk.conv", (activations.HardSwish, nn.Hardswish)),
    "spnasnet_100": ("blocks.3.1.conv_pwl", (activations.Mish, nn.Mish)),
}


def network(name: str, act_layer: Any = None) -> nn.Module:
    torch.manual_seed(0)
    options = {} if act_layer is None else {"act_layer": act_layer}
    model: nn.Module = timm.create_model(name, **options).eval().double()
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Fresh running statistics would make batch norm the identity.
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=generator, dtype=torch.float64)
            module.running_var = 0.5 + torch.rand(module.num_features, generator=generator, dtype=torch.float64)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_projection_equals_the_rule_on_the_graph(name: str) -> None:
    layer, acts = NETWORKS[name]
    composed, named = acts or (None, None)
    model, plain = network(name, composed), network(name, named)
    images: Tensor = torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for rule in REVERSE_RULES:
        ours = project(model, images, layer, 3, (1, 1), rule)
        theirs = by_graph_hooks(plain, images, layer, (3, 1, 1), rule)
        assert theirs.abs().max() > 0
        assert relative_error(ours.image, theirs) < 1e-10
        assert ours.coverage.reversed == ours.coverage.total > 0

"""Projections through torchvision's classifiers: captum's where rectifiers are modules, the rule's on the graph else.

captum hooks modules of type ``nn.ReLU`` alone. Where a network writes its rectifiers as functions, it returns (almost)
the plain gradient without a word; a slow reference that knows no module takes its place.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.visualize.reference import CAPTUM, by_graph_hooks, captum_projection, network, pictures, relative_error
from unconv.visualize.reverse.project import project


@pytest.mark.parametrize("rule", CAPTUM)
@pytest.mark.parametrize(
    ("name", "layer", "seed"),
    [
        ("alexnet", "features.0", (7, 22, 0)),
        ("alexnet", "features.5", (9, 3, 4)),
        ("alexnet", "features.10", (100, 4, 4)),
        ("alexnet", "classifier.4", (11,)),
        ("vgg11", "features.3", (5, 40, 31)),
        ("vgg11", "features.18", (40, 3, 0)),
        ("vgg11", "classifier.6", (281,)),
        ("vgg16", "features.2", (5, 60, 31)),
        ("vgg16", "features.15", (3, 0, 15)),
        ("vgg16", "features.30", (40, 1, 0)),
        ("resnet18", "layer3.1.conv2", (12, 4, 4)),
        ("resnet18", "layer4", (3, 0, 2)),
        ("resnet50", "layer2.3.conv2", (100, 11, 0)),
        ("resnet50", "layer4.0", (999, 1, 1)),
        ("squeezenet1_0", "features.7.expand3x3", (9, 2, 3)),
        ("squeezenet1_1", "features.12", (30, 0, 4)),
        ("densenet121", "features.denseblock2.denselayer5.conv2", (7, 5, 11)),
        ("densenet121", "features.denseblock4", (900, 1, 2)),
        ("mnasnet0_5", "layers.9.1.layers.6", (11, 5, 5)),
        ("mnasnet1_0", "layers.14", (700, 2, 1)),
        ("shufflenet_v2_x0_5", "stage3.1.branch2.6", (9, 2, 2)),
        ("shufflenet_v2_x1_0", "conv5", (800, 0, 2)),
    ],
)
def test_projection_equals_captum_where_rectifiers_are_modules(
    name: str, layer: str, seed: tuple[int, ...], rule: str
) -> None:
    model, images = network(name), pictures(96, batch=2)
    ours = project(model, images, layer, seed[0], seed[1:], rule)
    theirs = captum_projection(model, images, layer, seed, rule)
    assert theirs.abs().max() > 0
    assert relative_error(ours.image, theirs) < 1e-5
    assert ours.coverage.reversed == ours.coverage.total
    if rule != "gradient" and ours.coverage.total:
        plain = project(model, images, layer, seed[0], seed[1:], "gradient")
        assert relative_error(ours.image, plain.image) > 1e-2


# GoogLeNet, Inception and DenseNet's last rectifier are F.relu; MobileNet's is ReLU6, EfficientNet's SiLU, that of
# MobileNet v3 Hardswish, the vision transformer's GELU.
@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
@pytest.mark.parametrize(
    ("name", "layer", "seed"),
    [
        ("resnet18", "layer4.0.conv1", (7, 1, 1)),
        ("googlenet", "conv3", (100, 3, 20)),
        ("googlenet", "inception4a", (100, 3, 3)),
        ("googlenet", "inception5b.branch4.1", (20, 0, 2)),
        ("inception_v3", "Mixed_5b", (100, 3, 3)),
        ("inception_v3", "Mixed_6b.branch7x7_3", (30, 2, 3)),
        ("inception_v3", "Mixed_7a", (500, 0, 0)),
        ("densenet121", "classifier", (7,)),
        ("mobilenet_v2", "features.10", (9, 2, 2)),
        ("efficientnet_b0", "features.4", (9, 2, 2)),
        ("mobilenet_v3_small", "features.8", (9, 2, 2)),
        ("vit_b_32", "encoder.layers.encoder_layer_1", (2, 5)),
    ],
)
def test_projection_equals_rule_on_the_graph(name: str, layer: str, seed: tuple[int, ...], rule: str) -> None:
    model, images = network(name), pictures(224 if name == "vit_b_32" else 96, batch=2)
    # Behind the class token, token 2 has the second place of the first row.
    unit, place = (seed[1], (0, seed[0] - 1)) if name == "vit_b_32" else (seed[0], seed[1:])
    ours = project(model, images, layer, unit, place, rule)
    theirs = by_graph_hooks(model, images, layer, seed, rule)
    assert theirs.abs().max() > 0
    assert relative_error(ours.image, theirs) < 1e-5
    if rule != "gradient":
        assert relative_error(ours.image, by_graph_hooks(model, images, layer, seed, "gradient")) > 1e-2


def test_the_rectifier_behind_the_features_of_densenet_is_reversed_too() -> None:
    model, images = network("densenet121"), pictures(64)
    modules = sum(isinstance(module, nn.ReLU) for module in model.modules())
    coverage = project(model, images, "classifier", 7).coverage
    assert coverage.reversed == coverage.total == modules + 1
    assert (
        relative_error(
            captum_projection(model, images, "classifier", (7,), "deconvnet"),
            by_graph_hooks(model, images, "classifier", (7,), "deconvnet"),
        )
        > 1e-2
    )


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "googlenet", "densenet121"])
def test_projections_leave_no_trace_in_the_weights(name: str) -> None:
    model = network(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    layer = [key for key, module in model.named_modules() if isinstance(module, nn.Conv2d)][3]
    project(model, pictures(64), layer, 0)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())

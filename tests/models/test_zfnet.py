"""ZFNet has the sizes and the counts of the paper's figure 3."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import unconv as uc
from unconv.errors import ModelError
from unconv.models.load.resolve import untrained_model
from unconv.models.zfnet import ZFNet


@pytest.fixture(scope="module")
def network() -> ZFNet:
    return untrained_model("zfnet", 1000).module.eval()


def test_sizes_are_those_of_the_figure(network: ZFNet) -> None:
    sizes, x = {}, torch.zeros(1, 3, 224, 224)
    for name, layer in network.features.named_children():
        x = layer(x)
        sizes[name] = tuple(x.shape[1:])
    assert [sizes[f"conv{n}"] for n in (1, 2, 3, 4, 5)] == [
        *((96, 110, 110), (256, 26, 26), (384, 13, 13), (384, 13, 13), (256, 13, 13))
    ]
    assert [sizes[f"pool{n}"][1:] for n in (1, 2, 5)] == [(55, 55), (13, 13), (6, 6)]


def test_layers_follow_one_another_as_in_the_figure(network: ZFNet) -> None:
    names = [name for name, _ in network.features.named_children()]
    assert names == [
        *("conv1", "relu1", "pool1", "norm1", "conv2", "relu2", "pool2", "norm2"),
        *("conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5"),
    ]
    assert all(layer.groups == 1 for layer in network.features if isinstance(layer, nn.Conv2d))


def test_parameters_are_the_published_ones(network: ZFNet) -> None:
    counts = [
        *(96 * (3 * 49 + 1), 256 * (96 * 25 + 1), 384 * (256 * 9 + 1), 384 * (384 * 9 + 1), 256 * (384 * 9 + 1)),
        *(4096 * (256 * 36 + 1), 4096 * 4097, 1000 * 4097),
    ]
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers] == counts
    assert sum(counts) == 62_357_608


def test_fields_grow_as_the_geometry_says(network: ZFNet) -> None:
    graph = uc.trace(network, (3, 224, 224))
    fields = [graph.value_of(f"features.conv{n}").field.axes[0].size for n in (1, 2, 3, 4, 5)]
    # By hand: r + (k − 1)·jump, the jump being 2, 4, 8, 16.
    assert fields == [7, 7 + 2 * 2 + 4 * 4, 27 + 2 * 8 + 2 * 16, 75 + 2 * 16, 107 + 2 * 16]


def test_other_sizes_are_refused_in_one_line(network: ZFNet) -> None:
    for size in (4, 256):
        with pytest.raises(ModelError, match=f"zfnet: input {size}x{size}; it tells classes apart at 224x224 only$"):
            network(torch.zeros(1, 3, size, size))


def test_projections_reverse_every_rectifier_and_unpool_with_switches(network: ZFNet) -> None:
    coverage = uc.project(network, torch.randn(1, 3, 224, 224), layer="features.conv5", unit=3).coverage
    assert (coverage.reversed, coverage.total, coverage.switches) == (4, 4, 2)

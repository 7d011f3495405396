"""AlexNet of 2012 against Caffe's description of it, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import unconv as uc
from unconv.errors import ModelError
from unconv.models.alexnet import AlexNet, response_norm
from unconv.models.load.resolve import untrained_model

# Layers of Caffe's bvlc_alexnet/train_val.prototxt: name, type, then its parameters. Inner products have a num_output.
CAFFE = """
conv1 Convolution num_output 96 kernel_size 11 stride 4
relu1 ReLU
norm1 LRN local_size 5 alpha 0.0001 beta 0.75
pool1 Pooling kernel_size 3 stride 2
conv2 Convolution num_output 256 pad 2 kernel_size 5 group 2
relu2 ReLU
norm2 LRN local_size 5 alpha 0.0001 beta 0.75
pool2 Pooling kernel_size 3 stride 2
conv3 Convolution num_output 384 pad 1 kernel_size 3
relu3 ReLU
conv4 Convolution num_output 384 pad 1 kernel_size 3 group 2
relu4 ReLU
conv5 Convolution num_output 256 pad 1 kernel_size 3 group 2
relu5 ReLU
pool5 Pooling kernel_size 3 stride 2
fc6 InnerProduct num_output 4096
relu6 ReLU
drop6 Dropout dropout_ratio 0.5
fc7 InnerProduct num_output 4096
relu7 ReLU
drop7 Dropout dropout_ratio 0.5
fc8 InnerProduct num_output 1000
"""


@pytest.fixture(scope="module")
def network() -> AlexNet:
    return untrained_model("alexnet-two-tower", 1000).module.eval()


def described() -> list[tuple[str, str, dict[str, float]]]:
    layers = []
    for line in CAFFE.strip().splitlines():
        name, kind, *rest = line.split()
        layers.append((name, kind, dict(zip(rest[::2], map(float, rest[1::2]), strict=True))))
    return layers


def counted(kind: str, told: dict[str, float], shape: tuple[int, ...]) -> int:
    """Weights and biases of a layer, for an input of a shape."""
    if kind == "Convolution":
        kernel = shape[0] // told.get("group", 1) * told["kernel_size"] ** 2
        return int(told["num_output"] * (kernel + 1))
    return int(told["num_output"] * (np.prod(shape) + 1)) if kind == "InnerProduct" else 0


def size_after(kind: str, told: dict[str, float], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Caffe rounds down in convolutions and up in poolings."""
    if kind == "InnerProduct":
        return (int(told["num_output"]),)
    if kind not in ("Convolution", "Pooling"):
        return shape
    span = [(n + 2 * told.get("pad", 0) - told["kernel_size"]) / told.get("stride", 1) for n in shape[1:]]
    sides = (int(np.floor(s) if kind == "Convolution" else np.ceil(s)) + 1 for s in span)
    return (int(told.get("num_output", shape[0])), *sides)


def test_every_layer_is_caffes(network: AlexNet) -> None:
    kinds = {
        nn.Conv2d: "Convolution",
        nn.ReLU: "ReLU",
        nn.LocalResponseNorm: "LRN",
        nn.MaxPool2d: "Pooling",
        nn.Linear: "InnerProduct",
        nn.Dropout: "Dropout",
    }
    modules = [*network.features.named_children(), *network.classifier.named_children()]
    # Caffe writes dropout behind a layer, torchvision and we before the next: the product is the same.
    order = [part for part in modules if not isinstance(part[1], nn.Dropout)]
    theirs = [layer for layer in described() if layer[1] != "Dropout"]
    assert len(order) == len(theirs)
    assert sum(isinstance(module, nn.Dropout) for _, module in modules) == 2
    value, shape, total = torch.zeros(1, 3, 227, 227), (3, 227, 227), 0
    for (name, module), (theirs_name, kind, told) in zip(order, theirs, strict=True):
        assert kinds[type(module)] == kind, name
        assert name.replace("linear", "fc") == theirs_name
        value = module(value.flatten(1) if kind == "InnerProduct" else value)
        parameters = sum(parameter.numel() for parameter in module.parameters())
        assert parameters == counted(kind, told, shape), name
        shape, total = size_after(kind, told, shape), total + parameters
        assert tuple(value.shape[1:]) == shape, name
        if kind == "Convolution":
            assert module.groups == told.get("group", 1), name
            assert (module.stride[0], module.padding[0]) == (told.get("stride", 1), told.get("pad", 0)), name
        if kind == "LRN":
            assert (module.size, module.beta) == (told["local_size"], told["beta"])
    assert total == 60_965_224


def test_response_norm_is_the_papers_sum() -> None:
    x = 30 * torch.randn(2, 11, 3, 4, dtype=torch.float64)
    expected = torch.empty_like(x)
    for i in range(11):
        near = x[:, max(0, i - 2) : min(10, i + 2) + 1]
        expected[:, i] = x[:, i] / (2 + 1e-4 * near.square().sum(1)) ** 0.75
    assert torch.allclose(response_norm()(x), expected, rtol=1e-12)


def test_towers_meet_in_layer_three_alone(network: AlexNet) -> None:
    layers = dict(network.features.named_children())
    for number, channels, apart in ((2, 96, True), (3, 256, False), (4, 384, True), (5, 384, True)):
        x = torch.rand(1, channels, 7, 7, requires_grad=True)
        (gradient,) = torch.autograd.grad(layers[f"conv{number}"](x)[:, 0].sum(), x)
        moved = gradient.abs().sum((0, 2, 3)) > 0
        assert bool(moved[: channels // 2].all())
        assert bool(moved[channels // 2 :].any()) is not apart


def test_first_weights_are_the_papers(network: AlexNet) -> None:
    biases = {name: float(layer.bias.detach()[0]) for name, layer in network.named_modules() if hasattr(layer, "bias")}
    ones = {"features.conv2", "features.conv4", "features.conv5", "classifier.linear6", "classifier.linear7"}
    assert biases == {name: float(name in ones) for name in biases}
    assert float(network.classifier.linear7.weight.detach().std()) == pytest.approx(0.01, rel=0.01)


def test_other_sizes_are_refused_in_one_line(network: AlexNet) -> None:
    for size in (12, 224, 299):
        with pytest.raises(ModelError, match=f"alexnet-two-tower: input {size}x{size}; .* at 227x227 only$"):
            network(torch.zeros(1, 3, size, size))


def test_other_errors_of_torch_pass(network: AlexNet) -> None:
    with pytest.raises(RuntimeError, match="expected input"):
        network.features(torch.zeros(1, 1, 227, 227))
    with pytest.raises(RuntimeError, match=r"[Dd]ouble"):
        network(torch.zeros(1, 3, 227, 227, dtype=torch.float64))


def test_projections_name_the_normalisation_that_they_pass(network: AlexNet) -> None:
    coverage = uc.project(network, torch.randn(1, 3, 227, 227), layer="features.conv3", unit=3).coverage
    assert (coverage.reversed, coverage.total, coverage.switches) == (2, 2, 2)
    assert coverage.linear["convolution"] == 3
    assert sum(coverage.passed.values()) > 0

"""DCGAN has the layers, sizes, weights and first values of its paper, whatever doubles the size in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import unconv
from unconv.errors import ModelError
from unconv.models.dcgan import FORMS, LATENT, Discriminator, Form, Generator, dcgan_form
from unconv.models.load.resolve import load_model, untrained_model
from unconv.models.load.trained import save_trained
from unconv.models.zfnet28 import WEIGHTS
from unconv.upsample.upsamplers import UPSAMPLERS

SMALL = Form(channels=1, doublings=3, width=4, kernel_size=4)


def noise(count: int = 5) -> torch.Tensor:
    return torch.rand(count, LATENT, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_maps_and_sizes_are_those_of_figure_1() -> None:
    layers = unconv.trace(Generator(FORMS["dcgan"]), (LATENT, 1, 1))
    outputs = [layers[f"layers.up{n}"].output_shape for n in (1, 2, 3, 4)]
    assert layers["layers.up1"].input_shape == (1024, 4, 4)
    assert outputs == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]


@pytest.mark.parametrize(("name", "kernel", "maps", "channels"), [
    ("dcgan", 25, (1024, 512, 256, 128), 3),
    ("dcgan-32", 16, (128, 64, 32), 1),
])  # fmt: skip
def test_parameters_are_those_of_the_table(name: str, kernel: int, maps: tuple[int, ...], channels: int) -> None:
    outputs = (*maps[1:], channels)
    project = 100 * maps[0] * 16 + 2 * maps[0] * 16
    doublings = sum(a * b * kernel for a, b in zip(maps, outputs, strict=True))
    generator = project + doublings + sum(2 * n for n in maps[1:])
    discriminator = doublings + sum(2 * n for n in maps[:-1]) + maps[0] * 16
    for network, expected in ((Generator(FORMS[name]), generator), (Discriminator(FORMS[name]), discriminator)):
        assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_generator_is_the_functions_of_the_paper_one_after_another() -> None:
    network, x = Generator(SMALL).double(), noise().double()
    state = network.state_dict()

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance = (
            x.mean((0, *range(2, x.ndim)), keepdim=True),
            x.var((0, *range(2, x.ndim)), False, keepdim=True),
        )
        shape = (1, -1, *[1] * (x.ndim - 2))
        scale, offset = (state[f"layers.{name}.{kind}"].reshape(shape) for kind in ("weight", "bias"))
        return (x - mean) / (variance + 1e-5).sqrt() * scale + offset

    y = norm(x @ state["layers.project.weight"].T, "norm0").clamp(min=0).reshape(5, 16, 4, 4)
    for n in (1, 2):
        y = norm(F.conv_transpose2d(y, state[f"layers.up{n}.weight"], stride=2, padding=1), f"norm{n}").clamp(min=0)
    y = F.conv_transpose2d(y, state["layers.up3.weight"], stride=2, padding=1).tanh()
    assert torch.allclose(network.train()(x), y, atol=1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_generator_upsamples_with_the_transposes_of_the_discriminators_convolutions(name: str) -> None:
    form = dcgan_form(name, "2")
    up, down = Generator(form).layers.up1.double(), Discriminator(form).layers.get_submodule(f"conv{form.doublings}")
    assert up.weight.shape == down.weight.shape
    x = torch.randn(1, up.out_channels, 8, 8, dtype=torch.float64, requires_grad=True)
    y = torch.randn(1, up.in_channels, 4, 4, dtype=torch.float64)
    down = down.double()
    down.weight.data = up.weight.data
    (back,) = torch.autograd.grad(down(x), x, y)
    assert torch.allclose(back, up(y), atol=1e-12)


def test_first_values_are_those_of_section_3() -> None:
    torch.manual_seed(0)
    for network in (Generator(FORMS["dcgan-32"]), Discriminator(FORMS["dcgan-32"])):
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and module.weight.numel() > 500:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
                assert module.bias is None
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.5)
                assert not module.bias.any()


def test_norms_and_rectifiers_stand_where_the_paper_puts_them() -> None:
    generator, discriminator = Generator(SMALL).layers, Discriminator(SMALL).layers
    assert [name for name, _ in generator.named_children()] == [
        "project", "norm0", "relu0", "reshape", "up1", "norm1", "relu1", "up2", "norm2", "relu2", "up3", "tanh",
    ]  # fmt: skip
    assert [name for name, _ in discriminator.named_children()] == [
        "conv1", "relu1", "conv2", "norm2", "relu2", "conv3", "norm3", "relu3", "flatten", "judge",
    ]  # fmt: skip
    assert {module.negative_slope for module in discriminator if isinstance(module, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_any_upsampler_makes_pictures_of_the_size_without_biases(name: str) -> None:
    model = f"dcgan-32:{name}:4"
    loaded = load_model(model, random_weights=True)
    pictures = loaded.module(noise())
    assert pictures.shape == (5, *loaded.input_size) == (5, 1, 32, 32)
    assert pictures.abs().max() <= 1
    assert loaded.name == model
    norms = ("norm0", "norm1", "norm2")
    assert {key.split(".")[1] for key, _ in loaded.module.named_parameters() if key.endswith("bias")} == set(norms)
    graph = unconv.trace(loaded.module, (LATENT, 1, 1))
    assert graph.layers[-1].output_shape == (1, 32, 32)


def test_only_with_icnr_phases_begin_alike() -> None:
    for name, alike in (("sub-pixel", False), ("sub-pixel-icnr", True)):
        weight = Generator(Form(1, 3, 8, 4, name)).layers.up2.layer.conv.weight
        phases = weight.unflatten(0, (-1, 4))
        assert torch.equal(phases, phases[:, :1].expand_as(phases)) == alike
        assert weight.std().item() == pytest.approx(0.02, rel=0.15)


def test_weights_follow_the_seed_and_go_through_a_file(tmp_path: Path) -> None:
    one, two, other = (untrained_model("dcgan-32:4", 10, seed=seed).module for seed in (1, 1, 2))
    assert torch.equal(one(noise()), two(noise()))
    assert not torch.equal(one(noise()), other(noise()))
    path = save_trained(one.state_dict(), tmp_path / "generator.safetensors", {})
    assert torch.equal(load_model("dcgan-32:4", weights=path).module(noise()), one.eval()(noise()))


@pytest.mark.parametrize("model", ["dcgan-32", "dcgan-32:resize:4", "dcgan:4"])
def test_weights_of_another_form_or_network_are_one_line(tmp_path: Path, model: str) -> None:
    path = save_trained(Generator(SMALL).state_dict(), tmp_path / "generator.safetensors", {})
    for file in (path, WEIGHTS):
        with pytest.raises(ModelError, match=f"do not fit {model}: ") as caught:
            load_model(model, weights=file)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variant", ["cubic", "resize:", "resize:x", "4:resize", "4:4", "resize:bilinear", "", ":"])
def test_variants_that_are_none_are_one_line(variant: str) -> None:
    with pytest.raises(ModelError, match="no such variant; it is") as caught:
        dcgan_form("dcgan-32", variant)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_is_one_line() -> None:
    with pytest.raises(ModelError, match="did you mean dcgan:resize"):
        load_model("dcgan:resise")
    with pytest.raises(ModelError, match="dcgan-32: width 0; give 1 or more"):
        load_model("dcgan-32:0", random_weights=True)
    with pytest.raises(ModelError, match="input 1x32x32; its generator takes noise"):
        Generator(SMALL)(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ModelError, match="given 1x28x28, it takes 1x32x32"):
        Discriminator(SMALL)(torch.zeros(1, 1, 28, 28))
    with pytest.raises(ModelError, match=r"no trained weights come with it; .* unconv train generate --model dcgan-32"):
        load_model("dcgan-32")

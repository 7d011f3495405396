"""U-Net: counts, sizes padded and valid, every upsampler, and what every decoder has to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import unconv as uc
from tests.models import decoding
from unconv.errors import ModelError, UnconvError
from unconv.models.compact import Compact
from unconv.models.load.resolve import load_model, untrained_model
from unconv.models.load.trained import save_trained
from unconv.models.transfer_weights import carry_over
from unconv.models.unet import CHANNELS, UNet
from unconv.upsample.upsamplers import UPSAMPLERS

TINY = (4, 6, 8)


def table(channels: tuple[int, ...], inputs: int, classes: int) -> int:
    """Parameters of figure 1: every convolution 3×3, every up-convolution 2×2, the last 1×1, with their biases."""
    total, before = 0, inputs
    for width in channels:
        total += 9 * before * width + width + 9 * width * width + width
        before = width
    for width in reversed(channels[:-1]):
        total += 4 * 2 * width * width + width
        total += 9 * 2 * width * width + width + 9 * width * width + width
    return total + channels[0] * classes + classes


@pytest.mark.parametrize(
    ("channels", "inputs", "classes"), [(CHANNELS, 1, 2), (CHANNELS, 3, 1), ((16, 32, 64, 128, 256), 3, 11)]
)
def test_parameters_are_those_of_the_figure(channels: tuple[int, ...], inputs: int, classes: int) -> None:
    with torch.device("meta"):
        model = UNet(classes, inputs, channels)
    assert sum(one.numel() for one in model.parameters()) == table(channels, inputs, classes)
    # The number that other implementations report, for colour pictures and one class.
    assert table(CHANNELS, 3, 1) == 31_031_745


def test_published_sizes_of_figure_1() -> None:
    with torch.device("meta"):
        model = UNet(2, 1, padding="valid")
        assert model(torch.zeros(1, 1, 572, 588)).shape == (1, 2, 388, 404)
    graph = uc.trace(model, (1, 572, 572))
    sides = [layer.output_shape[1] for layer in graph if layer.operator == "conv"]
    assert sides[:10] == [570, 568, 282, 280, 138, 136, 66, 64, 30, 28]
    assert sides[10:] == [54, 52, 102, 100, 198, 196, 390, 388, 388]


@pytest.mark.parametrize("up", UPSAMPLERS)
def test_scores_have_the_size_of_the_picture(up: str) -> None:
    # All sizes with the published layer; every seventh, so every remainder by 16, with the others.
    step = 1 if up == "transposed-k2" else 7
    decoding.assert_meets(lambda: UNet(3, channels=(2, 3, 4, 5, 6), up=up), 17, 3, step=step)


def test_it_is_its_transcript_in_plain_torch() -> None:
    torch.manual_seed(0)
    model, x = UNet(3, channels=TINY, padding="valid").double(), torch.randn(1, 3, 44, 52, dtype=torch.float64)
    state = model.state_dict()

    def twice(x: torch.Tensor, name: str) -> torch.Tensor:
        for step in (1, 2):
            x = F.relu(F.conv2d(x, state[f"{name}.conv{step}.weight"], state[f"{name}.conv{step}.bias"]))
        return x

    first = twice(x, "down.0")
    second = twice(F.max_pool2d(first, 2), "down.1")
    y = twice(F.max_pool2d(second, 2), "down.2")
    for n, copy in enumerate((second, first)):
        y = F.conv_transpose2d(y, state[f"up.{n}.layer.weight"], state[f"up.{n}.layer.bias"], stride=2)
        top, left = ((copy.shape[axis] - y.shape[axis]) // 2 for axis in (2, 3))
        y = twice(torch.cat([copy[..., top : top + y.shape[2], left : left + y.shape[3]], y], 1), f"join.{n}")
    expected = F.conv2d(y, state["score.weight"], state["score.bias"])
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("up", UPSAMPLERS)
def test_a_light_ones_scores_have_the_size_of_the_picture(up: str) -> None:
    step = 1 if up == "transposed-k2" else 7
    decoding.assert_meets(lambda: UNet(3, channels=(2, 3, 4, 5, 6), up=up, light=True), 17, 3, step=step)


def test_a_light_one_is_the_figure_on_half_the_size() -> None:
    torch.manual_seed(0)
    model, x = UNet(3, channels=TINY, light=True).double(), torch.randn(1, 3, 44, 53, dtype=torch.float64)
    state = model.state_dict()

    def convolved(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        return F.relu(F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride, padding=1))

    def pooled(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 3, stride=2, padding=1)

    first = convolved(convolved(x, "down.0.conv1", 2), "down.0.conv2")
    second = convolved(convolved(pooled(first), "down.1.conv1"), "down.1.conv2")
    y = convolved(convolved(pooled(second), "down.2.conv1"), "down.2.conv2")
    assert [tuple(one.shape[2:]) for one in (first, second, y)] == [(22, 27), (11, 14), (6, 7)]
    for name, size_of in (("up.0", second), ("up.1", first), ("score", x)):
        y = F.conv_transpose2d(y, state[f"{name}.layer.weight"], state[f"{name}.layer.bias"], stride=2)
        y = y[..., : size_of.shape[2], : size_of.shape[3]]
        if name != "score":
            y = convolved(torch.cat([size_of, y], 1), f"join.{name[-1]}.conv1")
    torch.testing.assert_close(model(x), y)


@pytest.mark.parametrize("of_fcn", [False, True])
def test_a_light_ones_path_down_is_the_compact_network(of_fcn: bool) -> None:
    torch.manual_seed(0)
    compact = Compact(10, channels=TINY).eval()
    with torch.no_grad():
        compact(torch.randn(4, 3, 64, 64))
    model = UNet(3, channels=TINY, normalised=True, light=True).eval()
    state = {f"backbone.body.{name}": tensor for name, tensor in compact.state_dict().items()}
    new = carry_over(model, state if of_fcn else compact.state_dict())
    assert {name.partition(".")[0] for name in new} == {"up", "join", "score"}
    x = expected = torch.randn(1, 3, 61, 50)
    for layers, pool in zip(model.down, [*model.pool, torch.nn.Identity()], strict=True):
        expected = layers(expected)
        deepest, expected = expected, pool(expected)
    torch.testing.assert_close(compact.features(x), deepest)
    with pytest.raises(ModelError, match=r"tensors are not there \(down\.0\.conv1\.weight"):
        carry_over(model, {"conv.weight": torch.zeros(1)})
    with pytest.raises(ModelError, match=r"down\.0\.conv1\.weight is \(24, 3, 3, 3\), the network's \("):
        carry_over(model, Compact(10).state_dict())


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("up", UPSAMPLERS)
def test_it_learns_and_is_one_graph(up: str, light: bool) -> None:
    torch.manual_seed(0)
    model, x = UNet(3, channels=TINY, up=up, normalised=True, light=light), torch.randn(2, 3, 25, 30)
    decoding.assert_one_graph(model, x)
    decoding.assert_trains(model, x, 3)


def test_names_make_the_networks() -> None:
    for name, light in (("unet", False), ("unet-small", True)):
        loaded = untrained_model(name, 4)
        assert isinstance(loaded.module, UNet)
        assert loaded.module.light is light
        assert loaded.module(torch.zeros(1, 3, 33, 47)).shape == (1, 4, 33, 47)
    for up in UPSAMPLERS:
        loaded = load_model(f"unet-small:{up}", random_weights=True)
        assert {one.name for one in loaded.module.up} == {up}
        found = uc.audit(loaded.module, loaded.input_size, measure=False)
        assert found.at_least("error") == ()
        # The one that the literature warns of is found out.
        assert bool(found.at_least("warning")) is (up == "transposed-k3")


@pytest.mark.parametrize("up", UPSAMPLERS)
def test_a_file_of_other_classes_is_followed(up: str, tmp_path: Path) -> None:
    trained = untrained_model(f"unet-small:{up}", 11).module
    path = save_trained(trained.state_dict(), tmp_path / "weights.safetensors", {})
    x = torch.randn(1, 3, 32, 32)
    loaded = load_model(f"unet-small:{up}", weights=path).module
    torch.testing.assert_close(loaded(x), trained.eval()(x))


def test_what_does_not_fit_is_refused_in_a_line() -> None:
    small = UNet(2, 1, (2, 2, 2, 2, 2), padding="valid")
    with pytest.raises(ModelError, match=r"570x572 comes to 279x280 before .* the next picture that fits is 572x572"):
        small(torch.zeros(1, 1, 570, 572))
    with pytest.raises(ModelError, match="padding 'full' is neither 'same' nor 'valid'"):
        UNet(padding="full")
    with pytest.raises(ModelError, match="a light one has padding 'same'"):
        UNet(padding="valid", light=True)
    with pytest.raises(UnconvError, match="upsampler 'cubic': unknown"):
        UNet(up="cubic")
    with pytest.raises(ModelError, match=r"unet-small:bilinea: no such upsampler; .* did you mean unet-small:bilinear"):
        load_model("unet-small:bilinea", random_weights=True)
    with pytest.raises(ModelError, match=r"unet: no trained weights come with it; .* unconv train segment"):
        load_model("unet")

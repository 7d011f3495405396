"""torchvision's networks by name; the download itself is replaced, everything around it is real."""

from __future__ import annotations

import sys
from urllib.error import URLError

import pytest
import torch
from torchvision import models
from torchvision.models import _api

from unconv.errors import MissingExtraError, ModelError
from unconv.models.load.from_torchvision import imagenet_classes, torchvision_models, torchvision_recipe


def test_every_name_has_a_transform_and_classes():
    for name in torchvision_models():
        recipe = torchvision_recipe(name)
        # ImageNet, PASCAL VOC, and Kinetics for videos.
        assert len(recipe.classes()) in (1000, 21, 400), name
        assert recipe.preprocess.input_size[0] == 3


def test_classes_are_those_of_the_weights():
    assert imagenet_classes() == tuple(models.VGG16_Weights.DEFAULT.meta["categories"])
    assert len(set(imagenet_classes())) > 990


def test_segmentation_networks_build_without_a_download(monkeypatch):
    monkeypatch.setattr(_api, "load_state_dict_from_url", lambda *_, **__: pytest.fail("downloaded"))
    recipe = torchvision_recipe("lraspp_mobilenet_v3_large")
    assert recipe.build(5).classifier.low_classifier.out_channels == 5
    assert recipe.notes[0].endswith("the central 520x520 of it is used")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_rescale_their_input_do_so_for_weights_from_files(name):
    # What the builder sets when it loads the published weights; and no warning about initialisation.
    assert torchvision_recipe(name).build(None).transform_input


def test_published_weights_are_fetched_quietly(monkeypatch, capsys):
    state = models.squeezenet1_1(weights=None).state_dict()

    def fetch(url, **_):
        print(f'Downloading: "{url}"')
        return state

    monkeypatch.setattr(_api, "load_state_dict_from_url", fetch)
    recipe = torchvision_recipe("squeezenet1_1")
    assert torch.equal(recipe.pretrained().state_dict()["features.0.weight"], state["features.0.weight"])
    assert recipe.weights == "torchvision's SqueezeNet1_1_Weights.IMAGENET1K_V1"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (URLError(OSError(-2, "Name or service not known")), "Name or service not known"),
        (RuntimeError("invalid hash value"), "invalid hash value"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
    ],
)
def test_a_failed_download_names_the_ways_out(monkeypatch, error, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(_api, "load_state_dict_from_url", fail)
    with pytest.raises(ModelError) as caught:
        torchvision_recipe("squeezenet1_1").pretrained()
    message = str(caught.value)
    assert message.startswith("torchvision:squeezenet1_1: its weights could not be fetched from https://")
    assert f"({said}); give weights=FILE or random_weights=True" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet5", "did you mean torchvision:resnet50"),
        ("", "no name after the colon"),
        ("raft_large", "neither classifies nor segments"),
        ("zzzzzz", "no such network$"),
    ],
)
def test_unknown_names_are_refused(name, said):
    with pytest.raises(ModelError, match=said):
        torchvision_recipe(name)


def test_without_torchvision_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    for ask in (torchvision_models, imagenet_classes):
        with pytest.raises(MissingExtraError, match=r"pip install 'unconv\[demo\]'"):
            ask()

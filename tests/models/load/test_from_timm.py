"""timm's networks by name; the download itself is replaced, everything around it is real."""

from __future__ import annotations

import re
import socket
import sys
import urllib.request

import pytest
import timm
import torch
from huggingface_hub import constants
from torch import nn

from unconv.errors import MissingExtraError, ModelError
from unconv.models.load import from_timm
from unconv.models.load.from_timm import timm_models, timm_recipe
from unconv.models.load.resolve import load_model


def test_every_name_is_described():
    for name in timm_models()[::7]:
        assert timm_recipe(name).preprocess.size[0] > 0


def test_a_tag_chooses_its_own_transform_and_weights():
    plain, tagged = timm_recipe("resnet18"), timm_recipe("resnet18.tv_in1k")
    assert plain.weights == "timm's resnet18.a1_in1k"
    assert tagged.weights == "timm's resnet18.tv_in1k"
    assert plain.preprocess.interpolation == "bicubic"
    assert tagged.preprocess.interpolation == "bilinear"


def test_networks_are_built_with_other_classes():
    assert timm_recipe("resnet18").build(7).num_classes == 7
    assert timm_recipe("resnet18").classes()[281:283] == ("tabby", "tiger cat")
    assert timm_recipe("vit_small_patch14_dinov2").classes() is None


def test_published_weights_are_asked_for(monkeypatch):
    monkeypatch.setattr(from_timm, "hub_is_reachable", lambda: True)
    asked, network = [], nn.Identity()
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: asked.append((a, k, constants.HF_HUB_OFFLINE)) or network)
    assert timm_recipe("resnet18").pretrained() is network
    assert asked == [(("resnet18",), {"pretrained": True}, False)]


def test_out_of_reach_the_hub_is_not_waited_for(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(urllib.request, "getproxies", dict)

    def unreachable(*_, **__):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    with pytest.raises(ModelError) as caught:
        timm_recipe("resnet18").pretrained()
    message = str(caught.value)
    assert message.startswith("timm:resnet18: its weights could not be fetched from timm/resnet18.a1_in1k (")
    assert message.endswith("give weights=FILE or random_weights=True")
    assert "\n" not in message
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet5", "did you mean timm:resnet50"),
        ("resnet18.a9_in1k", "has no weights of this tag; did you mean timm:resnet18.a"),
        ("", "no name after the colon"),
    ],
)
def test_unknown_names_are_refused(name, said):
    with pytest.raises(ModelError, match=said):
        timm_recipe(name)


def test_networks_without_published_weights_say_so():
    with pytest.raises(ModelError, match="published without weights"):
        timm_recipe("coatnet_0_224").pretrained()


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match="needs timm"):
        timm_models()


# Names of the code that networks were published with, made of timm's.
PUBLISHED = {
    "convnext_atto": (
        (r"^stem\.(\d)", r"downsample_layers.0.\1"),
        (r"^stages\.(\d)\.downsample", r"downsample_layers.\1"),
        (r"^stages\.(\d)\.blocks\.", r"stages.\1."),
        (r"conv_dw", "dwconv"),
        (r"mlp\.fc", "pwconv"),
        (r"^head\.norm", "norm"),
        (r"^head\.fc", "head"),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_of_the_published_code_are_read_by_its_names(tmp_path, name):
    network = timm_recipe(name).build(3)
    state = network.state_dict()
    named = {}
    for key, tensor in state.items():
        for pattern, other in PUBLISHED[name]:
            key = re.sub(pattern, other, key)
        named[key] = tensor
    assert named.keys() != state.keys()
    torch.save({"model": named, "optimizer": {"state": {}}}, tmp_path / "published.pth")
    loaded = load_model(f"timm:{name}", weights=tmp_path / "published.pth")
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.module.state_dict().items())
    assert "names of its tensors translated to the network's" in loaded.notes


def test_a_file_of_another_network_is_refused_not_translated(tmp_path):
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "other.pth")
    for name in PUBLISHED:
        with pytest.raises(ModelError, match=f"do not fit timm:{name}: [0-9]+ missing"):
            load_model(f"timm:{name}", weights=tmp_path / "other.pth")

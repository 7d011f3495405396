"""A model however it is held becomes one value; what is none is refused in a line that says what would be right."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import ResNet18_Weights, resnet18

import unconv as uc
from unconv.errors import ModelError
from unconv.models.load.open_model import open_model
from unconv.models.load.resolve import load_model

NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))


class Holder:
    def __init__(self, model: nn.Module) -> None:
        self.model = model


def test_all_forms_lead_to_the_module() -> None:
    loaded = load_model("zfnet-28")
    for held in (NETWORK, torch.compile(NETWORK), open_model(NETWORK)):
        opened = open_model(held)
        assert opened.module is NETWORK
        assert (opened.name, opened.preprocess, opened.takes) == ("Sequential", None, ())
    opened = open_model(loaded)
    assert opened.module is loaded.module
    assert (opened.preprocess, opened.classes, opened.takes) == (loaded.preprocess, loaded.classes, (1, 28, 28))
    named = open_model("zfnet-28")
    assert named.label(0) == loaded.label(0)
    assert all(torch.equal(*pair) for pair in zip(named.module.parameters(), loaded.module.parameters(), strict=True))


def test_for_shapes_alone_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("downloads weights")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", refuse)
    assert open_model("torchvision:resnet18", any_weights=True).weights == "random (seed 0)"


def test_a_file_keeps_the_weights_that_it_makes(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "from pathlib import Path\nimport torch\nfrom torch import nn\n\ndef build():\n"
        "    with Path(__file__).with_suffix('.log').open('a') as log:\n        log.write('made\\n')\n"
        "    net = nn.Conv2d(3, 1, 1)\n    nn.init.constant_(net.weight, 7.0)\n    return net\n"
    )
    opened = open_model(f"{file}:build", any_weights=True)
    assert opened.module.weight.flatten().tolist() == [7.0] * 3
    assert file.with_suffix(".log").read_text() == "made\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "scan: the model is None; give a torch.nn.Module, a MODEL string"),
        (nn.ReLU, "scan: the model is the class ReLU; give an instance of it: ReLU(...)"),
        (dict, "scan: the model is the class dict; give a torch.nn.Module"),
        (resnet18, "scan: the model is the function resnet18; give the module that it makes: resnet18(...)"),
        (lambda x: x, "scan: the model is the function <lambda>; give the module that it makes: its call"),
        (partial(resnet18, num_classes=3), "scan: the model is the function partial; give the module"),
        (NETWORK.state_dict(), "scan: the model is a state dict, which has no network; load it into one"),
        ({"epoch": 3, "net": NETWORK}, "scan: the model is a dict; give the module in it: ['net']"),
        ({"epoch": 3}, "scan: the model is a dict, which has no network"),
        ("resnet.pth", "scan: the model is the file of weights resnet.pth; say whose they are: load_model(MODEL, wei"),
        (Path("best.ckpt"), "scan: the model is the file of weights best.ckpt; say whose they are"),
        (Path("net.py"), "scan: the model is the path net.py; name what makes the network in it, as text: 'net.py:b"),
        (Path("folder"), "scan: the model is the path folder; give a torch.nn.Module"),
        (torch.rand(2, 3, 8, 8), "scan: the model is a Tensor, pictures perhaps; the model comes first"),
        (np.zeros((2, 3)), "scan: the model is a ndarray, pictures perhaps"),
        ((NETWORK, {"size": 28}), "scan: the model is a tuple; give the module in it alone, a Sequential"),
        ([nn.ReLU(), nn.ReLU()], "scan: the model is a list; give one model, or torch.nn.Sequential(...)"),
        ([], "scan: the model is a list; give a torch.nn.Module"),
        (ResNet18_Weights.DEFAULT, "scan: the model is a ResNet18_Weights; give a torch.nn.Module"),
        (Holder(NETWORK), "scan: the model is a Holder; give its .model, a Sequential"),
        (7, "scan: the model is a int; give a torch.nn.Module"),
    ],
)
def test_all_else_is_refused_in_a_line(given: object, message: str) -> None:
    with pytest.raises(ModelError) as refused:
        open_model(given, "scan")
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("given", [None, nn.ReLU, NETWORK.state_dict()])
def test_every_door_asks_alike(given: object, tmp_path: Path) -> None:
    from unconv.visualize.experiments.first_layer import first_layer

    images = torch.rand(1, 3, 8, 8)
    doors = {
        uc.trace: (),
        uc.audit: (),
        uc.network.windows_of: ("0",),
        uc.scan: (images,),
        uc.see: (images, None, tmp_path / "report"),
        uc.fidelity: (images, "0", [uc.visualize.Pick(0, 0, (1, 1))]),
        first_layer: (),
    }
    for enter, others in doors.items():
        with pytest.raises(ModelError, match=f"^{enter.__name__}: the model is "):
            # As users call it, without the types that tests check.
            inspect.unwrap(enter)(given, *others)


def test_a_loaded_model_is_taken_by_every_door() -> None:
    from unconv.visualize.experiments.first_layer import first_layer

    loaded = load_model("zfnet-28")
    assert uc.trace(loaded).macs == uc.trace("zfnet-28").macs == uc.trace(loaded.module, (1, 28, 28)).macs
    assert uc.audit(loaded, measure=False).macs == uc.trace(loaded).macs
    layer = first_layer(loaded).layer
    assert uc.network.windows_of(loaded, layer) == uc.network.windows_of(uc.trace(loaded), layer)
    assert uc.scan(loaded, torch.rand(2, 1, 28, 28), layer, top=1).layers == (layer,)
    found = uc.fidelity("zfnet-28", torch.rand(2, 1, 28, 28), layer, [uc.visualize.Pick(0, 0, (1, 1))])
    assert found[0].layer == layer

"""Of several sets of weights in a file the one that is meant, what is said of the others, and what is refused."""

from __future__ import annotations

import copy
import types

import pytest
import timm.utils
import torch
from torch import nn

from tests.models.load.weights.networks import Net, equal, loaded, prefixed, trained
from unconv.errors import ModelError


def averaged_model(net):
    """torch's AveragedModel after another step."""
    model = torch.optim.swa_utils.AveragedModel(net)
    model.update_parameters(net)
    return model.state_dict()


def lucidrains(net, ema):
    """One state dict of both, as the module of ema-pytorch has it."""
    both = prefixed(net.state_dict(), "online_model") | prefixed(ema.state_dict(), "ema_model")
    return both | {"step": torch.tensor(3)}


# Files with weights and their averages: what is saved, and where the averages are.
BOTH = {
    "timm": lambda net, ema: {"state_dict": net.state_dict(), "state_dict_ema": ema.state_dict(), "arch": "net"},
    "BasicSR": lambda net, ema: {"params": net.state_dict(), "params_ema": ema.state_dict()},
    "Ultralytics": lambda net, ema: {"model": net, "ema": ema, "updates": 9, "optimizer": None},
    "torch": lambda net, ema: {"model": net.state_dict(), "swa_model": averaged_model(ema)},
    "ModelEmaV2": lambda net, ema: {"model": net.state_dict(), "model_ema": timm.utils.ModelEmaV2(ema).state_dict()},
    "MMEngine": lambda net, ema: {
        "state_dict": net.state_dict(),
        "ema_state_dict": prefixed(ema.state_dict(), "module"),
    },
    "Lightning": lambda net, ema: {
        "state_dict": prefixed(net.state_dict(), "model") | prefixed(ema.state_dict(), "model_ema", "module")
    },
    "compiled": lambda net, ema: {
        "model": prefixed(net.state_dict(), "_orig_mod"),
        "ema": {"module": ema.state_dict(), "decay": 0.999},
    },
    "compiled layers": lambda net, ema: {
        "model": {name.replace("fc.", "fc._orig_mod."): tensor for name, tensor in net.state_dict().items()},
        "ema": ema.state_dict(),
    },
    "ema-pytorch": lucidrains,
    "latent diffusion": lambda net, ema: {
        "state_dict": prefixed(net.state_dict(), "model", "net")
        | {f"model_ema.net{name.replace('.', '')}": one for name, one in ema.named_parameters()}
        | {"model_ema.decay": torch.tensor(0.5), "model_ema.num_updates": torch.tensor(3)}
    },
    "MMCV": lambda net, ema: {
        "state_dict": prefixed(net.state_dict(), "backbone")
        | {f"ema_backbone_{name.replace('.', '_')}": one for name, one in ema.named_parameters()}
    },
    "MMCV without an envelope": lambda net, ema: (
        net.state_dict() | {f"ema_{name.replace('.', '_')}": one for name, one in ema.named_parameters()}
    ),
    "StyleGAN": lambda net, ema: {"g": net.state_dict(), "g_ema": ema.state_dict(), "d": nn.Linear(3, 3).state_dict()},
}


OF_PARAMETERS = ("latent diffusion", "MMCV", "MMCV without an envelope")


@pytest.mark.parametrize("form", BOTH)
def test_averages_are_named_and_taken_where_they_are_asked_for(tmp_path, form):
    net, ema, path = trained(), trained(), tmp_path / "last.pt"
    torch.save(BOTH[form](net, ema), path)
    fitted = loaded(path)
    assert equal(fitted.module.state_dict(), net.state_dict())
    said = "; ".join(fitted.notes)
    assert "averaged weights are there too" in said
    assert "not taken: last.pt:ema takes them" in said
    asked = loaded(f"{path}:ema")
    # Where parameters alone are averaged, the rest is that of the weights.
    averaged = dict(ema.named_parameters()) if form in OF_PARAMETERS else ema.state_dict()
    assert equal(asked.module.state_dict(), net.state_dict() | averaged)
    assert any(note.startswith("of parameters alone") for note in asked.notes) == (form in OF_PARAMETERS)
    assert "these are averages of the weights over the training" in asked.notes


@pytest.mark.parametrize(
    "save",
    [
        averaged_model,
        lambda net: {"ema": net.state_dict(), "model": None},
        lambda net: {"state": averaged_model(net)},
        lambda net: {"model": nn.Linear(3, 3).state_dict(), "ema": net.state_dict()},
    ],
)
def test_averages_alone_are_taken_and_named(tmp_path, save):
    net = trained()
    torch.save(save(net), tmp_path / "swa.pt")
    for path in (tmp_path / "swa.pt", f"{tmp_path / 'swa.pt'}:ema"):
        fitted = loaded(path)
        assert equal(fitted.module.state_dict(), net.state_dict())
        assert "these are averages of the weights over the training" in fitted.notes


def test_two_sets_of_weights_are_refused_and_each_is_taken_by_its_name(tmp_path):
    sets = {"student": trained(), "teacher": trained()}
    torch.save({name: prefixed(net.state_dict(), "backbone") for name, net in sets.items()}, tmp_path / "both.pt")
    with pytest.raises(ModelError) as caught:
        loaded(tmp_path / "both.pt")
    assert str(caught.value) == (
        "weights: 2 sets of weights in it fit (student.backbone, teacher.backbone); say which: FILE:teacher.backbone"
    )
    for name, net in sets.items():
        assert equal(loaded(f"{tmp_path / 'both.pt'}:{name}").module.state_dict(), net.state_dict())


def test_the_set_whose_name_says_nothing_more_is_meant_and_the_other_named(tmp_path):
    last, best = trained(), trained()
    torch.save({"best_model": best.state_dict(), "model_state_dict": last.state_dict()}, tmp_path / "last.pt")
    fitted = loaded(tmp_path / "last.pt")
    assert equal(fitted.module.state_dict(), last.state_dict())
    assert "best_model fits too, not taken: last.pt:best_model takes it" in fitted.notes
    assert equal(loaded(f"{tmp_path / 'last.pt'}:best_model").module.state_dict(), best.state_dict())


def test_sets_of_the_same_numbers_are_one(tmp_path):
    net = trained()
    torch.save({"student": net.state_dict(), "copy": copy.deepcopy(net.state_dict())}, tmp_path / "twice.pt")
    assert equal(loaded(tmp_path / "twice.pt").module.state_dict(), net.state_dict())


def test_a_part_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    torch.save({"model": trained().state_dict(), "head": {"bias": torch.zeros(1)}}, tmp_path / "last.pt")
    for part in ("ema", "modle"):
        with pytest.raises(ModelError) as caught:
            loaded(f"{tmp_path / 'last.pt'}:{part}")
        assert str(caught.value) == (
            f"weights: no part '{part}' in the file; it holds model (9 tensors), head (1 tensor)"
        )


def test_what_stands_beside_the_network_is_left_out_and_counted(tmp_path):
    net = trained()
    beside = {
        "criterion.weight": torch.ones(3),
        "head.weight": torch.ones(3, 3),
        "head.bias": torch.ones(3),
        "loss_weight": torch.ones(1),
    }
    saved = {"state_dict": net.state_dict() | beside, "optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}}}
    torch.save(saved, tmp_path / "last.pt")
    assert loaded(tmp_path / "last.pt").notes == (
        "weights taken from state_dict of the file",
        "5 other tensors of the file not taken: criterion 1, head 2, loss_weight 1, optimizer 1",
    )


class Unsaved(Net):
    """With a buffer that it makes itself, and that older versions saved."""

    def __init__(self):
        super().__init__()
        self.features.register_buffer("index", torch.arange(3), persistent=False)


def test_buffers_that_the_network_makes_itself_may_be_in_the_file(tmp_path):
    net = trained()
    torch.save(net.state_dict() | {"features.index": torch.zeros(3)}, tmp_path / "old.pt")
    module = loaded(tmp_path / "old.pt", lambda _: Unsaved()).module
    assert equal(module.state_dict(), net.state_dict())
    assert torch.equal(module.features.index, torch.arange(3))


@pytest.mark.parametrize(
    "name",
    [
        "features.3.weight",  # a layer more
        "features.0.scale",  # a parameter more
        "fc2.weight",  # in a row with fc
        "pos_embed",  # of the network itself
    ],
)
def test_tensors_that_would_belong_to_the_network_are_no_others(tmp_path, name):
    torch.save(trained().state_dict() | {name: torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=rf"^weights: do not fit the network: 1 unexpected \({name}\)$"):
        loaded(tmp_path / "other.pt")


def test_a_network_with_a_prefix_of_its_own_takes_what_has_none(tmp_path):
    net = trained()
    torch.save({"module": net.state_dict()}, tmp_path / "plain.pt")
    inside = lambda _: nn.ModuleDict({"model": nn.ModuleDict({"net": Net()})})  # noqa: E731
    fitted = loaded(tmp_path / "plain.pt", inside)
    assert equal(fitted.module.state_dict(), prefixed(net.state_dict(), "model", "net"))
    assert "model.net. put in front of its names" in fitted.notes
    torch.save(prefixed(net.state_dict(), "net"), tmp_path / "half.pt")
    assert equal(loaded(tmp_path / "half.pt", inside).module.state_dict(), fitted.module.state_dict())


def test_a_network_that_is_compiled_or_parallel_takes_plain_names(tmp_path):
    net = trained()
    torch.save(net.state_dict(), tmp_path / "plain.pt")
    for wrap in (nn.DataParallel, torch.compile, lambda net: nn.DataParallel(torch.compile(net))):
        module = loaded(tmp_path / "plain.pt", lambda _, wrap=wrap: wrap(Net())).module
        assert all(map(torch.equal, module.state_dict().values(), net.state_dict().values()))


def test_parts_of_a_network_that_are_saved_one_by_one(tmp_path):
    net = trained()
    parts = {"features": net.features.state_dict(), "fc": net.fc.state_dict(), "optimizer": {"state": {}}}
    torch.save(parts, tmp_path / "parts.pt")
    assert equal(loaded(tmp_path / "parts.pt").module.state_dict(), net.state_dict())


def test_one_layer_does_not_fit_into_every_layer_of_a_file(tmp_path):
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    torch.save(net.state_dict(), tmp_path / "deep.pt")
    with pytest.raises(ModelError, match=r"2 sets of weights in it fit \(0, 1\); say which: FILE:1"):
        loaded(tmp_path / "deep.pt", lambda _: nn.Linear(3, 3))
    taken = loaded(f"{tmp_path / 'deep.pt'}:1", lambda _: nn.Linear(3, 3))
    assert torch.equal(taken.module.weight, net[1].weight)


def test_what_is_named_and_not_run_is_said_with_the_unusual_first(tmp_path):
    saved = {"model": trained(), "args": types.SimpleNamespace(lr=0.1), "f": print}
    torch.save(saved, tmp_path / "last.pt")
    said = loaded(tmp_path / "last.pt").notes[-1]
    assert said.startswith("classes and functions that the file names, neither imported nor run: ")
    assert said.partition(": ")[2].startswith(f"{Net.__module__}.Net, types.SimpleNamespace, builtins.print, torch.")

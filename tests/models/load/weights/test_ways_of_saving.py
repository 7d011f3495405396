"""Every way in which people save weights loads to the same network, and says what was done."""

from __future__ import annotations

import argparse
import collections
import copy
import functools
import pathlib
import pickle
import types

import numpy as np
import pytest
import timm.utils
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from tests.models.load.weights.networks import Net, equal, loaded, prefixed, trained


def checkpoint(net, **more):
    """What a training script saves beside the weights."""
    net = copy.deepcopy(net)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    return {"epoch": 3, "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), **more}


class Config(dict):
    """A mapping of a package that is not here."""


class Weights(collections.OrderedDict):
    """An OrderedDict of a package that is not here."""


class Wrapped(nn.Module):
    """A training's module around the network, with a loss and a metric of its own."""

    def __init__(self, net):
        super().__init__()
        self.model = net
        self.criterion = nn.CrossEntropyLoss(weight=torch.ones(10))
        self.register_buffer("class_weights", torch.ones(10))


def numpy_arrays(state):
    return {name: value.numpy() for name, value in state.items()}


# What is saved of a network, by the name of the way; torch.save writes it.
SAVED = {
    "state dict": lambda net: net.state_dict(),
    "plain dict": lambda net: dict(net.state_dict()),
    "OrderedDict subclass": lambda net: Weights(net.state_dict()),
    "defaultdict": lambda net: collections.defaultdict(list, net.state_dict()),
    "parameters": lambda net: dict(net.named_parameters()) | dict(net.named_buffers()),
    "list of model and optimiser": lambda net: [net.state_dict(), checkpoint(net)["optimizer"]],
    "tuple with an epoch": lambda net: (3, net.state_dict()),
    "checkpoint": lambda net: checkpoint(net, state_dict=net.state_dict()),
    "PyTorch's tutorial": lambda net: checkpoint(net, model_state_dict=net.state_dict(), loss=torch.tensor(0.5)),
    "detectron2": lambda net: checkpoint(net, model=net.state_dict(), scheduler={"last_epoch": 3}),
    "BasicSR": lambda net: {"params": net.state_dict()},
    "MMEngine": lambda net: {"meta": Config(time="now"), "state_dict": net.state_dict(), "message_hub": Config()},
    "Composer": lambda net: {"state": {"model": net.state_dict(), "optimizers": {"Adam": {}}}, "rng": []},
    "DeepSpeed": lambda net: {
        "module": {name: value.clone() for name, value in net.state_dict().items()},
        "optimizer": None,
        "ds_config": {"zero_optimization": {"stage": 1}},
        "ds_version": "0.16.2",
        "param_shapes": [collections.OrderedDict((name, value.shape) for name, value in net.state_dict().items())],
    },
    "DataParallel": lambda net: nn.DataParallel(net).state_dict(),
    "compiled": lambda net: torch.compile(net).state_dict(),
    "compiled in DataParallel": lambda net: nn.DataParallel(torch.compile(net)).state_dict(),
    "DataParallel compiled": lambda net: torch.compile(nn.DataParallel(net)).state_dict(),
    "compiled layer": lambda net: {
        name.replace("features.", "features._orig_mod."): value for name, value in net.state_dict().items()
    },
    "FSDP and checkpointing": lambda net: {
        f"_fsdp_wrapped_module.{name}".replace("fc.", "fc._checkpoint_wrapped_module."): value
        for name, value in net.state_dict().items()
    },
    "parallel layer": lambda net: {
        name.replace("features.", "features.module."): value for name, value in net.state_dict().items()
    },
    "AveragedModel": lambda net: torch.optim.swa_utils.AveragedModel(net).state_dict(),
    "timm's ModelEmaV2": lambda net: timm.utils.ModelEmaV2(net).state_dict(),
    "training module": lambda net: {"state_dict": Wrapped(net).state_dict()},
    "backbone of a detector": lambda net: prefixed(net.state_dict(), "backbone", "body") | {"rpn.bias": torch.ones(3)},
    "half precision": lambda net: {
        name: value.half() if value.is_floating_point() else value for name, value in net.state_dict().items()
    },
    "without counters": lambda net: {
        name: value for name, value in net.state_dict().items() if "num_batches" not in name
    },
    "counts of operations": lambda net: (
        net.state_dict() | {"fc.total_ops": torch.zeros(1), "total_params": torch.ones(1)}
    ),
    "whole module": lambda net: net,
    "whole module in DataParallel": lambda net: nn.DataParallel(net),
    "whole module in a checkpoint": lambda net: {"model": net, "ema": None, "updates": 3, "git": {"branch": "main"}},
    "whole training module": Wrapped,
    "Namespace": lambda net: {"args": argparse.Namespace(lr=0.1, out=pathlib.Path("runs")), "model": net.state_dict()},
    "SimpleNamespace": lambda net: types.SimpleNamespace(epoch=3, weights=net.state_dict()),
    "numpy scalars": lambda net: {"best": np.float64(0.9), "epoch": np.int64(3), "net": net.state_dict()},
    "numpy arrays": lambda net: {"model": numpy_arrays(net.state_dict()), "__author__": "someone"},
    "classes and functions": lambda net: {"model": net.state_dict(), "class": Net, "loss": nn.functional.mse_loss},
    "partial and set": lambda net: {"state_dict": net.state_dict(), "init": functools.partial(print, 3), "tags": {"a"}},
    "dtype, size and device": lambda net: {
        "net": net.state_dict(),
        "dtype": torch.float16,
        "size": torch.Size((3, 8)),
        "device": torch.device("cpu"),
    },
    "sparse and complex beside": lambda net: {
        "network": net.state_dict(),
        "graph": torch.eye(3).to_sparse(),
        "spectrum": torch.ones(2, dtype=torch.complex64),
    },
    "views of one storage": lambda net: dict(zip(net.state_dict(), views(net.state_dict().values()), strict=True)),
}


def views(tensors):
    flat = torch.cat([tensor.flatten().float() for tensor in tensors])
    return [
        part.view(tensor.shape) for part, tensor in zip(flat.split([t.numel() for t in tensors]), tensors, strict=True)
    ]


# How torch and pickle write it.
FORMATS = {
    "zip": torch.save,
    "legacy": functools.partial(torch.save, _use_new_zipfile_serialization=False),
    "protocol 5": functools.partial(torch.save, pickle_protocol=5),
    "pickle": lambda value, path: path.write_bytes(pickle.dumps(value)),
    "pickle 0": lambda value, path: path.write_bytes(pickle.dumps(value, 0)),
}


@pytest.mark.parametrize("way", SAVED)
@pytest.mark.parametrize("form", FORMATS)
def test_every_way_of_saving_loads_to_the_same_network(tmp_path, way, form):
    net = trained()
    FORMATS[form](SAVED[way](copy.deepcopy(net)), tmp_path / "weights.pt")
    state = loaded(tmp_path / "weights.pt").module.state_dict()
    if way == "without counters":
        state["features.1.num_batches_tracked"] = net.state_dict()["features.1.num_batches_tracked"]
    assert equal(state, net.state_dict())


ENVELOPES = ("state_dict", "model", "net", "checkpoint", "trained", 0)
PREFIXES = ("module", "_orig_mod", "model", "net", "backbone", "encoder", "student", "_forward_module")
BESIDE = {
    "epoch": 3,
    "lr": np.float32(0.1),
    "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    "args": argparse.Namespace(arch="net", out=pathlib.Path("runs")),
    "criterion.weight": torch.ones(10),
    "metrics": {"acc": torch.tensor(0.5)},
    "hook": print,
}


@settings(max_examples=60, deadline=None)
@given(
    envelopes=st.lists(st.sampled_from(ENVELOPES), max_size=3),
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=4),
    beside=st.lists(st.sampled_from(sorted(BESIDE)), unique=True),
    form=st.sampled_from(sorted(FORMATS)),
)
def test_envelopes_prefixes_and_what_is_beside_in_any_order_and_number(
    tmp_path_factory, envelopes, prefixes, beside, form
):
    net, path = trained(), tmp_path_factory.mktemp("saved") / "weights.ckpt"
    saved = prefixed(net.state_dict(), *prefixes)
    for envelope in reversed(envelopes):
        saved = {envelope: saved, **{name: BESIDE[name] for name in beside}}
    FORMATS[form](saved, path)
    fitted = loaded(path)
    assert equal(fitted.module.state_dict(), net.state_dict())
    said = "; ".join(fitted.notes)
    assert ("taken from" in said) == bool(envelopes)
    assert ("stripped" in said) == bool(prefixes)
    assert ("criterion" in said) == bool(envelopes and "criterion.weight" in beside)
    assert ("argparse.Namespace" in said) == bool(envelopes and "args" in beside)

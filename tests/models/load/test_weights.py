"""Files of weights: every way they are saved, every way they do not fit."""

from __future__ import annotations

import pickle
import re
import warnings

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision import models

from unconv.errors import ModelError
from unconv.models.load.weights import check_finite, current_densenet_names, fit_weights, read_state_dict


def small(classes=None):
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, classes or 10))


def fit(state, build=small):
    return fit_weights(build, state, dict, "weights")


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    "form", ["torch", "legacy torch", "safetensors", "checkpoint", "lightning", "parallel", "compiled"]
)
def test_every_way_of_saving_is_read(tmp_path, form):
    path, state = tmp_path / "weights", small().state_dict()
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    elif form == "legacy torch":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif form == "checkpoint":
        torch.save({"epoch": 3, "model_state_dict": state, "optimizer": {"state": {}}}, path)
    elif form == "lightning":
        torch.save({"state_dict": {f"model.{key}": value for key, value in state.items()}}, path)
    elif form == "parallel":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    elif form == "compiled":
        torch.save({f"_orig_mod.{key}": value for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    assert equal(fit(read_state_dict(path)).state_dict(), state)


class Surprise:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda _: None, "there is no such file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_text("no weights here"), "is no weights file"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "cannot be read"),
        (lambda path: path.write_bytes(b"\x10\0\0\0\0\0\0\0{" + bytes(100)), "cannot be read"),
        (lambda path: path.write_bytes(pickle.dumps(Surprise())), "holds Python objects"),
        (lambda path: torch.save(Surprise(), path), "holds Python objects"),
        (lambda path: torch.save(small(), path), "holds Python objects"),
        (lambda path: torch.save({"epoch": 3}, path), "no tensors by name"),
        (lambda path: torch.save([torch.zeros(3)], path), "no tensors by name"),
        (lambda path: torch.save({"state_dict": {}}, path), "no tensors by name"),
    ],
)
def test_what_is_no_file_of_tensors_is_refused_in_one_line(tmp_path, make, rule, capsys):
    make(tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=rule) as caught:
        read_state_dict(tmp_path / "weights.pth")
    assert "\n" not in str(caught.value)
    assert "weights.pth" in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(small().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        read_state_dict(path)


def test_missing_unexpected_and_misshapen_tensors_are_counted_and_named():
    state = small().state_dict()
    del state["1.weight"], state["1.bias"], state["1.running_mean"], state["1.running_var"]
    state["head.weight"] = torch.zeros(1)
    state["0.weight"] = torch.zeros(4, 1, 5, 5)
    with pytest.raises(ModelError) as caught:
        fit(state)
    assert str(caught.value) == (
        "weights: 4 missing (1.weight, 1.bias, 1.running_mean, …), 1 unexpected (head.weight), "
        "1 of another shape (0.weight [4, 1, 5, 5] for [4, 1, 3, 3])"
    )


def test_the_network_follows_the_number_of_classes_in_the_file():
    state = small(7).state_dict()
    module = fit(state)
    assert module[3].out_features == 7
    assert equal(module.state_dict(), state)


def test_another_width_is_not_taken_for_a_number_of_classes():
    other = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 10))
    with pytest.raises(ModelError, match="of another shape"):
        fit(other.state_dict())
    # One convolution alone is wider: a network with 8 classes would not fit either.
    state = small().state_dict() | {"0.weight": torch.zeros(8, 1, 3, 3), "0.bias": torch.zeros(8)}
    with pytest.raises(ModelError, match=r"2 of another shape \(0.weight \[8, 1, 3, 3\] for \[4, 1, 3, 3\]"):
        fit(state)


def test_batch_norm_counters_may_be_missing_as_in_old_files():
    state = {key: value for key, value in small().state_dict().items() if "num_batches" not in key}
    fit(state)


def test_half_precision_files_load():
    state = {key: value.half() if value.is_floating_point() else value for key, value in small().state_dict().items()}
    module = fit(state)
    assert module[0].weight.dtype == torch.float32
    assert torch.equal(module[0].weight, state["0.weight"].float())


def test_published_densenet_names_are_understood():
    today = [key for key in models.densenet121(weights=None).state_dict() if "num_batches" not in key]
    published = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): torch.zeros(1) for key in today}
    assert published.keys() != set(today)
    assert list(current_densenet_names(published)) == today


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("where", ["0.weight", "1.running_var", "3.bias"])
def test_weights_that_are_not_finite_are_named(bad, where):
    module = small()
    module.state_dict()[where].view(-1)[0] = bad
    if where == "1.running_var" and bad == float("-inf"):
        # A buffer of −∞ may be an attention mask.
        check_finite(module, "net")
        return
    with pytest.raises(ModelError, match=f"net: weights are not finite: {where} has 1 NaN or infinite values of"):
        check_finite(module, "net")


def test_lazy_layers_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy = nn.Sequential(nn.LazyConv2d(4, 3))
    with pytest.raises(ModelError, match="lazy layer"):
        check_finite(lazy, "net")

"""Files of weights: every way they are saved, every way they do not fit."""

from __future__ import annotations

import re
import warnings

import pytest
import torch
from torch import nn
from torchvision import models

from unconv.errors import ModelError
from unconv.models.load.from_torchvision import current_densenet_names
from unconv.models.load.weights.contents import contents_of
from unconv.models.load.weights.finite import check_finite
from unconv.models.load.weights.fit import fit_weights


def small(classes=None):
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, classes or 10))


def fit(state, build=small):
    return fit_weights(build, contents_of(state), dict, "weights").module


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_missing_unexpected_and_misshapen_tensors_are_counted_and_named():
    state = small().state_dict()
    del state["1.weight"], state["1.bias"], state["1.running_mean"], state["1.running_var"]
    state["head.weight"] = torch.zeros(1)
    state["0.weight"] = torch.zeros(4, 1, 5, 5)
    with pytest.raises(ModelError) as caught:
        fit(state)
    assert str(caught.value) == (
        "weights: do not fit the network: 4 missing (1.weight, 1.bias, 1.running_mean, 1.running_var), "
        "1 unexpected (head.weight), 1 of another shape (0.weight [4, 1, 5, 5] for [4, 1, 3, 3])"
    )


def test_the_network_follows_the_number_of_classes_in_the_file():
    state = small(7).state_dict()
    module, notes = fit_weights(small, contents_of(state), dict, "weights")
    assert notes == ("built for the number of classes of the file",)
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


def test_five_names_of_each_side_are_shown():
    state = {f"stage{number}.kernel": torch.zeros(1) for number in range(8)}
    with pytest.raises(ModelError) as caught:
        fit(state)
    assert str(caught.value) == (
        "weights: do not fit the network: 8 missing (0.weight, 0.bias, 1.weight, 1.bias, 1.running_mean, …), "
        "8 unexpected (stage0.kernel, stage1.kernel, stage2.kernel, stage3.kernel, stage4.kernel, …)"
    )


def test_names_that_fit_in_part_are_compared_without_their_prefix():
    state = {f"net.{name}": tensor for name, tensor in small().state_dict().items() if name != "3.bias"}
    with pytest.raises(ModelError) as caught:
        fit(state | {"net.3.offset": torch.zeros(1)})
    assert str(caught.value) == (
        "weights: do not fit the network: under net. of the file, 1 missing (3.bias), 1 unexpected (3.offset)"
    )


def test_tensors_without_values_and_networks_without_tensors_are_refused():
    with pytest.raises(ModelError, match=r"without values \(0.weight, .*\): saved on the meta device"):
        fit({name: tensor.to("meta") for name, tensor in small().state_dict().items()})
    with pytest.raises(ModelError, match="the network, which has no weights"):
        fit(small().state_dict(), lambda _: nn.ReLU())


def test_what_torch_refuses_is_told_in_one_line():
    with pytest.raises(ModelError, match="torch refuses them: ") as caught:
        fit(small().state_dict() | {"3.weight": torch.ones(10, 4).to_sparse()})
    assert "\n" not in str(caught.value)


def test_a_file_with_one_other_tensor_is_refused():
    with pytest.raises(ModelError, match=r"do not fit the network: 8 missing \(.*\), 1 unexpected \(other\)"):
        fit({"other": torch.zeros(1)})


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int8, torch.bool])
def test_other_numbers_than_the_networks_are_refused(dtype):
    state = small().state_dict()
    state["3.weight"] = torch.ones(10, 4, dtype=dtype)
    with pytest.raises(ModelError, match=r"1 of other numbers \(3.weight \w+ for float32\)"):
        fit(state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_is_converted_and_told(dtype):
    state = {name: tensor.to(dtype) for name, tensor in small().state_dict().items()}
    _, notes = fit_weights(small, contents_of(state), dict, "weights")
    assert notes == (f"{str(dtype).removeprefix('torch.')} of the file taken as float32",)


def test_a_prefix_that_fits_a_few_names_is_not_the_nearest():
    state = {f"net_{name}": tensor for name, tensor in small().state_dict().items()}
    with pytest.raises(
        ModelError, match=r"^weights: do not fit the network: 8 missing \(.*\), 9 unexpected \(net_0.weight"
    ):
        fit(state)

"""Weights that are computed of others: read as the pass computes them, and set through what they are computed of."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

from unconv.errors import UnconvError
from unconv.network.run.computed_weights import class_name, computed_by, detached_weights, set_weight, weight_of
from unconv.network.trace.trace import trace


def old(name: str) -> Callable[[nn.Module], nn.Module]:
    def made(layer: nn.Module) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            wrapped: nn.Module = getattr(nn.utils, name)(layer)
            return wrapped

    return made


def pruned(layer: nn.Module) -> nn.Module:
    return prune.l1_unstructured(layer, "weight", 0.3)  # type: ignore[no-any-return]


WAYS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight_norm, old": old("weight_norm"),
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm, old": old("spectral_norm"),
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "pruned": pruned,
    "plain": lambda layer: layer,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("training", [True, False])
def test_the_weight_is_that_of_the_pass(way: str, training: bool) -> None:
    torch.manual_seed(0)
    layer = WAYS[way](nn.ConvTranspose2d(4, 3, 3, stride=2, bias=False)).train(training)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(torch.rand_like(parameter) + 0.5)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    weight, x = weight_of(layer), torch.randn(1, 4, 5, 5)
    assert weight is not None
    assert layer.training is training
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
    torch.testing.assert_close(F.conv_transpose2d(x, weight, stride=2), layer.eval()(x))


@pytest.mark.parametrize("way", WAYS)
def test_a_weight_that_is_set_is_the_one_or_refused(way: str) -> None:
    torch.manual_seed(0)
    layer = WAYS[way](nn.Conv2d(4, 3, 3))
    wanted = torch.randn(3, 4, 3, 3)
    if way == "pruned":
        with pytest.raises(UnconvError, match="L1Unstructured computes it"):
            set_weight(layer, wanted)
        return
    if way == "orthogonal":
        return  # keeps what it can keep of a weight
    set_weight(layer, wanted)
    weight = weight_of(layer)
    assert weight is not None
    if "spectral" in way:
        # By the definition of Miyato et al. (2018): the largest singular value is 1.
        wanted = wanted / torch.linalg.matrix_norm(wanted.flatten(1), 2)
        torch.testing.assert_close(weight, wanted, rtol=1e-3, atol=1e-4)
    else:
        torch.testing.assert_close(weight, wanted)
    layer(torch.randn(1, 4, 5, 5)).sum().backward()
    assert all(one.grad is not None for one in layer.parameters())


@pytest.mark.parametrize("way", WAYS)
def test_models_with_such_layers_are_copied_and_named_by_their_own_names(way: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), WAYS[way](nn.Conv2d(4, 4, 3)))
    x = torch.randn(1, 3, 9, 9)
    twin = copy.deepcopy(model, detached_weights(model))
    torch.testing.assert_close(twin.eval()(x), model.eval()(x))
    assert [(one.name, one.module_type) for one in trace(model, (3, 9, 9))] == [("0", "Conv2d"), ("1", "Conv2d")]
    assert class_name(model[1]) == "Conv2d"
    assert bool(computed_by(model[1])) is (way != "plain")


def test_what_is_not_known_is_not_said() -> None:
    class Sets(nn.Conv2d):
        def forward(self, input: Any) -> Any:
            return super().forward(input)

    layer = Sets(3, 3, 3)
    weight = layer.weight
    del layer.weight
    layer.kept = weight
    layer.weight = 2 * weight
    assert computed_by(layer) == "code of its own"
    assert weight_of(layer) is None
    with pytest.raises(UnconvError, match="code of its own computes it"):
        set_weight(layer, torch.zeros(3, 3, 3, 3))

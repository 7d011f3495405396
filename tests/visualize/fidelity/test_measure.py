"""Figures of fidelity against projections made by hand, and a model that is as before whatever happens."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.visualize.fidelity import measure as module
from unconv.visualize.fidelity.measure import fidelity
from unconv.visualize.fidelity.randomise import layers_below, split_layers
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.project_units import Pick

REVERSE_RULES = ["deconvnet", "guided", "gradient"]
IMAGES = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
PICKS = [Pick(n % 3, unit, (n, 2)) for unit in (4, 1) for n in range(4)]


def net(pooling: bool, rectified: bool = True) -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU() if rectified else nn.Identity(),
        nn.MaxPool2d(2) if pooling else nn.Conv2d(4, 4, 2, stride=2),
        nn.ReLU6() if rectified else nn.Identity(),
        nn.Conv2d(4, 6, 3),
    )


def cosine(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum() / one.norm() / other.norm()


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_deconvnet_without_switches_differs_only_in_position(seed: int) -> None:
    model = net(pooling=False)
    images = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    found = fidelity(model, images, "4", PICKS)[4]
    shown = project(model, images, "4", 4, (1, 2)).image
    assert torch.equal(shown[0], shown[3])
    assert shown.any()
    assert (found.gate_counts.used, found.gate_counts.switches) == (0, 0)
    assert found.gate_counts.gates > 0
    assert found.other_image is not None
    assert found.other_image.cosine == pytest.approx(1)
    assert "differ only in position" in found.verdict
    assert "use guided (Springenberg et al. 2014)" in found.verdict


def test_guided_without_switches_depends_on_the_image() -> None:
    found = fidelity(net(pooling=False), IMAGES, "4", PICKS, "guided")[4]
    assert found.gate_counts.gates_used > 0
    assert "position" not in found.verdict


@pytest.mark.parametrize("rule", REVERSE_RULES)
def test_linear_network_gives_every_image_the_same(rule: str) -> None:
    found = fidelity(net(pooling=False, rectified=False), IMAGES, "4", PICKS, rule)[1]
    assert found.other_image is not None
    assert found.other_image.cosine == pytest.approx(1)
    assert "linear up to this unit" in found.verdict
    assert found.gate_counts.gates == found.gate_counts.switches == 0


@pytest.mark.parametrize("rule", REVERSE_RULES)
def test_likenesses_are_those_of_projections_made_by_hand(rule: str) -> None:
    model = net(pooling=True).double()
    images, picks = IMAGES.double(), [Pick(0, 4, (2, 3)), Pick(2, 4, (0, 1))]
    found = fidelity(model, images, "4", picks, rule, others=9, seed=11)[4]

    def shown(model: nn.Module, pick: Pick, unit: int = 4, image: int | None = None) -> Tensor:
        number = pick.image if image is None else image
        return project(model, images[number][None], "4", unit, pick.position, rule).image

    def mean(other: Callable[[Pick], list[Tensor]]) -> float:
        return float(
            torch.stack([cosine(shown(model, pick), o) for pick in picks for o in other(pick) if o.any()]).mean()
        )

    way = layers_below(model, images[:1], "4")
    expected: dict[str, float] = {
        "other_units": mean(lambda pick: [shown(model, pick, unit) for unit in range(6) if unit != 4]),
        "other_image": mean(lambda pick: [shown(model, pick, image=2 - pick.image)]),
    }
    for half, name in zip(split_layers(model, way), ("below", "above"), strict=True):
        other = copy.deepcopy(model)
        with torch.random.fork_rng():
            torch.manual_seed(11)
            for layer in half:
                other.get_submodule(layer).reset_parameters()
        expected[name] = mean(lambda pick, other=other: [shown(other, pick)])
    for name, value in expected.items():
        assert getattr(found, name).cosine == pytest.approx(value, abs=1e-6), name


def test_switches_are_all_that_deconvnet_owes_to_the_image() -> None:
    found = fidelity(net(pooling=True), IMAGES, "4", PICKS)[4]
    # Nine cells of four maps, a picture.
    assert found.gate_counts.switches == 4 * 36
    assert 0 < found.gate_counts.switches_used <= found.gate_counts.switches
    assert found.gate_counts.gates_used == 0
    assert f"{found.gate_counts.switches_used / 4:.0f} switches" in found.verdict


def test_units_with_the_same_kernel_are_found_out() -> None:
    model = net(pooling=True)
    with torch.no_grad():
        model[4].weight.copy_(model[4].weight[:1].expand(6, -1, -1, -1))
    found = fidelity(model, IMAGES, "4", PICKS, "gradient")[4]
    assert found.other_units is not None
    assert found.other_units.cosine == pytest.approx(1)
    assert "Mahendran & Vedaldi 2016" in found.verdict


def test_units_that_see_different_channels_are_nothing_alike() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU())
    images = torch.rand(2, 4, 8, 8)
    with torch.no_grad():
        model[0].weight.abs_()
    found = fidelity(model, images, "1", [Pick(0, 2, (1, 1)), Pick(1, 2, (4, 1))], "guided")[2]
    assert found.other_units is not None
    assert found.other_units.cosine == 0
    assert found.other_units.pairs == 2 * 3


def test_same_seed_same_figures_whichever_units_are_asked_for() -> None:
    model = net(pooling=True)
    found = fidelity(model, IMAGES, "4", PICKS, "guided", others=2, seed=3)
    assert list(found) == [4, 1]
    assert fidelity(model, IMAGES, "4", PICKS, "guided", others=2, seed=3) == found
    alone = fidelity(model, IMAGES, "4", [pick for pick in PICKS if pick.unit == 1], "guided", others=2, seed=3)
    assert alone[1].as_row() == found[1].as_row()
    assert fidelity(model, IMAGES, "4", PICKS, "guided", others=2, seed=4)[1].above != found[1].above


def test_units_taken_apart_give_what_they_give_together(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net(pooling=True)
    together = fidelity(model, IMAGES, "4", PICKS, "guided")
    monkeypatch.setattr(module, "HELD", 1)
    assert fidelity(model, IMAGES, "4", PICKS, "guided") == together


def state_of(model: nn.Module) -> list[Any]:
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()]
    flags = [part.training for part in model.modules()] + [value.requires_grad for value in model.parameters()]
    gradients = [value.grad is None for value in model.parameters()]
    return [hooks, flags, gradients, [id(value) for value in model.parameters()]]


class Failing(nn.Module):
    """Fails from some call on."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        # A number would be put back after each pass, as all that a model changes.
        self.calls = itertools.count(1)

    def forward(self, x: Tensor) -> Tensor:
        if next(self.calls) > self.after:
            raise RuntimeError("out of order")
        return x


@pytest.mark.parametrize("after", [1, 2, 3, 99])
def test_model_and_generators_are_as_before(after: int) -> None:
    model = net(pooling=True).append(Failing(after)).train()
    model[0].weight.requires_grad_(False)
    before = (copy.deepcopy(model.state_dict()), state_of(model), torch.get_rng_state())
    if after < 99:
        with pytest.raises(ModelError, match="out of order"):
            fidelity(model, IMAGES, "5", PICKS, "guided")
    else:
        fidelity(model, IMAGES, "5", PICKS, "guided")
    assert state_of(model) == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert all(torch.equal(value, before[0][key]) for key, value in model.state_dict().items())


def test_unit_that_sends_nothing_back_is_told() -> None:
    model = net(pooling=True)
    with torch.no_grad():
        model[4].weight.neg_().abs_().neg_()
    found = fidelity(model, IMAGES, "4", PICKS)[4]
    assert found.empty == found.pictures == 4
    assert "zero everywhere" in found.verdict
    assert found.other_image is None


def test_one_layer_one_unit_and_one_image_have_nothing_to_compare_with() -> None:
    found = fidelity(nn.Sequential(nn.Conv2d(1, 1, 3)), IMAGES[:1], "0", [Pick(0, 0, (1, 1))])[0]
    assert (found.other_image, found.other_units, found.below) == (None, None, None)
    assert found.above is not None
    assert found.verdict.startswith("This projection shows only the position")


def test_compiled_model_is_measured_as_what_it_was_made_from() -> None:
    model = net(pooling=True)
    compiled: Any = torch.compile(model)
    assert fidelity(compiled, IMAGES, "4", PICKS, "guided") == fidelity(model, IMAGES, "4", PICKS, "guided")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"picks": []}, "fidelity: no picks; give one or more"),
        ({"others": -1}, "fidelity: others -1; give 0 or more"),
        ({"seed": -2}, "fidelity: seed -2; give 0 or more"),
        ({"rule": "lrp"}, "'lrp' is not one of"),
        ({"layer": "9"}, "9"),
        ({"picks": [Pick(0, 6, (0, 0))]}, "unit 6 of layer '4'"),
        ({"picks": [Pick(7, 0, (0, 0))]}, "image 7 of 4"),
    ],
)
def test_refusals_are_one_line(change: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"layer": "4", "picks": PICKS, "rule": "guided"} | change
    with pytest.raises(UnconvError, match=words) as refused:
        fidelity(net(pooling=True), IMAGES, **arguments)
    assert "\n" not in str(refused.value)

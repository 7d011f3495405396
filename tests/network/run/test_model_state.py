"""A model is left exactly as it was: whatever it holds, whatever it does when it runs, and however that ends."""

from __future__ import annotations

import copy
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings, strategies as st
from torch import nn

import unconv as uc
from tests.network.run.odd_models import CHANGES, ODD, Last, Odd
from tests.network.run.snapshot import snapshot
from unconv.errors import ModelError
from unconv.network.audit.channel_means import channel_means
from unconv.network.run import model_state
from unconv.network.run.model_state import at_rest, preserve, read_state
from unconv.visualize.experiments.evolution import evolution
from unconv.visualize.experiments.partial_forward import forward_values
from unconv.visualize.fidelity.randomise import randomise_layers
from unconv.visualize.layers import list_feature_maps
from unconv.visualize.reverse.project_units import Pick

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def explain(model: nn.Module) -> None:
    with pytest.raises(RuntimeError), uc.explain_shapes():
        model(torch.zeros(1, 4, 8, 8))


# Each runs a model, or traces it.
RUNS: dict[str, Callable[[nn.Module], Any]] = {
    "trace": lambda model: uc.trace(model, (3, 8, 8)),
    "audit": lambda model: uc.audit(model, (3, 8, 8)),
    "channel means": lambda model: channel_means(model, [IMAGES], [model.get_submodule("conv")]),
    "project": lambda model: uc.project(model, IMAGES, "conv", 1),
    "scan": lambda model: uc.scan(model, IMAGES, ["conv"], top=2),
    "scan in bfloat16": lambda model: uc.scan(model, IMAGES, ["conv"], top=2, dtype=torch.bfloat16),
    "fidelity": lambda model: uc.fidelity(model, IMAGES, "conv", [Pick(0, 1, (2, 2))]),
    "feature maps": lambda model: list_feature_maps(model, IMAGES[:1]),
    "forward values": lambda model: forward_values(model, IMAGES, ["conv"], output=True),
    "randomised": lambda model: randomise_layers(model, {"conv": ["conv.weight"]}, seed=0),
    "evolution": lambda model: evolution(model, [copy_of(model.state_dict())], IMAGES, "conv", units=[0]),
}


def copy_of(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.ones_like(one) for name, one in state.items()}


def run(name: str, model: nn.Module) -> None:
    """One of the runs; models that it refuses in one line are its own affair."""
    refusal = ""
    try:
        RUNS[name](model)
    except uc.UnconvError as error:
        refusal = str(error)
    assert "put back" not in refusal
    assert "\n" not in refusal


@pytest.mark.parametrize("name", RUNS)
def test_whatever_a_model_holds_is_left_as_it_was_by_every_function(name: str) -> None:
    changes = [change for _, change in ODD.values()]

    def change_all(odd: Odd) -> None:
        for change, one in zip(changes, odd.held, strict=True):
            if change is not None:
                change(one)

    model = Odd(tuple(make() for make, _ in ODD.values()), change_all)
    before = snapshot(model)
    run(name, model)
    assert snapshot(model) == before


@pytest.mark.parametrize("name", ["trace", "channel means", "project", "forward values"])
@pytest.mark.parametrize("kind", ODD)
def test_what_a_model_holds_is_left_as_it_was(kind: str, name: str) -> None:
    make, change = ODD[kind]
    model = Odd(make(), None if change is None else lambda odd: change(odd.held))
    before = snapshot(model)
    run(name, model)
    assert snapshot(model) == before


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("kind", CHANGES)
def test_what_a_model_does_to_itself_is_undone(kind: str, name: str) -> None:
    model = Odd(change=CHANGES[kind])
    before = snapshot(model)
    run(name, model)
    assert snapshot(model) == before


@pytest.mark.parametrize("name", ["trace", "channel means", "project", "scan", "forward values", "feature maps"])
@pytest.mark.parametrize("failure", [RuntimeError("no"), KeyError("no"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("kind", ["frozen dict, emptied", "read-only list", "array", "tensor"])
def test_a_model_that_fails_or_is_stopped_is_left_as_it_was(kind: str, failure: BaseException, name: str) -> None:
    make, change = ODD[kind]
    model = Odd(make(), None if change is None else lambda odd: change(odd.held), failure)
    before = snapshot(model)
    try:
        run(name, model)
    except type(failure):
        pass
    assert snapshot(model) == before


@pytest.mark.parametrize("kind", ODD)
def test_explain_shapes_leaves_a_model_as_the_failed_call_did(kind: str) -> None:
    make, _ = ODD[kind]
    model = Odd(make())
    before = snapshot(model)
    explain(model)
    assert snapshot(model) == before


@pytest.mark.parametrize("name", RUNS)
def test_a_mode_that_a_property_holds_does_not_stop_the_rest(name: str) -> None:
    class Stubborn(Odd):
        def __setattr__(self, key: str, value: Any) -> None:
            if key == "training" and "training" in vars(self):
                raise AttributeError("read-only")
            super().__setattr__(key, value)

    model = Stubborn()
    before = snapshot(model)
    run(name, model)
    assert snapshot(model) == before


def test_evaluation_mode_is_set_without_the_models_own_train() -> None:
    class Merging(Odd):
        def train(self, mode: bool = True) -> Merging:
            self.conv.weight.data += 1
            return super().train(mode)

    model = Merging()
    before = snapshot(model)
    with at_rest(model):
        assert not any(module.training for module in model.modules())
    assert snapshot(model) == before


def test_batch_norm_in_training_is_put_back_by_value() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = snapshot(model)
    with preserve(model):
        model(IMAGES)
        assert model[1].num_batches_tracked == 1
    assert snapshot(model) == before


def test_parameters_are_put_back_by_value_if_asked() -> None:
    model = nn.Linear(2, 2)
    before = snapshot(model)
    with preserve(model, parameters=True), torch.no_grad():
        model.weight.fill_(torch.nan)
    assert snapshot(model) == before


def test_a_lazy_model_is_lazy_again() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    with preserve(model):
        model(IMAGES)
        assert type(model[0]) is nn.Conv2d
    assert type(model[0]) is nn.LazyConv2d
    assert model[0].has_uninitialized_params()
    assert model[1].has_uninitialized_params()
    assert model(IMAGES).shape == (2, 4, 6, 6)


def test_what_did_not_change_is_not_written() -> None:
    model = Odd(["a"])
    versions = {name: one._version for name, one in (*model.named_parameters(), *model.named_buffers())}
    inner = model.held
    with at_rest(model, frozen=False), torch.no_grad():
        model(IMAGES)
    assert model.held is inner
    assert {name: one._version for name, one in (*model.named_parameters(), *model.named_buffers())} == versions


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_scripted_parts_get_their_mode_back() -> None:
    model = nn.Sequential(torch.jit.script(nn.Sequential(nn.Dropout())), nn.Dropout())
    with at_rest(model):
        assert not model[0].training
        assert not any(module.training for module in model.modules())
    assert model[0].training
    assert all(module.training for module in model.modules())


def test_shared_modules_and_tensors_stay_shared() -> None:
    last = Last()
    model = nn.Sequential(last, last)
    model.one = model.other = [torch.zeros(1)]
    before = snapshot(model)
    with preserve(model):
        model.one[0].add_(1)
        model.other = []
        last.trail.append(1)
    assert snapshot(model) == before
    assert model.one is model.other


def test_what_cannot_be_put_back_is_said_after_the_rest_is() -> None:
    class Stuck(torch.Generator):
        def set_state(self, _state: torch.Tensor) -> None:
            raise OSError("stuck")

    model = nn.Sequential(nn.ReLU())
    model.generator = Stuck()
    model.trail = [1]

    def change() -> None:
        with preserve(model):
            torch.rand(1, generator=model.generator)
            model.trail.append(2)
            model.eval()

    with pytest.raises(ModelError, match=r"model: Sequential was changed and cannot be put back: Stuck \(stuck\)"):
        change()
    assert model.training
    assert model.trail == [1]


ENTRIES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3).map(OrderedDict),
        st.lists(inner, max_size=3).map(deque),
        st.sets(st.integers(), max_size=3),
        st.tuples(inner, inner),
    ),
    max_leaves=8,
)


def containers(value: Any) -> list[Any]:
    """All that can be changed in a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, deque)) else ()
    own = [value] if isinstance(value, (list, dict, set, deque)) else []
    return own + [one for part in inside for one in containers(part)]


@settings(max_examples=200, deadline=None)
@given(ENTRIES, st.data())
def test_nested_containers_are_put_back_whatever_is_done_to_them(held: Any, data: st.DataObject) -> None:
    model = nn.ReLU()
    model.held = held
    before, equal = snapshot(model), copy.deepcopy(held)
    with preserve(model):
        for container in data.draw(st.lists(st.sampled_from(containers([held])), max_size=4)):
            change = data.draw(st.sampled_from(["clear", "grow"]))
            if change == "clear":
                container.clear()
            elif isinstance(container, dict):
                container["new"] = container
            elif isinstance(container, set):
                container.add("new")
            else:
                container.append(container)
    assert snapshot(model) == before
    assert model.held == equal


@pytest.mark.parametrize("build", ["alexnet", "shufflenet_v2_x0_5", "swin_t"])
def test_torchvisions_models_are_left_as_they_were(build: str) -> None:
    model = torchvision.models.get_model(build, weights=None)
    before = snapshot(model)
    uc.trace(model, (3, 64, 64) if build == "alexnet" else (3, 224, 224))
    assert snapshot(model) == before


def test_a_block_inside_another_around_the_same_model_reads_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(
        model_state, "read_state", lambda *given, **more: read.append(given) or read_state(*given, **more)
    )
    model = nn.Sequential(nn.Dropout(), nn.Linear(2, 2)).train()
    with at_rest(model):
        with at_rest(model):
            model[0].train()
        with at_rest(model):
            assert not any(module.training for module in model.modules())
        with at_rest(model, frozen=False), at_rest(nn.ReLU()):
            pass
    assert len(read) == 3
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    with at_rest(model):
        assert len(read) == 4


def test_arrays_that_nobody_can_write_to_are_not_copied() -> None:
    model = nn.Linear(2, 2)
    model.pictures = np.broadcast_to(np.float32(0.5), (1 << 44,))  # 64 TiB, were they copied
    with at_rest(model):
        assert not model.training
    assert model.training
    assert model.pictures.shape == (1 << 44,)


def test_models_without_numbers_are_left_as_they_were() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    with preserve(model, parameters=True):
        model.eval()
        model[0].weight.data = torch.empty(9, device="meta")
        model[1].to_empty(device="cpu")
    assert model.training
    assert model[0].weight.shape == (4, 3, 3, 3)
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {"meta"}

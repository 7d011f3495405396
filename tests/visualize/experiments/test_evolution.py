"""The strongest image and its projection at each checkpoint equal a search by hand; the model keeps its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.visualize.experiments.evolution import evolution
from unconv.visualize.reverse.project import project


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.ReLU()
    )


def images() -> Tensor:
    return torch.rand(7, 3, 20, 20, generator=torch.Generator().manual_seed(0))


def states(count: int = 3) -> list[dict[str, Tensor]]:
    return [network(seed).state_dict() for seed in range(1, count + 1)]


def test_strongest_images_and_projections_equal_a_search_by_hand() -> None:
    found = evolution(network(), states(), images(), "5", units=[4, 1], batch_size=3)
    for row, state in enumerate(states()):
        model = network()
        model.load_state_dict(state)
        model.eval()
        with torch.no_grad():
            maps = model(images())
        for column, unit in enumerate((4, 1)):
            image = int(maps[:, unit].amax((1, 2)).argmax())
            assert int(found.images[row, column]) == image
            projection = project(model, images()[image : image + 1], "5", unit)
            assert tuple(found.positions[row, column].tolist()) == projection.position[0]
            torch.testing.assert_close(found.activations[row, column], projection.activation[0])
            torch.testing.assert_close(found.projections[row, column], projection.image[0])


def test_a_checkpoint_that_changes_nothing_moves_nothing() -> None:
    (state,) = states(1)
    found = evolution(network(), {"a": state, "b": state}, images(), "5", top_units=2)
    assert bool(found.moved[0].isnan().all())
    assert bool((found.moved[1] == 0).all())
    assert found.checkpoints == ("a", "b")


def test_the_strongest_units_of_the_last_checkpoint_are_chosen() -> None:
    found = evolution(network(), states(), images(), "5", top_units=3)
    model = network()
    model.load_state_dict(states()[-1])
    with torch.no_grad():
        peaks = model.eval()(images()).amax((0, 2, 3))
    assert found.units == tuple(peaks.argsort(descending=True)[:3].tolist())


def test_files_state_dicts_and_functions_are_the_same(tmp_path: Path) -> None:
    (state,) = states(1)
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "epoch 3.pt")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "same.safetensors")

    def function(module: nn.Module) -> None:
        module.load_state_dict(state)

    given = [tmp_path / "epoch 3.pt", str(tmp_path / "same.safetensors"), state, function]
    found = evolution(network(), given, images(), "5", top_units=2)
    assert found.checkpoints == ("epoch 3", "same", "checkpoint 3", "checkpoint 4")
    assert bool((found.projections == found.projections[0]).all())


def test_functions_go_on_from_where_the_one_before_stopped() -> None:
    def double(module: nn.Module) -> None:
        with torch.no_grad():
            module[0].weight.mul_(2)
            module[0].bias.mul_(2)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    found = evolution(model, [double, double], images(), "1", units=[0])
    torch.testing.assert_close(found.activations[1], 2 * found.activations[0])


def test_model_is_as_before_also_when_it_fails() -> None:
    model = network().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    evolution(model, states(), images(), "5", top_units=2)
    with pytest.raises(ModelError):
        evolution(model, [states()[0], {"0.weight": torch.zeros(1)}], images(), "5", top_units=2)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training


def test_whole_modules_give_their_tensors_and_parts_of_files_are_taken_by_name(tmp_path: Path) -> None:
    first, last = network(), network()
    torch.save(first, tmp_path / "whole.pt")
    torch.save({"model": first.state_dict(), "ema": last.state_dict()}, tmp_path / "both.pt")
    found = evolution(network(), [tmp_path / "whole.pt", f"{tmp_path}/both.pt:ema"], images(), "5", units=[0])
    wanted = evolution(network(), [first.state_dict(), last.state_dict()], images(), "5", units=[0])
    assert torch.equal(found.activations, wanted.activations)


@pytest.mark.parametrize(
    ("checkpoints", "options", "told"),
    [
        ([], {}, "no checkpoint"),
        (["nowhere.pt"], {}, "there is no such file"),
        ([{"0.weight": torch.zeros(8, 3, 5, 5)}], {}, "do not fit Sequential"),
        (None, {"units": []}, "units: an empty list was given"),
        (None, {"units": [6]}, "unit 6 is not in layer"),
        (None, {"top_units": 0}, "0 units of each layer"),
        (None, {"layer": "7"}, "no layer of that name"),
        (None, {"rule": "magic"}, "rule"),
    ],
)
def test_bad_input_is_one_line(checkpoints: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        evolution(network(), states() if checkpoints is None else checkpoints, images(), **{"layer": "5", **options})
    assert "\n" not in str(caught.value)


def test_void_weights_are_refused() -> None:
    (state,) = states(1)
    state["0.weight"] = torch.full_like(state["0.weight"], torch.nan)
    with pytest.raises(ModelError, match="not finite"):
        evolution(network(), [state], images(), "5")

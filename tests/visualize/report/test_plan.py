"""A plan costs one forward pass, whatever it has to choose; and what a whole report costs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import unconv as uc
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.visualize.report.plan import make_plan

SMALL = Preprocess(size=(32, 48), resize=(32, 48), fit="stretch")


def network() -> tuple[list[int], nn.Sequential]:
    """A network, and how many images each pass that comes by its first layer brings."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Identity(), nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    )
    passes: list[int] = []

    def count(_module: nn.Module, images: tuple[Tensor], _output: Tensor) -> None:
        passes.append(len(images[0]))

    # Not in an attribute of the layer, which would be put back as it was found.
    model[0].register_forward_hook(count)
    return passes, model


def loaded(model: nn.Module, classes: tuple[str, ...] | None = None) -> LoadedModel:
    return LoadedModel("tiny", model, SMALL, classes, "random, for a test")


@pytest.mark.parametrize("layers", [None, "all", ["2", "5"], "5"])
@pytest.mark.parametrize("rule", ["auto", "guided"])
def test_a_plan_runs_the_network_once(layers: list[str] | str | None, rule: str) -> None:
    passes, model = network()
    plan = make_plan(loaded(model), layers, rule)
    assert passes == [1]
    assert plan.fields.graph is not None
    assert plan.rule == ("deconvnet" if rule == "auto" else rule)


@pytest.mark.parametrize(
    ("count", "classes", "passes"),
    [
        # The plan, the picture.
        (1, False, [1, 1]),
        # The plan, each picture, the batch of the scan, the batch of windows at the units' places.
        (3, False, [1, 1, 1, 1, 3, 6]),
        # Each picture once more for its predicted classes, and once more for its class where it occurs.
        (3, True, [1, 1, 1, 1, 1, 1, 1, 3, 6, 1, 1, 1]),
        # More than are shown one by one: the plan, the batches of the scan, the batch of windows.
        (40, False, [1, 32, 8, 18]),
    ],
)
def test_a_report_costs_a_pass_for_the_plan_one_a_picture_one_a_batch_and_one_for_a_batch_of_windows(
    tmp_path: Path, count: int, classes: bool, passes: list[int]
) -> None:
    """For k pictures: 1 + k + ⌈k / 32⌉ + one for as many windows as two images of 224² hold; 1 + ⌈k / 32⌉ + … above 12.

    With classes k more, and one for each picture that occurs. Fidelity is left out here.
    """
    seen, model = network()
    images = torch.rand(count, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    named = ("cat", "dog", "bird") if classes else None
    uc.see(loaded(model, named), images, ["5"], tmp_path, top_units=2, fidelity=0)
    assert seen == passes

"""Inputs beside the images, by position, keyword or in a dict: every function equals the network that holds them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unconv as uc
from unconv.errors import UnconvError
from unconv.network.run.held_inputs import describe_held, hold_inputs
from unconv.visualize.experiments.invariance import invariance
from unconv.visualize.experiments.occlusion import occlusion
from unconv.visualize.fidelity.measure import fidelity
from unconv.visualize.reverse.project_units import Pick

IMAGES = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(0))
OTHER = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
STEP = torch.tensor([7])


class Conditioned(nn.Module):
    """Two images and a time step, as a diffusion model or a siamese network takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 3, padding=1)
        self.time = nn.Linear(1, 6)
        self.act, self.last = nn.ReLU(), nn.Conv2d(6, 4, 3)
        self.runs = 0

    def forward(self, image: Tensor, other: Tensor, step: Any, *, scale: float = 1.0) -> dict[str, Tensor]:
        self.runs += 1
        step = torch.as_tensor(step).float().reshape(-1, 1)
        joined = torch.cat([self.first(image), self.second(other)]).reshape(2, -1, 6, *image.shape[2:]).sum(0)
        return {"logits": self.last(self.act(joined + self.time(step)[:, :, None, None])).mean((2, 3)) * scale}


class Turned(Conditioned):
    """The image comes last."""

    def forward(self, other: Tensor, step: Any, image: Tensor, *, scale: float = 1.0) -> dict[str, Tensor]:  # type: ignore[override]
        return super().forward(image, other, step, scale=scale)


class InDict(Conditioned):
    """One dict holds everything."""

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:  # type: ignore[override]
        return super().forward(batch["image"], batch["other"], batch["step"], scale=batch["scale"])


class Plain(nn.Module):
    """The same network with the others inside it: what every way has to equal."""

    def __init__(self, inside: Conditioned) -> None:
        super().__init__()
        self.first, self.second, self.time, self.act, self.last = (
            inside.first,
            inside.second,
            inside.time,
            inside.act,
            inside.last,
        )
        self.runs = 0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        other, step = OTHER.expand(len(image), -1, -1, -1), STEP.expand(len(image))
        return Conditioned.forward(self, image, other, step, scale=2.0)  # type: ignore[arg-type]


WAYS: dict[str, tuple[type[Conditioned], dict[str, Any]]] = {
    "positions": (Conditioned, {"inputs": (OTHER, STEP), "kwargs": {"scale": 2.0}}),
    "keywords": (Conditioned, {"kwargs": {"other": OTHER, "step": STEP, "scale": 2.0}}),
    "all keywords": (Conditioned, {"kwargs": {"image": ..., "other": OTHER, "step": 7, "scale": 2.0}}),
    "marked": (Turned, {"inputs": (OTHER, STEP, ...), "kwargs": {"scale": 2.0}}),
    "dict": (InDict, {"inputs": {"image": ..., "other": OTHER, "step": 7, "scale": 2.0}}),
}


def model_of(way: str) -> tuple[Conditioned, dict[str, Any]]:
    torch.manual_seed(0)
    kind, held = WAYS[way]
    return kind().eval(), held


@pytest.mark.parametrize("way", WAYS)
def test_every_function_equals_the_network_with_its_inputs_inside(way: str, tmp_path: Path) -> None:
    model, held = model_of(way)
    plain = Plain(model).eval()
    torch.testing.assert_close(hold_inputs(model, **held)(IMAGES), plain(IMAGES))
    projected, expected = uc.project(model, IMAGES, "act", 2, **held), uc.project(plain, IMAGES, "act", 2)
    torch.testing.assert_close(projected.image, expected.image)
    found = uc.scan(model, IMAGES, ["act"], top=2, **held)
    torch.testing.assert_close(found.values["act"], uc.scan(plain, IMAGES, ["act"], top=2).values["act"])
    torch.testing.assert_close(
        found.unit("act", 1).project().activation.sort(descending=True).values, found.values["act"][1]
    )
    picks = [Pick(0, 2, (5, 5)), Pick(1, 2, (8, 9))]
    assert fidelity(model, IMAGES, "act", picks, **held)[2].figures == fidelity(plain, IMAGES, "act", picks)[2].figures
    maps = occlusion(model, IMAGES[0], 1, "act", square=12, stride=6, **held)
    torch.testing.assert_close(maps.score, occlusion(plain, IMAGES[0], 1, "act", square=12, stride=6).score)
    curves = invariance(model, IMAGES, "translation", [3], ["act"], **held)
    torch.testing.assert_close(
        curves.score, invariance(plain, IMAGES, "translation", [3], ["act"]).score, atol=1e-5, rtol=1e-4
    )
    report = uc.see(model, IMAGES, ["act"], tmp_path, fidelity=0, top_units=1, **held)
    assert report.layers == ("act",)
    assert model.runs == 0
    assert "forward" not in vars(model)


@pytest.mark.parametrize("way", WAYS)
def test_traces_count_all_that_is_computed(way: str) -> None:
    model, held = model_of(way)
    graph = uc.trace(model, (3, 24, 24), **held)
    convolutions = 2 * 24 * 24 * 27 * 6 + 22 * 22 * 54 * 4
    assert graph.macs == convolutions + 6
    assert graph["first"].receptive_field.size == (3, 3)
    assert graph["last"].receptive_field.size == (5, 5)
    assert graph.input_sizes == ((3, 24, 24), (3, 24, 24))
    audit = uc.audit(model, (3, 24, 24), measure=False, **held)
    assert audit.macs == graph.macs
    assert not [one for one in audit.findings if one.severity == "error"]


def test_without_a_size_the_inputs_are_all_of_them() -> None:
    model, _ = model_of("positions")
    expected = uc.trace(model, (3, 24, 24), inputs=(OTHER, STEP))
    whole = uc.trace(model, inputs=(IMAGES, OTHER.expand(3, -1, -1, -1), STEP.expand(3)))
    named = uc.trace(model, kwargs={"image": IMAGES, "other": OTHER, "step": 7})
    assert whole.macs == named.macs == expected.macs
    assert uc.audit(model, inputs=(IMAGES, OTHER, STEP), measure=False).macs == expected.macs
    batch = {"image": IMAGES, "other": OTHER, "step": 7, "scale": 1.0}
    assert uc.trace(model_of("dict")[0], inputs=batch).macs == expected.macs


def test_a_context_of_another_shape_is_held() -> None:
    """Tokens beside an image, as text is beside a picture; (1, ...) serves a batch."""

    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image, self.text = nn.Conv2d(3, 8, 3), nn.Linear(5, 8)

        def forward(self, image: Tensor, context: Tensor) -> Tensor:
            maps, words = self.image(image), self.text(context)
            return maps + (maps.flatten(2).mean(2)[:, None] @ words.mT @ words)[:, 0, :, None, None]

    torch.manual_seed(0)
    model, context = Cross().eval(), torch.rand(1, 7, 5)
    maps = model(IMAGES, context.expand(3, -1, -1))
    found = uc.scan(model, IMAGES, ["image"], inputs=context)
    torch.testing.assert_close(found.values["image"][:, 0], model.image(IMAGES).amax((0, 2, 3)))
    torch.testing.assert_close(hold_inputs(model, context)(IMAGES), maps)
    # The products of the text are counted, though nothing of the image is in them.
    assert uc.trace(model, (3, 24, 24), inputs=context).macs == 22 * 22 * 27 * 8 + 7 * 5 * 8 + 2 * 7 * 8


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"inputs": (..., ...)}, "2 places"),
        ({"inputs": (...,), "kwargs": {"other": ...}}, "2 places"),
        ({"kwargs": [("other", OTHER)]}, r"kwargs is .*\(list\)"),
        ({"inputs": (OTHER,)}, "missing 1 required positional argument: 'step'"),
        ({"inputs": (OTHER, STEP), "kwargs": {"strength": 1}}, "unexpected keyword argument 'strength'"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(held: dict[str, Any], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        uc.project(model_of("positions")[0], IMAGES, "act", 1, **held)
    assert "\n" not in str(caught.value)


def test_inputs_without_an_image_ask_for_its_size() -> None:
    with pytest.raises(UnconvError, match="give input_size"):
        uc.trace(model_of("positions")[0], inputs=(7,))


def test_scans_with_other_inputs_are_told_apart() -> None:
    model, _ = model_of("positions")
    abouts = {uc.scan(model, IMAGES, ["act"], inputs=(OTHER, step)).about["held"] for step in (STEP, STEP + 1)}
    assert len(abouts) == 2
    assert describe_held({"image": ..., "step": 3}) == "inputs ..., 3"


def test_compiled_models_hold_inputs_too() -> None:
    model, held = model_of("positions")
    compiled = torch.compile(model)
    torch.testing.assert_close(
        uc.project(compiled, IMAGES, "act", 2, **held).image, uc.project(model, IMAGES, "act", 2, **held).image
    )
    assert uc.trace(compiled, 24, **held).macs == uc.trace(model, 24, **held).macs


def test_a_copy_runs_its_own_layers() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, image: Tensor, scale: Tensor) -> Tensor:
            scaled: Tensor = self.conv(image) * scale
            return scaled

    bound = hold_inputs(Scaled(), (torch.tensor(2.0),))
    copied = copy.deepcopy(bound)
    image = torch.ones(1, 1, 2, 2)
    before = bound(image)
    nn.init.zeros_(copied.get_submodule("conv").get_parameter("weight"))
    assert torch.equal(copied(image), torch.zeros(1, 1, 2, 2))
    assert torch.equal(bound(image), before)
    assert before.any()

"""Several units at once are as one after the other; a projection shows itself in a few lines and as a figure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from unconv.errors import UnconvError
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.projections.places import Places


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3), nn.ReLU()).eval()


IMAGES = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("position", [None, (3, 4), [(n, 2 * n) for n in range(5)]])
@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_units_together_are_units_one_by_one(
    model: nn.Module, position: tuple[int, int] | list[tuple[int, int]] | None, rule: str
) -> None:
    found = project(model, IMAGES, "3", [3, 1], position, rule)
    assert found.image.shape == (2, 5, 3, 64, 64)
    assert found.activation.shape == (2, 5)
    assert found.units == found.unit == (3, 1)
    for unit in (3, 1):
        one = project(model, IMAGES, "3", unit, position, rule)
        torch.testing.assert_close(found[unit].image, one.image, atol=1e-5, rtol=1e-4)
        assert found[unit].position == one.position
        assert found[unit].unit == unit
        torch.testing.assert_close(found[unit].activation, one.activation)
        assert one[unit] is one
    assert [one.unit for one in found] == [3, 1]
    with pytest.raises(UnconvError, match="unit 2 is not in it; it is of 3, 1"):
        found[2]


def test_what_was_found_can_be_asked_for_again(model: nn.Module) -> None:
    found = project(model, IMAGES, "3", range(4))
    again = project(model, IMAGES, "3", torch.arange(4), found.position)
    assert again.position == found.position
    torch.testing.assert_close(again.image, found.image, atol=1e-5, rtol=1e-4)
    with pytest.raises(UnconvError, match="4 lists of places for 3 units"):
        project(model, IMAGES, "3", range(3), found.position)
    assert Places.of(torch.tensor([[1, 2], [3, 4]]), 1).rows == (((1, 2), (3, 4)),)


@pytest.mark.parametrize(("pooled", "rule"), [(True, "deconvnet"), (False, "guided")])
def test_auto_chooses_and_says_so(pooled: bool, rule: str) -> None:
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else []), nn.Conv2d(6, 4, 3)]
    model = nn.Sequential(*layers)
    found = project(model, IMAGES, str(len(layers) - 1), 1, rule="auto")
    assert found.rule == found.coverage.rule == rule
    assert found.notes[0].startswith(f"rule {rule}, chosen because")
    assert torch.equal(found.image, project(model, IMAGES, str(len(layers) - 1), 1, rule=rule).image)


def test_text_is_short(model: nn.Module) -> None:
    for found in (project(model, IMAGES, "3", 1), project(model, IMAGES, "3", range(4), (1, 2))):
        text = repr(found)
        assert len(text.splitlines()) <= 25
        assert len(text) <= 2000
        for told in ("rule", "deconvnet", "way", "coverage"):
            assert told in text
        assert found._repr_html_().startswith("<div><img")


@pytest.mark.parametrize("units", [2, [0, 1, 2]])
def test_figures_have_images_beside_projections(model: nn.Module, units: int | list[int], tmp_path: Path) -> None:
    found = project(model, torch.rand(12, 3, 64, 64), "3", units, rule="guided")
    figure = found.plot()
    blocks = 1 + (1 if isinstance(units, int) else 3)
    assert len(figure.axes) == 9 * blocks
    assert "9 of 12 images" in figure.get_suptitle()
    # Each image has a frame for each unit, around what comes back.
    assert [len(axes.patches) for axes in figure.axes[:9]] == [blocks - 1] * 9
    assert found.save(tmp_path / "unit.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(UnconvError, match="files end in"):
        found.save(tmp_path / "unit.nothing")


def test_signals_are_curves_and_volumes_slices() -> None:
    signals = project(nn.Sequential(nn.Conv1d(1, 3, 5)), torch.rand(2, 1, 40), "0", 1)
    assert len(signals.plot().axes) == 4
    volumes = project(nn.Sequential(nn.Conv3d(1, 3, 3)), torch.rand(2, 1, 9, 10, 11), "0", 1)
    assert len(volumes.plot().axes) == 4
    with pytest.raises(UnconvError, match="inputs with 0 axes have no picture"):
        project(nn.Sequential(nn.Linear(4, 3)), torch.rand(2, 4), "0", 1).plot()

"""``units`` are indices and ``top_units`` is a count, alike wherever units are taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import unconv as uc
from unconv.errors import UnconvError
from unconv.visualize.experiments.evolution import evolution
from unconv.visualize.unit_choice import read_units

SMALL = uc.Preprocess(size=(16, 16), resize=(16, 16))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())


@pytest.mark.parametrize(
    "units", [[1, 3], (1, 3), range(1, 4, 2), torch.tensor([1, 3]), np.array([1, 3]), [torch.tensor(1), np.int64(3)]]
)
def test_indices_in_every_form(units: object) -> None:
    assert read_units("see", units, None) == (1, 3)


def test_a_number_alone_is_a_count_still_and_says_so() -> None:
    with pytest.warns(DeprecationWarning, match=r"see: units=4 as a number of units is top_units=4 now; units=\[4\]"):
        assert read_units("see", 4, None) == 4


@pytest.mark.parametrize(
    ("units", "top_units", "message"),
    [
        ([1], 2, "see: units name some, top_units takes the strongest; give one of the two"),
        (None, 0, "see: top_units: 0 units of each layer were asked for; ask for 1 or more"),
        (None, [3, 17], r"see: top_units \[3, 17\] is no number of units; which ones is units=\[3, 17\]"),
        (None, True, "see: top_units True is no number of units"),
        (2.5, None, "see: units 2.5 are no indices; give a list"),
        (True, None, "see: units True are no indices"),
        ([1.5], None, r"see: units \[1.5\] are no indices"),
        ("some", None, "see: units: 'some' is no choice"),
        ([], None, "see: units: an empty list was given"),
    ],
)
def test_what_is_neither_is_refused(units: object, top_units: object, message: str) -> None:
    with pytest.raises(UnconvError, match=f"^{message}"):
        read_units("see", units, top_units)


def test_reports_and_evolutions_take_both(tmp_path: Path) -> None:
    images = torch.rand(2, 3, 16, 16)
    model, states = network(), {"a": network().state_dict()}
    for options, count in (({"units": [5, 2]}, 2), ({"top_units": 3}, 3), ({"units": "all"}, 8)):
        report = uc.see(model, images, "1", tmp_path / str(count), transform=SMALL, fidelity=0, top=1, **options)
        (layer,) = report.numbers["collection"]["layers"]
        shown = [unit["unit"] for unit in layer["units"]]
        found = evolution(model, states, images, "1", **options)
        assert len(shown) == len(found.units) == count
        if "units" in options and options["units"] != "all":
            assert set(shown) == set(found.units) == {5, 2}
    with pytest.warns(DeprecationWarning, match="evolution: units=3"):
        assert (
            evolution(model, states, images, "1", units=3).units
            == evolution(model, states, images, "1", top_units=3).units
        )

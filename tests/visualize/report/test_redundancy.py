"""Units that say the same, against numpy and plain loops."""

from __future__ import annotations

import numpy as np
import torch

from unconv.visualize.report.redundancy import CORRELATED, PICTURES, correlation, same_places, twins


def test_correlation_equals_numpys() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(30, 5), torch.randn(30, 4)
    expected = np.corrcoef(one.numpy(), other.numpy(), rowvar=False)[:5, 5:]
    assert np.allclose(correlation(one, other).numpy(), expected, atol=1e-6)


def test_shared_places_equal_a_loop() -> None:
    torch.manual_seed(0)
    images, positions = torch.randint(-1, 3, (300, 6)), torch.randint(0, 2, (300, 6, 2))
    found = same_places(images, positions)
    for one, other in [(0, 1), (5, 5), (17, 299), (299, 17), (256, 2)]:
        places = [
            [(int(image), *place.tolist()) for image, place in zip(images[unit], positions[unit], strict=True)]
            for unit in (one, other)
        ]
        assert found[one, other] == sum(place[0] >= 0 and place in places[1] for place in places[0])


def test_dead_units_and_few_pictures_are_not_judged() -> None:
    torch.manual_seed(0)
    activity = torch.rand(PICTURES, 4)
    activity[:, 1] = activity[:, 0]
    images, positions = torch.randint(0, PICTURES, (4, 9)), torch.randint(0, 99, (4, 9, 2))
    nobody = torch.tensor([], dtype=torch.long)
    found = twins(activity, images, positions, nobody)
    assert set(found) == {0, 1}
    assert found[0][0].unit == 1
    assert found[0][0].correlation >= CORRELATED
    assert twins(activity, images, positions, torch.tensor([1])) == {}
    assert twins(activity[:-1], images, positions, nobody) == {}


def test_the_same_strongest_places_are_enough() -> None:
    torch.manual_seed(0)
    activity, images, positions = torch.rand(40, 3), torch.randint(0, 40, (3, 9)), torch.randint(0, 99, (3, 9, 2))
    images[2, :6], positions[2, :6] = images[0, :6], positions[0, :6]
    found = twins(activity, images, positions, torch.tensor([], dtype=torch.long))
    assert {unit: [twin.unit for twin in like] for unit, like in found.items()} == {0: [2], 2: [0]}
    assert found[0][0].shared >= 6

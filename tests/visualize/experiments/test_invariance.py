"""Transforms equal numpy's and scikit-image's; distances equal a direct computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage.transform import rescale, rotate
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.visualize.experiments.invariance import invariance
from unconv.visualize.experiments.transforms import transformed

ZERO = torch.zeros(3, 1, 1)


def images(count: int = 2, size: tuple[int, int] = (24, 30)) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    ).eval()


@pytest.mark.parametrize("shift", [-24, -7, 0, 1, 5, 40])
def test_translation_moves_rows_down_and_fills(shift: int) -> None:
    fill = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    expected = fill.expand(3, 24, 30).clone()
    image = images(1)
    for row in range(24):
        if 0 <= row - shift < 24:
            expected[:, row] = image[0, :, row - shift]
    torch.testing.assert_close(transformed(image, "translation", shift, fill)[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("degrees", "quarters"), [(0, 0), (90, 1), (180, 2), (270, 3), (-90, 3)])
def test_quarter_turns_equal_numpy(degrees: int, quarters: int) -> None:
    image = images(1, (25, 25))
    expected = torch.rot90(image, quarters, (2, 3))
    torch.testing.assert_close(transformed(image, "rotation", degrees, ZERO), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("degrees", [10, 37, -25])
def test_rotation_equals_scikit_image(degrees: int) -> None:
    image = images(1, (31, 31))
    expected = rotate(image[0].permute(1, 2, 0).double().numpy(), degrees, order=1)
    ours = transformed(image, "rotation", degrees, ZERO)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-5)


def test_scale_equals_the_middle_of_scikit_images() -> None:
    image = images(1, (20, 20))
    expected = rescale(image[0].permute(1, 2, 0).double().numpy(), 2, order=1, channel_axis=2)
    ours = transformed(image, "scale", 2, ZERO)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, expected[10:30, 10:30], atol=1e-5)


def test_smaller_images_are_framed() -> None:
    small = transformed(images(1), "scale", 0.5, torch.full((3, 1, 1), 7.0))
    assert bool((small[0, :, :5] == 7).all())
    assert bool((small[0, :, 8:16, 10:20] < 1.01).all())


@pytest.mark.parametrize("transform", ["translation", "scale", "rotation"])
def test_distances_equal_a_direct_computation(transform: str) -> None:
    model, batch = network(), images()
    values = (1.0, 1.5, 3.0)
    found = invariance(model, batch, transform, values, ["1", "3"], targets=[0, 4])
    for number, value in enumerate(values):
        moved = transformed(batch, transform, value, ZERO)
        with torch.no_grad():
            for layer, depth in (("1", 2), ("3", 4)):
                clean = model[:depth](batch).flatten(1)
                distance = (clean - model[:depth](moved).flatten(1)).norm(dim=1)
                torch.testing.assert_close(found.distance[layer][:, number], distance)
                torch.testing.assert_close(found.normalised[layer][:, number], distance / clean.norm(dim=1))
            probability = model(moved).softmax(1)
        torch.testing.assert_close(found.probability[:, number], probability[[0, 1], [0, 4]])
    assert found.names == ("class 0", "class 4")


@pytest.mark.parametrize(("transform", "value"), [("translation", 0), ("scale", 1), ("rotation", 0), ("rotation", 360)])
def test_no_transform_is_no_distance(transform: str, value: float) -> None:
    found = invariance(network(), images(), transform, [value], ["1", "4"])
    assert max(float(found.distance[layer].max()) for layer in found.layers) < 1e-4


def test_a_mean_over_space_is_nearly_invariant_to_small_translations_and_pixels_are_not() -> None:
    picture = torch.zeros(1, 3, 40, 40)
    picture[:, :, 12:24, 12:24] = images(1, (12, 12))
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    found = invariance(model, picture, "translation", [1, 2, 4], ["0", "2"])
    assert float(found.normalised["2"].max()) < 1e-4
    assert float(found.normalised["0"].min()) > 0.3


def test_without_a_classifier_there_is_no_probability() -> None:
    found = invariance(nn.Sequential(nn.Conv2d(3, 4, 3)), images(), "scale", [1.2], ["0"])
    assert found.probability.shape == (2, 0)
    assert found.names == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"transform": "shear"}, "no values for transform 'shear'"),
        ({"transform": "shear", "values": [1]}, "not one of translation, scale, rotation"),
        ({"transform": "scale", "values": [0]}, "above 0 for scale"),
        ({"transform": "rotation", "values": [float("nan")]}, "finite"),
        ({"values": []}, "no values"),
        ({"targets": [1]}, "1 classes for 2 images"),
        ({"targets": [1, 9]}, "classes 0 to 4"),
        ({"layers": ["9"]}, "no layer of that name"),
        ({"fill": [0.0, 1.0]}, "for 3 channels"),
    ],
)
def test_bad_input_is_one_line(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        invariance(network(), images(), **options)
    assert "\n" not in str(caught.value)

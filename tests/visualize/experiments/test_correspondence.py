"""Hamming distances equal scikit-learn's and a naive loop; what is alike is nearer than what is not."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.metrics import pairwise_distances
from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.visualize.experiments.correspondence import correspondence, sign_distances


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.Tanh()
    ).eval()


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 3, 24, 28, generator=torch.Generator().manual_seed(0))


BOXES = [(2, 3, 6, 8), (4, 5, 6, 8), (10, 12, 7, 7), (0, 0, 5, 5)]


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 1000))
def test_sign_distances_equal_scikit_learn(count: int, features: int, seed: int) -> None:
    changes = torch.randint(-2, 3, (count, features), generator=torch.Generator().manual_seed(seed)).float()
    expected = pairwise_distances(np.sign(changes.numpy()), metric="hamming")
    np.testing.assert_allclose(sign_distances(changes).numpy(), expected, atol=1e-6)


def test_figures_equal_the_formula_in_a_loop() -> None:
    model, batch = network(), images()
    found = correspondence(model, batch, {"eye": BOXES}, ["2", "3"], draws=2)
    for depth, layer in ((3, "2"), (4, "3")):
        changes = []
        for image, (top, left, height, width) in zip(batch, BOXES, strict=True):
            covered = image.clone()
            covered[:, top : top + height, left : left + width] = 0
            with torch.no_grad():
                changes.append((model[:depth](image[None]) - model[:depth](covered[None])).sign())
        pairs = [float((changes[i] != changes[j]).float().mean()) for i, j in combinations(range(4), 2)]
        eye = found.parts[layer][0]
        assert eye.part == "eye"
        assert eye.mean == pytest.approx(np.mean(pairs), abs=1e-6)
        assert eye.deviation == pytest.approx(np.std(pairs), abs=1e-6)
        assert eye.total == pytest.approx(2 * np.sum(pairs), abs=1e-5)


def test_the_same_part_of_the_same_object_is_nearer_than_random_boxes() -> None:
    """One object pasted at several places: covering it changes the features alike, wherever its surroundings are."""
    object_, batch, boxes = images(1)[0, :, :10, :10] * 3, images(5) * 0.1, []
    for number, image in enumerate(batch):
        top, left = 2 * number, 3 * number
        image[:, top : top + 10, left : left + 10] = object_
        boxes.append((top, left, 10, 10))
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1))
    found = correspondence(model, batch, {"object": boxes}, ["2"], draws=10)
    object_figures, random = found.parts["2"]
    assert object_figures.mean < 0.5 * random.mean


def test_random_boxes_are_the_same_for_a_seed() -> None:
    means = [correspondence(network(), images(), {"a": BOXES}, seed=seed).parts["4"][1].mean for seed in (0, 0, 1)]
    assert means[0] == means[1] != means[2]


@pytest.mark.parametrize(
    ("parts", "options", "told"),
    [
        ({}, {}, "no part"),
        ({"eye": BOXES[:2]}, {}, "2 boxes for 4 images"),
        ({"eye": [*BOXES[:3], (20, 0, 5, 5)]}, {}, "not inside the image 24x28"),
        ({"eye": [*BOXES[:3], (0, 0, 0, 5)]}, {}, "not inside"),
        ({"random": BOXES}, {}, "cannot be called"),
        ({"eye": BOXES}, {"draws": 0}, "draws 0"),
        ({"eye": BOXES}, {"layers": ["nowhere"]}, "no layer of that name"),
        ({"eye": BOXES}, {"layers": []}, "list of layers is empty"),
    ],
)
def test_bad_input_is_one_line(parts: dict[str, Any], options: dict[str, Any], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        correspondence(network(), images(), parts, **options)
    assert "\n" not in str(caught.value)


def test_one_image_is_refused() -> None:
    with pytest.raises(UnconvError, match="1 image;"):
        correspondence(network(), images(1), {"eye": BOXES[:1]})

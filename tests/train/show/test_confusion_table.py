"""What a classifier mistakes for what is what scikit-learn counts; kernels are drawn as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image
from sklearn.metrics import confusion_matrix as theirs, recall_score
from torch import nn

from unconv.errors import UnconvError
from unconv.train.data.examples import TensorExamples
from unconv.train.show.confusion_table import confusion_matrix, draw_kernels, first_kernels, shares


@settings(max_examples=30, deadline=None)
@given(classes=st.integers(2, 6), count=st.integers(1, 600), seed=st.integers(0, 99))
def test_the_confusion_matrix_is_scikit_learns(classes: int, count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.rand(count, classes, generator=generator)
    targets = torch.randint(classes, (count,), generator=generator)
    table = confusion_matrix(nn.Identity(), TensorExamples(outputs, targets), classes)
    labels = list(range(classes))
    assert np.array_equal(table.numpy(), theirs(targets.numpy(), outputs.argmax(1).numpy(), labels=labels))
    recall = recall_score(targets.numpy(), outputs.argmax(1).numpy(), labels=labels, average=None, zero_division=np.nan)
    for share, expected, row in zip(shares(table), recall, table, strict=True):
        assert share is None if np.isnan(expected) else share is not None and share.right == pytest.approx(expected)
        if share is not None and share.taken_for is not None:
            assert share.share == pytest.approx(float(row[share.taken_for] / row.sum()))


def drawn(network: nn.Module, folder: Path) -> np.ndarray[Any, Any]:
    with Image.open(draw_kernels(network, folder / "kernels.png")) as picture:
        return np.array(picture)


def test_kernels_are_drawn_in_grey_around_zero(tmp_path: Path) -> None:
    layer = nn.Conv2d(1, 2, 2)
    layer.weight.data = torch.tensor([[[[2.0, -2.0], [1.0, 0.5]]], [[[0.1, 0.0], [0.0, -0.05]]]])
    pixels = drawn(nn.Sequential(layer), tmp_path)[..., 0]
    assert pixels.shape == (20, 45)
    assert pixels[5::10, 5:20:10].tolist() == [[255, 0], [191, 159]]
    assert pixels[5::10, 30::10].tolist() == [[255, 128], [128, 64]]
    assert (pixels[:, 20:25] == 255).all()


def test_three_channels_are_a_colour(tmp_path: Path) -> None:
    layer = nn.Conv2d(3, 4, 3)
    layer.weight.data.zero_()[1, 0] = 1.0
    pixels = drawn(layer, tmp_path)
    assert pixels[5, 40].tolist() == [255, 128, 128]


def test_networks_without_a_convolution_are_one_line() -> None:
    with pytest.raises(UnconvError, match="plot: Linear has no two-dimensional convolution"):
        first_kernels(nn.Linear(2, 2))

"""Pictures are mirrored and moved, nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Generator

from unconv.errors import UnconvError
from unconv.train.data.augment import augmentation, draw_moves, moved
from unconv.train.data.examples import Batch


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 3),
    flip=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_result_is_a_picture_moved_and_perhaps_mirrored(
    height: int, width: int, channels: int, flip: bool, seed: int
) -> None:
    images = torch.rand(4, channels, height, width, generator=Generator().manual_seed(seed))
    changed = moved(images, draw_moves(images, Generator().manual_seed(seed), flip=flip, shift=0.3))
    most = (round(0.3 * height), round(0.3 * width))
    for image, result in zip(images.numpy(), changed.numpy(), strict=True):
        padded = [
            np.pad(one, ((0, 0), (most[0],) * 2, (most[1],) * 2), mode="edge")
            for one in ([image, image[:, :, ::-1]] if flip else [image])
        ]
        windows = [
            one[:, top : top + height, left : left + width]
            for one in padded
            for top in range(2 * most[0] + 1)
            for left in range(2 * most[1] + 1)
        ]
        assert any(np.array_equal(result, window) for window in windows)


def test_half_are_mirrored_and_every_move_occurs() -> None:
    line = torch.arange(20.0).expand(4000, 1, 20, 20)
    changed = moved(line, draw_moves(line, Generator().manual_seed(0), flip=True, shift=0.1))[:, 0, 10]
    mirrored = changed[:, 10] > changed[:, 11]
    assert abs(mirrored.float().mean() - 0.5) < 0.03
    counts = (changed[~mirrored][:, 10] - 8).long().bincount()
    assert len(counts) == 5
    assert counts.min() > 300


def test_the_generator_decides_alone() -> None:
    images = torch.rand(8, 3, 12, 10)
    batch = Batch(images, torch.arange(8))
    change = augmentation(flip=True, shift=0.2)
    torch.manual_seed(0)
    one = change(batch, Generator().manual_seed(5)).inputs
    torch.manual_seed(1)
    assert torch.equal(one, change(batch, Generator().manual_seed(5)).inputs)
    assert torch.equal(augmentation(flip=False, shift=0)(batch, Generator()).inputs, images)
    assert torch.equal(change(batch, Generator()).targets, batch.targets)


def test_masks_move_with_their_pictures() -> None:
    masks = torch.randint(0, 9, (6, 12, 10), generator=Generator().manual_seed(0))
    moves = draw_moves(masks[:, None].float(), Generator().manual_seed(1), flip=True, shift=0.3)
    assert torch.equal(moved(masks, moves), moved(masks[:, None].float(), moves)[:, 0].long())


def test_channels_come_last_in_memory() -> None:
    changed = augmentation()(Batch(torch.rand(8, 3, 12, 10), torch.arange(8)), Generator())
    assert changed.inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shift", [-0.1, 1.0, float("nan")])
def test_moves_that_are_none_are_refused(shift: float) -> None:
    with pytest.raises(UnconvError, match="is no part of a side"):
        augmentation(shift=shift)

"""Sheets hold every picture unchanged; kernels and their scores are those of any kind of layer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image
from torchvision.utils import make_grid

from unconv.errors import UnconvError
from unconv.models.dcgan import FORMS, Generator, dcgan_form
from unconv.operators.checkerboard import checkerboard_score, subpixel_score
from unconv.train.show.judge import noise, paint_samples
from unconv.train.show.sample_sheet import (
    BACKGROUND,
    kernel_sheet,
    kernels,
    pattern_scores,
    samples_sheet,
    save_picture,
    sheet,
)
from unconv.upsample.upsamplers import UPSAMPLERS


@given(count=st.integers(1, 13), columns=st.integers(1, 15), channels=st.sampled_from([1, 3]))
def test_a_sheet_is_torchvisions_grid(count: int, columns: int, channels: int) -> None:
    pictures = torch.rand(count, channels, 3, 4)
    theirs = make_grid(pictures, nrow=columns, padding=1, pad_value=BACKGROUND)
    # torchvision makes three channels of one, does not frame a single picture, and leaves empty places black.
    ours = sheet(pictures, columns).expand(3, -1, -1)
    if count > 1:
        filled = torch.ones_like(ours, dtype=torch.bool)
        across = min(columns, count)
        for n in range(count, -(-count // across) * across):
            row, column = divmod(n, across)
            filled[:, 1 + 4 * row : 5 + 4 * row, 1 + 5 * column : 6 + 5 * column] = False
        assert torch.equal(ours[filled], theirs.expand(3, -1, -1)[filled])
    else:
        assert torch.equal(ours[:, 1:-1, 1:-1], pictures[0].expand(3, -1, -1))


def test_samples_stand_above_and_rows_between_two_of_them_below() -> None:
    generator = Generator(dcgan_form("dcgan-32", "2")).eval()
    for name, value in generator.named_parameters():
        if "norm" not in name:
            value.data *= 10
    whole = samples_sheet(generator, count=6, seed=3, columns=3)
    first = paint_samples(generator, noise(6, 3))
    assert torch.equal(whole[:, 1:33, 1:33], first[0])
    assert torch.equal(whole[:, 34:66, 67:99], first[5])
    ends = paint_samples(generator, noise(4, 4))
    assert ends.std(0).max() > 0.01
    top = 67 + 3 + 1
    assert torch.allclose(whole[:, top : top + 32, 1:33], ends[0], atol=1e-4)
    assert torch.allclose(whole[:, top : top + 32, 67:99], ends[1], atol=1e-4)
    assert torch.allclose(whole[:, top + 33 : top + 65, 67:99], ends[3], atol=1e-4)


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_kernels_are_what_the_layer_makes_of_a_cell(name: str) -> None:
    layer = Generator(dcgan_form("dcgan-32", f"{name}:3")).layers.up3
    drawn = kernels(layer, 3)
    x = torch.zeros(1, 3, 3, 3)
    x[0, 1, 1, 1] = 2
    with torch.no_grad():
        assert torch.allclose(layer(x)[0], 2 * drawn[1], atol=1e-6)


@pytest.mark.parametrize("name", [None, *UPSAMPLERS])
def test_pattern_scores_are_the_closed_forms_where_there_are_any(name: str | None) -> None:
    generator = Generator(dcgan_form("dcgan-32", "3" if name is None else f"{name}:3"))
    scores = pattern_scores(generator)
    for number in (1, 2, 3):
        layer = generator.layers.get_submodule(f"up{number}")
        weight = next(layer.parameters())
        if name is None or name.startswith("transposed"):
            expected = checkerboard_score(weight, 2)
        else:
            expected = subpixel_score(weight, 4) if name.startswith("sub-pixel") else 0.0
        assert scores[f"up{number}"] == pytest.approx(expected, abs=1e-6)


def test_published_kernels_of_five_have_the_score_of_their_weights() -> None:
    generator = Generator(dcgan_form("dcgan", "2"))
    assert generator.form.kernel_size == FORMS["dcgan"].kernel_size == 5
    assert pattern_scores(generator)["up2"] == pytest.approx(checkerboard_score(generator.layers.up2.weight, 2))


def test_a_picture_is_written_as_it_is(tmp_path: Path) -> None:
    levels = torch.arange(12, dtype=torch.float32).reshape(1, 3, 4) / 255
    path = save_picture(levels, tmp_path / "grey.png", scale=3)
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("L", (12, 9))
        assert image.getpixel((11, 8)) == 11
    path = save_picture(torch.rand(3, 5, 4), tmp_path / "colour.png")
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("RGB", (4, 5))
    drawn = kernel_sheet(Generator(dcgan_form("dcgan-32", "4")))
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnconvError, match=r"files end in \.png"):
        save_picture(torch.rand(1, 2, 2), tmp_path / "a.gif")
    with pytest.raises(UnconvError, match=r"save: .*No such file or directory"):
        save_picture(torch.rand(1, 2, 2), tmp_path / "nowhere" / "a.png")
    with pytest.raises(UnconvError, match="0 pictures in 3 columns"):
        sheet(torch.rand(0, 1, 2, 2), 3)

"""Arrays in every layout and number type; the way back to bytes and files."""

from __future__ import annotations

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image as PillowImage
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from unconv.data.arrays import (
    finish_picture,
    save_image,
    to_pil,
    to_uint8,
)
from unconv.data.convert import as_image_tensor
from unconv.errors import ImageError

SIZES = st.integers(5, 40)


@pytest.fixture
def unchecked(monkeypatch):
    """What users run: no type checks in front of our own."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@settings(deadline=None, max_examples=40)
@given(height=SIZES, width=SIZES, channels=st.sampled_from([1, 3]), as_array=st.booleans(), hwc=st.booleans())
def test_channel_axis_is_found_wherever_it_is(height, width, channels, as_array, hwc):
    picture = torch.rand(channels, height, width)
    given_image = picture.permute(1, 2, 0) if hwc else picture
    read = as_image_tensor(given_image.numpy() if as_array else given_image)
    assert torch.equal(read, picture)
    assert read.is_contiguous()


def test_where_both_ends_fit_tensors_are_chw_and_arrays_hwc():
    picture = torch.rand(3, 7, 3)
    assert torch.equal(as_image_tensor(picture), picture)
    assert torch.equal(as_image_tensor(picture.numpy()), picture.permute(2, 1, 0).transpose(1, 2))
    assert torch.equal(as_image_tensor(picture.numpy(), layout="CHW"), picture)
    assert torch.equal(as_image_tensor(picture, layout="HWC"), picture.permute(2, 0, 1))


@pytest.mark.parametrize(
    ("dtype", "white"),
    [("bool", 1), ("uint8", 255), ("uint16", 65535), (">u2", 65535), ("float16", 1), ("float32", 1), (">f8", 1)],
)
def test_white_of_every_number_type_is_one(dtype, white):
    array = np.array([[0, white], [white, 0]]).astype(dtype)
    assert as_image_tensor(array).tolist() == [[[0.0, 1.0], [1.0, 0.0]]]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.uint16, torch.bfloat16, torch.float64])
def test_tensors_of_every_number_type_read(dtype):
    white = {torch.bool: 1, torch.uint8: 255, torch.uint16: 65535}.get(dtype, 1)
    assert as_image_tensor(torch.tensor([[0, white]]).to(dtype)).tolist() == [[[0.0, 1.0]]]


def test_pillow_pictures_equal_torchvision():
    array = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    image = PillowImage.fromarray(array)
    assert torch.equal(as_image_tensor(image), pil_to_tensor(image) / 255)
    assert torch.equal(as_image_tensor(image), as_image_tensor(array))


def test_floats_of_another_range_are_not_mapped_in_silence():
    image = PillowImage.fromarray(np.array([[0.0, 255.0]], dtype=np.float32))
    with pytest.raises(ImageError, match="divide by white"):
        as_image_tensor(image)
    assert as_image_tensor(PillowImage.new("F", (2, 2), 0.5)).eq(0.5).all()


def test_a_pillow_picture_whose_file_is_cut_short_is_an_image_error(tmp_path):
    save_image(torch.rand(3, 50, 50), tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    with PillowImage.open(tmp_path / "half.png") as image, pytest.raises(ImageError):
        as_image_tensor(image)


def test_the_input_is_copied_and_its_graph_left_alone():
    picture = torch.rand(3, 5, 5, requires_grad=True)
    read = as_image_tensor(picture)
    assert not read.requires_grad
    read.zero_()
    assert picture.abs().sum() > 0
    backwards = np.random.default_rng(0).random((5, 5, 3), dtype=np.float32)[::-1, ::-1]
    backwards.setflags(write=False)
    assert np.array_equal(as_image_tensor(backwards).permute(1, 2, 0).numpy(), backwards)


def test_rounding_beyond_the_unit_interval_is_clipped():
    assert as_image_tensor(torch.tensor([[-5e-5, 1 + 5e-5]])).tolist() == [[[0.0, 1.0]]]


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        (torch.zeros(5), "a picture is"),
        (torch.zeros(2, 3, 5, 5), "a picture is"),
        (torch.zeros(3, 0, 5), "none of them 0"),
        (torch.zeros(0, 5), "none of them 0"),
        (torch.zeros(2, 5, 5), "must have 1, 3 or 4"),
        (torch.full((3, 5, 5), 2.0), "outside"),
        (torch.full((3, 5, 5), -0.1), "outside"),
        (torch.full((3, 5, 5), torch.nan), "outside"),
        (torch.full((3, 5, 5), torch.inf), "outside"),
        (torch.zeros(3, 5, 5, dtype=torch.int64), "no known white"),
        (torch.zeros(3, 5, 5, dtype=torch.complex64), "no known white"),
        (np.array([["a", "b"]]), "no picture"),
        (np.array([[None]]), "no picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(image, rule):
    with pytest.raises(ImageError, match=rule) as caught:
        as_image_tensor(image)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("unchecked")
def test_a_layout_that_does_not_fit_is_refused():
    with pytest.raises(ImageError, match="no channel axis"):
        as_image_tensor(torch.zeros(3, 5, 5), layout="HWC")
    with pytest.raises(ImageError, match="it is 'CHW' or 'HWC'"):
        as_image_tensor(torch.zeros(3, 5, 5), layout="WHC")


@pytest.mark.parametrize("background", [1.5, (0.1, 0.2), (0.0, 0.0, -1.0)])
@pytest.mark.usefixtures("unchecked")
def test_a_background_that_is_no_colour_is_refused(background):
    with pytest.raises(ImageError, match="neither a grey level nor"):
        finish_picture(torch.zeros(1, 2, 2), None, "rgb", background)


@settings(deadline=None, max_examples=20)
@given(channels=st.sampled_from([1, 3, 4]), height=SIZES, width=SIZES)
def test_bytes_survive_the_round_trip(tmp_path_factory, channels, height, width):
    pixels = torch.randint(0, 256, (channels, height, width), dtype=torch.uint8)
    picture = pixels / 255
    assert torch.equal(to_uint8(picture), pixels)
    assert to_pil(picture).tobytes() == to_pil_image(pixels).tobytes()
    path = save_image(picture, tmp_path_factory.mktemp("saved") / "picture.png")
    with PillowImage.open(path) as image:
        assert torch.equal(pil_to_tensor(image), pixels)


def test_to_uint8_rounds_and_clips():
    assert to_uint8(torch.tensor([[[-1.0, 0.49 / 255, 0.51 / 255, 2.0]]])).tolist() == [[[0, 0, 1, 255]]]
    with pytest.raises(ImageError, match="NaN"):
        to_uint8(torch.tensor([[[torch.nan]]]))


def test_what_cannot_be_written_is_said_in_one_line(tmp_path):
    with pytest.raises(ImageError, match="2 channels are no picture"):
        to_pil(torch.rand(2, 5, 5))
    for path, picture in [
        (tmp_path / "missing" / "a.png", torch.rand(3, 5, 5)),
        (tmp_path / "a.unknown", torch.rand(3, 5, 5)),
        (tmp_path / "a", torch.rand(3, 5, 5)),
        (tmp_path / "a.jpg", torch.rand(4, 5, 5)),
    ]:
        with pytest.raises(ImageError, match="cannot be written") as caught:
            save_image(picture, path)
        assert "\n" not in str(caught.value)

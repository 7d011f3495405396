"""The picture transform against torchvision's and timm's own."""

from __future__ import annotations

from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image as PillowImage
from skimage import data as skimage_data
from timm.data import create_transform
from torchvision.models import EfficientNet_B0_Weights, Inception_V3_Weights, ResNet50_Weights, VGG16_Weights
from torchvision.transforms._presets import ImageClassification
from torchvision.transforms.v2.functional import to_dtype

import unconv as uc
from unconv.data.images import to_pil
from unconv.errors import ImageError, ModelError
from unconv.models.load.from_timm import timm_recipe
from unconv.models.load.from_torchvision import torchvision_recipe
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resizing import covering_size

SIZES = st.integers(1, 700)


def chelsea():
    return torch.from_numpy(skimage_data.chelsea().copy()).permute(2, 0, 1) / 255


@pytest.fixture
def unchecked(monkeypatch):
    """What users run: no type checks in front of our own."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("resnet50", ResNet50_Weights.DEFAULT),
        ("vgg16", VGG16_Weights.DEFAULT),
        ("inception_v3", Inception_V3_Weights.DEFAULT),
    ],
)
@settings(deadline=None, max_examples=15)
@given(height=SIZES, width=SIZES)
def test_bilinear_presets_equal_torchvision(name, weights, height, width):
    picture = torch.rand(3, height, width)
    expected = weights.transforms()(picture)
    assert torch.allclose(torchvision_recipe(name).preprocess(picture)[0], expected, atol=1e-5)


def test_bicubic_presets_equal_torchvision_on_bytes():
    recipe = torchvision_recipe("efficientnet_b0")
    assert recipe.preprocess.interpolation == "bicubic"
    pixels = torch.from_numpy(skimage_data.chelsea().copy()).permute(2, 0, 1)
    expected = EfficientNet_B0_Weights.DEFAULT.transforms()(pixels)
    difference = (recipe.preprocess(to_dtype(pixels, scale=True))[0] - expected).abs()
    # torchvision rounds the resized picture to bytes; its smallest std is 0.224.
    assert difference.max() <= 0.5001 / 255 / 0.224


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_base_patch16_clip_224.openai", "tf_efficientnet_lite0", "volo_d4_448.sail_in1k"]
)
def test_timm_configurations_equal_timms_transform(name):
    config = timm.get_pretrained_cfg(name).to_dict()
    expected = create_transform(**timm.data.resolve_data_config({}, pretrained_cfg=config))(to_pil(chelsea()))
    difference = (timm_recipe(name).preprocess(chelsea())[0] - expected).abs() * min(config["std"])
    # Pillow resizes in two passes, each rounded to bytes.
    assert difference.max() < 2.5 / 255
    assert difference.mean() < 0.5 / 255


def test_squash_equals_timms_transform():
    name = next(n for n in timm.list_pretrained() if timm.get_pretrained_cfg(n).crop_mode == "squash")
    config = timm.get_pretrained_cfg(name).to_dict()
    preprocess = timm_recipe(name).preprocess
    assert preprocess.fit == "stretch"
    expected = create_transform(**timm.data.resolve_data_config({}, pretrained_cfg=config))(to_pil(chelsea()))
    assert ((preprocess(chelsea())[0] - expected).abs() * min(config["std"])).max() < 2.5 / 255


def test_the_picture_is_the_input_without_normalisation():
    preprocess = Preprocess()
    picture = preprocess.picture(chelsea())
    assert picture.shape == (3, 224, 224)
    assert 0 <= picture.min() < picture.max() <= 1
    assert torch.equal(preprocess(chelsea())[0], preprocess.normalise(picture))
    assert torch.allclose(preprocess.denormalise(preprocess(chelsea()))[0], picture, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(height=SIZES, width=SIZES, crop=st.integers(1, 60), resize=st.integers(1, 60))
def test_every_crop_equals_torchvision_even_one_larger_than_the_picture(height, width, crop, resize):
    picture = torch.rand(3, height, width)
    expected = ImageClassification(crop_size=crop, resize_size=resize)(picture)
    ours = Preprocess(size=(crop, crop), resize=(resize, resize))
    assert torch.allclose(ours(picture)[0], expected, atol=1e-5)


@settings(deadline=None, max_examples=100)
@given(size=st.tuples(SIZES, SIZES), box=st.tuples(SIZES, SIZES))
def test_the_covering_size_covers_and_touches(size, box):
    rows, columns = covering_size(size, box)
    assert rows >= box[0]
    assert columns >= box[1]
    assert rows == box[0] or columns == box[1]
    # The aspect is kept to within the rounding of one side.
    assert abs(rows * size[1] - columns * size[0]) <= max(size)


def test_grey_and_colour_fit_networks_of_either():
    grey, colour = torch.rand(1, 8, 8), torch.rand(3, 8, 8)
    small = Preprocess(size=(8, 8), resize=(8, 8))
    assert torch.equal(small.picture(grey), grey.repeat(3, 1, 1))
    plain = Preprocess(size=(8, 8), resize=(8, 8), mean=(0.5,), std=(0.25,))
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    assert torch.allclose(plain(colour)[0, 0], (luma - 0.5) / 0.25, atol=1e-6)


def test_overrides_change_only_what_they_name():
    base = Preprocess()
    assert base.changed() == base
    assert base.changed(size=(448, 448)).resize == (512, 512)
    assert base.changed(size=(224, 448)).resize == (256, 512)
    assert base.changed(mean=0.5).mean == (0.5, 0.5, 0.5)
    assert base.changed(std=[0.1, 0.2, 0.3]).std == (0.1, 0.2, 0.3)
    assert base.changed(size=(64, 96))(chelsea()).shape == (1, 3, 64, 96)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"size": (0, 5)}, "at least 1"),
        ({"size": (10**6, 10**6)}, "exceeds"),
        ({"resize": (0, 300)}, "at least 1"),
        ({"mean": (), "std": ()}, "0 means and 0 stds"),
        ({"mean": (0.5,)}, "1 means and 3 stds"),
        ({"mean": (127.0,) * 3}, "divide by 255"),
        ({"mean": (float("nan"),) * 3}, "divide by 255"),
        ({"std": (0.5, 0.0, 0.5)}, "positive and finite"),
        ({"std": (0.5, float("inf"), 0.5)}, "positive and finite"),
        ({"interpolation": "lanczos"}, "it is 'bilinear'"),
        ({"fit": "pad"}, "it is 'cover'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_impossible_transforms_are_refused_in_one_line(change, rule):
    with pytest.raises(ModelError, match=rule) as caught:
        Preprocess(**change)
    assert "\n" not in str(caught.value)


def test_overrides_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="2 values of mean for 3 channels; give 1 or 3"):
        Preprocess().changed(mean=[0.1, 0.2])
    with pytest.raises(ModelError, match="at least 1"):
        Preprocess().changed(size=(0, 0))


def test_thin_strips_are_refused_before_they_fill_the_memory():
    with pytest.raises(ImageError, match="makes it 256x2560000; crop it first"):
        Preprocess()(torch.rand(3, 1, 10_000))


def test_pictures_of_other_channels_are_refused():
    with pytest.raises(ImageError, match="1 or 3"):
        Preprocess()(torch.rand(4, 8, 8))
    with pytest.raises(ImageError, match="for 3 channels"):
        Preprocess().normalise(torch.rand(1, 8, 8))


def test_pictures_are_taken_as_people_hold_them(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    PillowImage.fromarray(colours).save(tmp_path / "x.png")
    network = uc.load_model("zfnet-28")
    wanted = network.preprocess(torch.from_numpy(colours).permute(2, 0, 1) / 255)
    forms = [tmp_path / "x.png", str(tmp_path / "x.png"), PillowImage.fromarray(colours), colours]
    for form in (*forms, uc.read_images(tmp_path / "x.png")[0]):
        torch.testing.assert_close(network.preprocess(form), wanted)
    assert torch.equal(network(wanted), network.module(wanted))
    PillowImage.fromarray(colours).save(tmp_path / "y.png")
    with pytest.raises(ImageError, match="2 pictures; a network's input is made of one"):
        network.preprocess(tmp_path)
    with pytest.raises(ImageError, match="nowhere"):
        network.preprocess("nowhere.png")

"""Picture transforms of torchvision, timm and users: the same pixels as they themselves make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models, transforms as v1
from torchvision.transforms import v2

import unconv as uc
from unconv.errors import ImageError, ModelError
from unconv.models.load.open_model import open_model
from unconv.models.load.transforms import as_preprocess

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NOISE = torch.Generator().manual_seed(1)
PICTURES = [torch.rand(3, *size, generator=NOISE) for size in ((70, 91), (64, 64), (120, 45))]
PHOTOGRAPH = Image.fromarray(skimage.data.chelsea())


def of_timm() -> object:
    config = timm.data.resolve_data_config({}, model=timm.create_model("resnet18"))
    return timm.data.create_transform(**config, is_training=False)


KNOWN = {
    "preset": models.ResNet50_Weights.IMAGENET1K_V2.transforms(),
    "preset bicubic": models.EfficientNet_B1_Weights.IMAGENET1K_V1.transforms(),
    "v1": v1.Compose([v1.Resize(40), v1.CenterCrop(32), v1.ToTensor(), v1.Normalize(MEAN, STD)]),
    "to a tensor first": v1.Compose([v1.ToTensor(), v1.Resize(40), v1.CenterCrop((24, 32)), v1.Normalize(MEAN, STD)]),
    "stretched": v1.Compose([v1.Resize((30, 50)), v1.ToTensor(), v1.Normalize(MEAN, STD)]),
    "nested": v1.Compose([v1.Compose([v1.Resize([40]), v1.CenterCrop([32])]), v1.Compose([v1.ToTensor()])]),
    "larger than resized": v1.Compose([v1.Resize(24), v1.CenterCrop(32), v1.ToTensor(), v1.Normalize(MEAN, STD)]),
    "sequential": nn.Sequential(v1.Resize(40), v1.CenterCrop(32), v1.Normalize(MEAN, STD)),
    "v2": v2.Compose(
        [v2.ToImage(), v2.Resize(40), v2.CenterCrop(32), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    ),
    "timm": of_timm(),
}


def without_storage(transform: object) -> object:
    """The same for a tensor in [0, 1]: what makes tensors of Pillow pictures is left out."""
    if isinstance(transform, v1.Compose):
        kept = [one for one in transform.transforms if type(one).__name__ not in ("ToTensor", "MaybeToTensor")]
        return v1.Compose([without_storage(one) for one in kept])
    return transform


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: str(tuple(picture.shape)))
def test_known_transforms_make_the_same_pixels(name: str, picture: Tensor) -> None:
    preprocess, notes = as_preprocess(KNOWN[name])
    assert preprocess.own is None
    assert notes == ()
    wanted = without_storage(KNOWN[name])(picture).as_subclass(Tensor)
    if preprocess.interpolation == "bicubic":
        # Bicubic weights are negative in places; of bytes, torchvision's result is clipped, too.
        wanted = preprocess.normalise(preprocess.denormalise(wanted).clamp(0, 1))
    assert torch.allclose(preprocess(picture)[0], wanted, atol=2e-6)


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "sequential"])
def test_known_transforms_make_the_same_photograph_up_to_pillow_s_rounding(name: str) -> None:
    preprocess, _ = as_preprocess(KNOWN[name])
    wanted = KNOWN[name](PHOTOGRAPH).as_subclass(Tensor)
    found = preprocess(v1.functional.to_tensor(PHOTOGRAPH))[0]
    assert found.shape == wanted.shape
    # Pillow resizes bytes, each pass rounded.
    assert float((found - wanted).abs().max()) <= 2.1 / 255 / min(preprocess.std)


def test_what_keeps_the_whole_picture_is_cropped_and_said() -> None:
    segmentation = models.segmentation.FCN_ResNet50_Weights.DEFAULT.transforms()
    compose = v1.Compose([v1.Resize(520), v1.ToTensor(), v1.Normalize(MEAN, STD)])
    for transform in (segmentation, compose):
        preprocess, notes = as_preprocess(transform)
        assert preprocess == uc.load_model("torchvision:fcn_resnet50", random_weights=True).preprocess
        assert notes == ("the transform keeps the whole picture, here the central 520x520 of it is used",)


def test_one_value_of_a_normalize_is_for_all_channels() -> None:
    mnist = v1.Compose([v1.Resize((28, 28)), v1.ToTensor(), v1.Normalize((0.1307,), (0.3081,))])
    assert as_preprocess(mnist)[0].mean == as_preprocess(mnist, 1)[0].mean == (0.1307,)
    assert as_preprocess(mnist, 3)[0].mean == (0.1307,) * 3
    assert open_model(nn.Conv2d(1, 2, 3), transform=mnist).preprocess.input_size == (1, 28, 28)


OWN = {
    "pillow": lambda picture: v1.functional.to_tensor(picture.resize((20, 16))).sub(0.5).div(0.25),
    "tensor": lambda picture: (picture[:, :16, :20] - 0.5) / 0.25,
    "numpy": lambda picture: ((np.asarray(picture)[:16, :20] / 255 - 0.5) / 0.25).transpose(2, 0, 1),
    "unusual order": v1.Compose([v1.CenterCrop(16), v1.Resize((16, 20)), v1.ToTensor(), v1.Normalize([0.5], [0.25])]),
    "lambda inside": v1.Compose([v1.Lambda(lambda x: x.convert("RGB")), v1.Resize((16, 20)), v1.ToTensor()]),
}


@pytest.mark.parametrize("name", OWN)
def test_others_are_applied_as_they_are(name: str) -> None:
    before = torch.random.get_rng_state(), np.random.rand
    preprocess, (note,) = as_preprocess(OWN[name])
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert preprocess.input_size == (3, 16, 20)
    assert note.startswith("pictures are prepared by ")
    if name != "lambda inside":
        assert preprocess.mean == pytest.approx((0.5,) * 3)
        assert preprocess.std == pytest.approx((0.25,) * 3)
    picture = (PICTURES[0] * 255).round() / 255
    given = picture if name == "tensor" else v1.functional.to_pil_image(picture)
    wanted = torch.as_tensor(OWN[name](given)).float()
    assert torch.allclose(preprocess(picture)[0], wanted, atol=1e-5)
    assert float(preprocess.picture(picture).min()) >= -1e-5
    assert float(preprocess.picture(picture).max()) <= 1 + 1e-5
    with pytest.raises(ModelError, match="makes its own size"):
        preprocess.changed(size=(8, 8))
    with pytest.raises(ModelError, match="cannot be written to a file"):
        preprocess.to_dict()
    with pytest.raises(ImageError, match="does not say where a pixel lies"):
        preprocess.labels(torch.zeros(8, 8, dtype=torch.int64))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (7, "transform: a int is no picture transform; give weights.transforms"),
        (v1.Resize, "transform: the class Resize is no picture transform"),
        (models.ResNet50_Weights.DEFAULT, "transform: a ResNet50_Weights is no picture transform"),
        (
            v1.Compose([v1.RandomResizedCrop(32), v1.ToTensor()]),
            r"transform: Compose\(.*\) makes another picture of the same one each time; give the one for evaluation",
        ),
        (lambda picture: picture.no_such, "transform: <lambda> fails on a Tensor: 'Tensor' object has no attribute"),
        (v1.PILToTensor(), r"transform: PILToTensor.* makes \(3, 300, 400\) of torch.uint8; a float tensor"),
    ],
)
def test_what_is_no_transform_is_refused_in_a_line(transform: object, message: str) -> None:
    with pytest.raises(ModelError, match=f"^{message}") as refused:
        as_preprocess(transform)
    assert "\n" not in str(refused.value)


def test_a_picture_that_ends_in_another_size_is_refused() -> None:
    preprocess, _ = as_preprocess(lambda picture: picture[:, :, : picture.shape[2] // 2])
    with pytest.raises(ImageError, match=r"makes \(3, 70, 45\) of a picture 70x91, and \(3, 300, 200\) of others"):
        preprocess(PICTURES[0])


def test_load_model_scan_and_see_take_them(tmp_path: Path) -> None:
    preset = models.ResNet50_Weights.IMAGENET1K_V2.transforms()
    loaded = uc.load_model("torchvision:resnet18", random_weights=True, transform=preset)
    assert loaded.preprocess == uc.Preprocess(size=(224, 224), resize=(232, 232))
    with pytest.raises(ModelError, match="transform says size, mean and std already"):
        uc.load_model("torchvision:resnet18", random_weights=True, transform=preset, size=96)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    for name in ("pillow", "tensor"):
        pictures = [(picture * 255).round() / 255 for picture in PICTURES]
        found = uc.scan(model, pictures, "0", top=3, transform=OWN[name])
        preprocess, _ = as_preprocess(OWN[name])
        maps = model[0](torch.cat([preprocess(picture) for picture in pictures])).amax((2, 3))
        assert torch.allclose(found.values["0"], maps.T.sort(1, descending=True).values, atol=1e-5)
    report = uc.see(model, PICTURES, "1", tmp_path / "out", transform=OWN["pillow"], top_units=2, top=2, fidelity=0)
    assert tuple(report.numbers["input_size"]) == (3, 16, 20)
    assert any(note.startswith("pictures are prepared by <lambda>") for note in report.numbers["notes"])


def test_a_bare_module_says_what_was_assumed_and_the_old_name_works(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 7, stride=8), nn.ReLU())
    arrays = [picture.permute(1, 2, 0).numpy() for picture in PICTURES[:2]]
    report = uc.see(model, arrays, "1", tmp_path / "out", top_units=1, top=1, fidelity=0)
    assert tuple(report.numbers["input_size"]) == (1, 224, 224)
    assert any("names no picture transform" in note for note in report.numbers["notes"])
    small = uc.Preprocess((16, 16), (16, 16), (0.0,), (1.0,))
    with pytest.warns(DeprecationWarning, match="see: preprocess is transform now"):
        report = uc.see(model, arrays, "1", tmp_path / "two", top_units=1, top=1, fidelity=0, preprocess=small)
    assert tuple(report.numbers["input_size"]) == (1, 16, 16)


def test_projections_take_them_too() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    transform = KNOWN["v1"]
    pictures = [v1.functional.to_pil_image(picture) for picture in PICTURES]
    preprocess, _ = as_preprocess(transform)
    prepared = torch.cat([preprocess(v1.functional.to_tensor(picture)) for picture in pictures])
    found = uc.project(model, pictures, "1", 2, transform=transform)
    assert torch.allclose(found.image, uc.project(model, prepared, "1", 2).image, atol=1e-5)
    windows = uc.network.windows_of(model, "1", prepared)
    picks = [uc.visualize.Pick(0, 2, (5, 6)), uc.visualize.Pick(2, 1, (0, 0))]
    units = uc.visualize.project_units(model, pictures, windows, picks, transform=transform)
    assert torch.allclose(units.activation, model(prepared)[[0, 2], [2, 1], [5, 0], [6, 0]], atol=1e-5)
    scanned = uc.scan(model, pictures, "1", top=2, transform=transform)
    projected = scanned.unit("1", 2).project(model, pictures, transform=transform)
    assert torch.allclose(projected.activation, scanned.values["1"][2], atol=1e-5)
    # The scan's own where nobody says another.
    assert torch.equal(scanned.unit("1", 2).project(model, pictures).image, projected.image)
    with pytest.raises(uc.UnconvError, match=r"the transform in the scan was .* here it is Preprocess.*; give"):
        scanned.unit("1", 2).project(model, pictures, transform=uc.Preprocess())

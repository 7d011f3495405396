"""Pictures with masks: every layout, the same as torchvision reads, and each kind of bad input in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as T
from hypothesis import given, settings, strategies as st
from PIL import Image
from torchvision import tv_tensors
from torchvision.datasets import OxfordIIITPet, VOCSegmentation

from tests.train.segmenting import write_masks
from unconv.errors import ImageError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resizing import resized_size
from unconv.train.data.label_images import NOT_COUNTED, read_labels
from unconv.train.data.masked import masked_pictures

SMALL = Preprocess(size=(12, 16), resize=(12, 16), mean=(0.5,) * 3, std=(0.25,) * 3)


def test_masks_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = masked_pictures(write_masks(tmp_path, count=9), seed=1)
    assert found.classes == ("class 0", "class 1", "class 2")
    train, held_out = found.prepared(SMALL)
    assert (len(train), len(held_out)) == (8, 1)
    for examples in (train, held_out):
        batch = examples.fetch(range(len(examples)))
        assert batch.targets.dtype == torch.int64
        assert batch.inputs.shape == (len(examples), 3, 12, 16)
        for pair, labels, inputs in zip(examples.pairs, batch.targets, batch.inputs, strict=True):
            assert pair.picture.stem == pair.mask.stem
            assert torch.equal(labels, torch.tensor(np.array(Image.open(pair.mask))).long())
            assert labels[0, 0] == NOT_COUNTED
            # The picture was painted after its mask.
            bright = SMALL.denormalise(inputs).mean(0)
            means = [bright[labels == number].mean().item() for number in range(3)]
            assert means == sorted(means)
    pixels = sum(train.fetch([n]).targets.flatten().bincount(minlength=256)[:3] for n in range(8))
    assert list(found.pixels()) == pixels.tolist()


def test_the_choice_follows_the_seed_and_shares_nothing(tmp_path: Path) -> None:
    folder = write_masks(tmp_path, count=30)
    chosen = []
    for seed in (0, 0, 1):
        found = masked_pictures(folder, seed)
        assert set(found.train).isdisjoint(found.held_out)
        assert len(found.train) + len(found.held_out) == 30
        chosen.append(found.held_out)
    assert chosen[0] == chosen[1] != chosen[2]


def test_train_and_test_folders_and_names_of_classes(tmp_path: Path) -> None:
    write_masks(tmp_path / "train", count=4)
    write_masks(tmp_path / "val", count=2)
    (tmp_path / "classes.txt").write_text("road\n\nsky \ntree\n")
    found = masked_pictures(tmp_path)
    assert found.classes == ("road", "sky", "tree")
    assert (len(found.train), len(found.held_out)) == (4, 2)
    assert {pair.mask.parent.parent.name for pair in found.held_out} == {"val"}


def test_voc_is_what_torchvision_finds(tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    write_masks(tmp_path / "made", count=5, classes=21, size=(42, 16))
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "made/images").rename(root / "JPEGImages")
    (tmp_path / "made/masks").rename(root / "SegmentationClass")
    (root / "ImageSets/Segmentation/train.txt").write_text("p0\np3\np1\n")
    (root / "ImageSets/Segmentation/val.txt").write_text("p2\np4\n")
    found = masked_pictures(tmp_path)
    assert (len(found.classes), found.classes[15], found.name) == (21, "person", "PASCAL VOC2012")
    for pairs, name in ((found.train, "train"), (found.held_out, "val")):
        theirs = VOCSegmentation(tmp_path, image_set=name)
        assert [str(pair.picture) for pair in pairs] == theirs.images
        assert [str(pair.mask) for pair in pairs] == theirs.masks
        for pair, (_, mask) in zip(pairs, theirs, strict=True):
            assert np.array_equal(read_labels(pair.mask), np.asarray(mask))


def test_pets_are_what_torchvision_finds(tmp_path: Path) -> None:
    root = tmp_path / "oxford-iiit-pet"
    write_masks(tmp_path / "made", count=5)
    (root / "annotations").mkdir(parents=True)
    (tmp_path / "made/images").rename(root / "images")
    trimaps = root / "annotations" / "trimaps"
    (tmp_path / "made/masks").rename(trimaps)
    for path in trimaps.iterdir():
        labels = np.asarray(Image.open(path)).clip(0, 2) + 1
        Image.fromarray(labels.astype(np.uint8)).save(path)
    (root / "annotations/trainval.txt").write_text("p0 1 1 1\np3 1 1 1\np1 2 1 1\n")
    (root / "annotations/test.txt").write_text("p2 1 1 1\np4 2 1 1\n")
    found = masked_pictures(tmp_path)
    assert found.classes == ("background", "pet")
    for examples, split in zip(found.prepared(SMALL), ("trainval", "test"), strict=True):
        theirs = OxfordIIITPet(tmp_path, split, target_types="segmentation")
        for number, (_, mask) in enumerate(theirs):
            labels = examples.fetch([number]).targets[0].numpy()
            assert np.array_equal(labels, np.array([0, 1, 0, NOT_COUNTED])[np.asarray(mask)])


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(2, 40),
    width=st.integers(2, 40),
    size=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    fit=st.sampled_from(("cover", "stretch")),
)
def test_masks_move_with_their_pictures(height: int, width: int, size: tuple[int, int], fit: str) -> None:
    """A picture whose brightness is its label, resized to the nearest by torchvision, then cropped."""
    prepare = Preprocess(size=size, resize=size, mean=(0.0,), std=(1.0,), fit=fit)
    mask = torch.randint(0, 256, (height, width), generator=torch.Generator().manual_seed(height * width))
    rows, columns = resized_size((height, width), size, fit)
    theirs = T.center_crop(T.resize(tv_tensors.Mask(mask[None]), [rows, columns]), list(size))[0]
    ours = prepare.labels(mask)
    assert ours.shape == size
    # torchvision's masks are resized by "nearest", which looks at the corner of a pixel; ours looks at its middle.
    exact = T.resize(mask[None].float(), [rows, columns], interpolation=T.InterpolationMode.NEAREST_EXACT)
    assert torch.equal(ours, T.center_crop(exact, list(size))[0].long())
    if (rows, columns) == (height, width):
        assert torch.equal(ours, theirs)
    smooth = Preprocess(size=size, resize=size, mean=(0.0,), std=(1.0,), fit=fit)
    half = torch.zeros(1, height, width)
    half[..., width // 2 :] = 1
    moved = smooth.labels(half[0].long())
    # The edge of a picture's half lies at most one column beside that of its mask.
    assert ((smooth.picture(half)[0] > 0.5) != moved.bool()).sum() <= size[0]


def test_a_picture_turned_by_its_camera_fits_its_mask(tmp_path: Path) -> None:
    folder = write_masks(tmp_path, count=3)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(folder / "images/p1.jpg") as image:
        turned = image.transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / "images/p1.jpg", exif=exif, quality=95)
    found = masked_pictures(folder)
    assert len(found.train) + len(found.held_out) == 3
    for examples in found.prepared(SMALL):
        assert not examples.fetch(range(len(examples))).skipped


def test_a_picture_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write_masks(tmp_path, count=6)
    (folder / "images/p2.jpg").write_bytes(b"no picture")
    found = masked_pictures(folder)
    batches = [examples.fetch(range(len(examples))) for examples in found.prepared(SMALL)]
    assert sum(len(batch.inputs) for batch in batches) == 5
    (skipped,) = [name for batch in batches for name in batch.skipped]
    assert "p2.jpg" in skipped


def put(labels: int, at: str = "p1") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "masks" / f"{at}.png"
        values = np.asarray(Image.open(path)).copy()
        values[1, 1] = labels
        Image.fromarray(values).save(path)

    return change


def replaced(**files: Image.Image) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name, image in files.items():
            image.save(folder / "masks" / f"{name}.png")

    return change


def as_jpeg(folder: Path) -> None:
    with Image.open(folder / "masks/p0.png") as image:
        image.convert("RGB").save(folder / "masks/p0.jpg")
    (folder / "masks/p0.png").unlink()


def names(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "classes.txt").write_text(text) and None


def only_one(folder: Path) -> None:
    for path in folder.rglob("p[1-9]*"):
        path.unlink()


BAD: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (names("a\nb\nc")(f), put(7)(f)), r"mask .*p1.png: label 7, where 2 is the last of 3 classes and 255"),
    (put(9), r"label 3 \(class 3\) has no pixel in the 5 masks to learn from; number classes without gaps"),
    (names("a\nb\nc\nd"), r"label 3 \(d\) has no pixel in the 5 masks"),
    (names("a"), r"classes.txt: 1 names, 1 different; write 2 to 255 classes"),
    (names("a\nb\nb"), r"classes.txt: 3 names, 2 different"),
    (replaced(p2=Image.new("L", (16, 11))), r"mask .*p2.png: 11x16, its picture .*p2.jpg is 12x16; give each picture"),
    (lambda f: (f / "masks/p3.png").unlink(), r"picture .*p3.jpg: no mask p3.png in .*masks; make one"),
    (as_jpeg, r"mask .*p0.jpg: JPEG changes labels where it saves bytes; save masks as PNG"),
    (replaced(p4=Image.new("RGB", (16, 12))), r"mask .*p4.png: RGB colours are no numbers of classes; save masks as"),
    (
        replaced(p4=Image.fromarray(np.full((12, 16), 300, np.uint16))),
        r"mask .*p4.png: label 300, where 255 \(not counted\) is the last",
    ),
    (lambda f: (f / "masks/p4.png").write_bytes(b"x"), r"mask .*p4.png: cannot be read: .*; save masks as PNG"),
    (only_one, r"data .*: 1 picture, and one is held out; give two at least"),
    (
        replaced(**{f"p{n}": Image.new("L", (16, 12), 255 * (n % 2)) for n in range(6)}),
        r"1 class in 6 masks \(255 is not",
    ),
    (lambda f: shutil.copy(f / "masks/p0.png", f / "masks/p0.gif"), r"p0.png: p0.gif is a mask for p0 too"),
    (lambda f: shutil.rmtree(f / "masks"), r"neither images/ and masks/ in it, nor train/ and test/ with these"),
    (lambda f: [path.unlink() for path in (f / "images").iterdir()], r"images: no files in it; put pictures in images"),
    (lambda f: (f / "VOCdevkit").mkdir(), r"train.txt: cannot be read: .*; let torchvision.datasets fetch"),
    (lambda f: (f / "oxford-iiit-pet").mkdir(), r"trainval.txt: cannot be read: .*; let torchvision.datasets fetch"),
]


@pytest.mark.parametrize(("spoil", "told"), BAD, ids=range(len(BAD)))
def test_bad_input_is_one_line(tmp_path: Path, spoil: Callable[[Path], object], told: str) -> None:
    folder = write_masks(tmp_path)
    spoil(folder)
    with pytest.raises(ImageError, match=told) as caught:
        masked_pictures(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_masks_beside_its_images_is_told(tmp_path: Path) -> None:
    write_masks(tmp_path / "train")
    (tmp_path / "test").mkdir()
    with pytest.raises(ImageError, match=r"data .*test: no folder images in it; it needs images and masks"):
        masked_pictures(tmp_path)

"""Files, folders and arrays in; pictures and what was skipped out, in a known order."""

from __future__ import annotations

import os
import socket
import warnings
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import skimage
import torch
from PIL import Image as PillowImage, ImageOps
from skimage import data as skimage_data
from torchvision.transforms.functional import pil_to_tensor

from unconv.data.images import (
    ImageFile,
    Skipped,
    iter_images,
    list_images,
    read_images,
    save_image,
)
from unconv.errors import ImageError


def picture(height=8, width=10):
    return torch.rand(3, height, width)


def skimage_folder():
    return Path(skimage.__file__).parent / "data"


@pytest.fixture
def unchecked(monkeypatch):
    """What users run: no type checks in front of our own."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def folder(tmp_path):
    """Two classes, names out of order, and what else lies about in such folders."""
    root = tmp_path / "photos"
    for place in ("zebra", "ant", ".cache"):
        (root / place).mkdir(parents=True)
    for name in ("zebra/2.png", "zebra/10.png", "ant/b.jpg", "ant/a.png", "c.bmp", ".hidden.png", ".cache/d.png"):
        save_image(picture(), root / name)
    (root / "labels.csv").write_text("a,b\n")
    (root / "ant" / "zero.png").write_bytes(b"")
    return root


def test_a_folder_is_read_in_the_order_of_its_names(folder):
    pictures = read_images(folder)
    assert [image.name for image in pictures] == ["ant/a.png", "ant/b.jpg", "c.bmp", "zebra/10.png", "zebra/2.png"]
    assert [image.path for image in pictures] == [folder / image.name for image in pictures]
    assert [(item.name, item.reason) for item in pictures.skipped] == [
        ("ant/zero.png", "empty file (0 bytes)"),
        ("labels.csv", "not a picture in a known format"),
    ]
    assert all(item.path == folder / item.name for item in pictures.skipped)


def test_inputs_keep_their_order_and_names(folder, tmp_path):
    save_image(picture(), tmp_path / "odd name %20 é.png")
    inputs = [
        str(folder / "zebra"),
        tmp_path / "odd name %20 é.png",
        picture(),
        "nowhere.png",
        np.zeros((2, 8, 10, 3)),
        PillowImage.new("L", (10, 8)),
        read_images(folder / "c.bmp")[0],
    ]
    pictures = read_images(inputs)
    assert [image.name for image in pictures] == [
        "10.png", "2.png", "odd name %20 é.png", "image 0", "image 1", "image 2", "image 3", "c.bmp",
    ]  # fmt: skip
    assert [str(item) for item in pictures.skipped] == ["nowhere.png: no such file or folder"]
    assert pictures.batch().shape == (8, 3, 8, 10)
    assert pictures[-1].path == folder / "c.bmp"


def test_what_is_done_to_pillow_pictures_is_noted():
    image = PillowImage.fromarray(np.array([[0.0, 255.0]], dtype=np.float32))
    assert read_images(image)[0].notes == ("floats from 0 to 255, mapped to 0 and 1",)


def test_one_input_need_not_be_a_list(folder):
    assert len(read_images(str(folder / "c.bmp"))) == 1
    assert len(read_images(picture())) == 1
    assert len(read_images(torch.rand(4, 3, 8, 10))) == 4
    assert len(read_images(path for path in folder.glob("*.bmp"))) == 1


def test_listing_opens_nothing_and_can_be_read(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(PillowImage, "open", lambda *_, **__: pytest.fail("opened"))
        listing = list_images([folder, "nowhere.png"])
    assert [type(item) for item in listing] == [ImageFile] * 7 + [Skipped]
    read, listed = read_images([folder, "nowhere.png"]), read_images(listing)
    assert [image.name for image in read] == [image.name for image in listed]
    assert read.skipped == listed.skipped


def test_iteration_reads_a_picture_only_when_asked(folder, monkeypatch):
    opened = []
    whole = PillowImage.open
    monkeypatch.setattr(PillowImage, "open", lambda *a, **k: (opened.append(a), whole(*a, **k))[1])
    pictures = iter_images(folder)
    assert opened == []
    next(pictures)
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([], "none given"),
        ("", "an empty name"),
        ("nowhere", "nowhere: no such file or folder"),
        ("a\0b", "no such file"),
        ("x" * 5000, "File name too long"),
        (["1", "2", "3", "4", "5"], "nothing readable in 5 tried: 1: .*; and 2 more"),
        (torch.full((3, 4, 4), 7.0), "image 0: image of shape .* divide by white"),
        ([3], "image 0: image of type int"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_nothing_readable_names_what_was_tried(inputs, said):
    with pytest.raises(ImageError, match=said) as caught:
        read_images(inputs)
    assert "\n" not in str(caught.value)


def test_a_folder_without_pictures_says_so(tmp_path):
    with pytest.raises(ImageError, match="no files in this folder"):
        read_images(tmp_path)
    (tmp_path / "two\nlines.txt").write_text("text")
    with pytest.raises(ImageError, match=r"two\\nlines\.txt: not a picture in a known format"):
        read_images(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_devices_and_sockets_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
        reasons = {item.name: item.reason for item in list_images(tmp_path)}
    assert reasons == {
        "pipe.png": "not a regular file",
        "socket.png": "not a regular file",
        "dangling.png": "no such file or folder",
    }
    with pytest.raises(ImageError, match="not a regular file"):
        read_images("/dev/zero")


def test_links_that_lead_in_a_circle_end(folder):
    (folder / "ant" / "loop").symlink_to(folder)
    (folder / "same").symlink_to(folder / "ant")
    listing = list_images(folder)
    assert sum(isinstance(item, ImageFile) for item in listing) == 7
    assert {item.reason for item in listing if isinstance(item, Skipped)} == {"a link to a folder already read"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_skipped(folder):
    (folder / "c.bmp").chmod(0)
    (folder / "zebra").chmod(0)
    reasons = {item.name: item.reason for item in read_images(folder).skipped}
    assert reasons["c.bmp"] == reasons["zebra"] == "Permission denied"
    (folder / "zebra").chmod(0o700)


def test_an_unreadable_folder_is_reported(folder, monkeypatch):
    def refuse(place):
        if place.endswith("zebra"):
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", refuse)
    pictures = read_images(folder)
    assert len(pictures) == 3
    assert ("zebra", "Permission denied") in [(item.name, item.reason) for item in pictures.skipped]


def test_bombs_are_skipped_and_nothing_is_warned(folder):
    save_image(picture(50, 50), folder / "large.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures = read_images(folder, max_pixels=1000)
    assert len(pictures) == 5
    assert [item.reason for item in pictures.skipped if item.name == "large.png"] == [
        "50×50 pixels are more than 1,000; max_pixels=2500 lets them through"
    ]


@pytest.mark.usefixtures("unchecked")
def test_wrong_options_are_refused_before_anything_is_read(folder):
    with pytest.raises(ImageError, match="mode 'bgr' is unknown"):
        iter_images(folder, mode="bgr")
    with pytest.raises(ImageError, match="max_pixels 0"):
        iter_images(folder, max_pixels=0)


def test_a_batch_of_different_shapes_is_refused():
    pictures = read_images([picture(8, 10), picture(8, 12)])
    with pytest.raises(ImageError, match=r"image 0 is \(3, 8, 10\) and image 1 is \(3, 8, 12\)"):
        pictures.batch()


def test_skimages_pictures_equal_pillow():
    pictures = read_images(skimage_folder())
    assert len(pictures) > 20
    for image in pictures:
        with PillowImage.open(image.path) as reference:
            expected = pil_to_tensor(ImageOps.exif_transpose(reference).convert("RGB")) / 255
            opaque = not reference.has_transparency_data and reference.mode != "I;16"
        assert image.size == expected.shape[1:]
        if opaque:
            assert torch.equal(image.tensor, expected), image.name
    reasons = {item.name: item.reason for item in pictures.skipped}
    # Three 64-bit floats a pixel.
    assert reasons["multipage_rgb.tif"].startswith("not a picture")
    assert "no channel axis" in reasons["lfw_subset.npy"]


def test_a_photograph_is_what_skimage_says_it_is():
    chelsea = skimage_data.chelsea()
    read = read_images(skimage_folder() / "chelsea.png")[0]
    assert torch.equal(read.tensor, torch.from_numpy(chelsea.copy()).permute(2, 0, 1) / 255)
    assert torch.equal(read.tensor, read_images(chelsea)[0].tensor)
    assert read.notes == ()

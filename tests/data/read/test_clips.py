"""Clips: every way in which a video or a volume is kept is read to the same frames, in their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from unconv.data.read.clips import clip_of_array
from unconv.data.read.items import Clip, Skipped
from unconv.data.read.read_item import read_item
from unconv.data.read.reading import Reading
from unconv.data.read.source import pictures_of

# More than ten, so that the names of frames do not sort by their letters.
FRAMES = np.random.default_rng(0).integers(0, 256, (12, 16, 20), dtype=np.uint8)
EXPECTED = torch.from_numpy(FRAMES)[None].float() / 255
CLIPS = Reading(channels=1, clips=True)


def pages() -> list[PillowImage.Image]:
    return [PillowImage.fromarray(frame) for frame in FRAMES]


def save_frames(folder: Path, ending: str = "png") -> Path:
    folder.mkdir(parents=True)
    for number, page in enumerate(pages()):
        page.save(folder / f"frame{number}.{ending}")
    return folder


def save_pages(path: Path) -> Path:
    first, *rest = pages()
    first.save(path, save_all=True, append_images=rest)
    return path


def save_arrays(folder: Path) -> Path:
    folder.mkdir()
    for number, frame in enumerate(FRAMES):
        np.save(folder / f"{number}.npy", frame)
    return folder


def save_array(path: Path) -> Path:
    (np.save if path.suffix == ".npy" else np.savez)(path, FRAMES)
    return path


@pytest.mark.parametrize(
    "save",
    [
        lambda place: save_frames(place / "clip"),
        lambda place: save_frames(place / "clip", "tif"),
        lambda place: save_pages(place / "clip.tif"),
        lambda place: save_pages(place / "clip.gif"),
        lambda place: save_array(place / "clip.npy"),
        lambda place: save_array(place / "clip.npz"),
        lambda place: save_arrays(place / "clip"),
    ],
    ids=["folder", "folder of tif", "tif", "gif", "npy", "npz", "folder of npy"],
)
def test_every_way_to_keep_a_clip_gives_its_frames(save, tmp_path: Path) -> None:
    (item,) = pictures_of(save(tmp_path), stacks=False)
    assert isinstance(item, Clip)
    found = read_item(item, CLIPS)
    # Of a GIF, whose pictures are of colour, grey is a weighted sum.
    torch.testing.assert_close(found.tensor, EXPECTED, atol=1e-6, rtol=0)
    assert found.name.partition(".")[0] == "clip"


def test_a_folder_holds_a_clip_for_every_folder_and_every_file_of_frames(tmp_path: Path) -> None:
    save_frames(tmp_path / "all" / "a")
    save_frames(tmp_path / "all" / "b")
    save_pages(tmp_path / "all" / "c.gif")
    pictures = pictures_of(tmp_path / "all", stacks=False)
    assert [item.name for item in pictures] == ["a", "b", "c.gif"]
    assert pictures.fingerprint() == pictures_of(tmp_path / "all", stacks=False).fingerprint()
    # As the shell hands them over.
    given = sorted((tmp_path / "all" / "a").iterdir())
    assert [len(item.files) for item in pictures_of(given, stacks=False)] == [12]


@pytest.mark.parametrize(
    ("axes", "told"), [((0, 1, 2, 3), "first"), ((1, 2, 3, 0), "last"), ((1, 0, 2, 3), "frames, then channels")]
)
@pytest.mark.parametrize("channels", [2, 3])
def test_channels_of_an_array_are_found_by_their_number(channels: int, axes: tuple[int, ...], told: str) -> None:
    clip = np.random.default_rng(1).normal(size=(channels, 5, 6, 7)).astype(np.float32)
    read, notes = clip_of_array(clip.transpose(axes), channels)
    assert torch.equal(read, torch.from_numpy(clip))
    assert told in notes[0]


def test_numbers_without_a_white_stay_as_they_are() -> None:
    hounsfield = np.arange(-1000, -1000 + 4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    assert torch.equal(clip_of_array(hounsfield, 1)[0][0], torch.from_numpy(hounsfield).float())


def broken(place: Path, name: str, content: bytes) -> Path:
    save_frames(place / "clip")
    (place / "clip" / name).write_bytes(content)
    return place / "clip"


def odd_frame(place: Path) -> Path:
    folder = save_frames(place / "clip")
    PillowImage.new("L", (3, 3)).save(folder / "frame5.png")
    return folder


def array_file(place: Path, array, name: str = "clip.npy") -> Path:
    np.save(place / name, array, allow_pickle=True)
    return place / name


@pytest.mark.parametrize(
    ("save", "reason"),
    [
        (lambda place: broken(place, "notes.txt", b"no picture"), "frame notes.txt: not a picture"),
        (odd_frame, "frame frame5.png is 1×3×3 and the first is 1×16×20; bring frames to one size"),
        (lambda place: array_file(place, np.zeros((2, 2, 2, 2, 2))), "a clip is (frames, height, width)"),
        (lambda place: array_file(place, np.zeros((7, 5, 5, 5))), "no axis of 1 channels"),
        (lambda place: array_file(place, np.zeros((4, 5, 6), dtype=complex)), "of real numbers"),
        (lambda place: array_file(place, np.array([[[{}]]])), "Python objects, which are not loaded"),
        (lambda place: Path(place / "jump.mp4"), "a video file, which is not decoded"),
        (lambda place: Path(place / "torn.npy"), "no array of numpy that can be read"),
    ],
)
def test_what_is_no_clip_is_skipped_with_its_reason(save, reason: str, tmp_path: Path) -> None:
    path = save(tmp_path)
    if not path.exists():
        path.write_bytes(b"0000ftyp")
    (item,) = pictures_of(path, stacks=False)
    found = read_item(item, CLIPS)
    assert isinstance(found, Skipped)
    assert reason in found.reason
    assert "\n" not in found.reason


def test_all_frames_count_for_the_limit_of_pixels(tmp_path: Path) -> None:
    for path in (save_pages(tmp_path / "clip.gif"), save_array(tmp_path / "clip.npy")):
        (item,) = pictures_of(path, stacks=False)
        found = read_item(item, Reading(channels=1, clips=True, max_pixels=FRAMES.size - 1))
        assert isinstance(found, Skipped)
        assert found.reason == (
            f"12×16×20 pixels are more than {FRAMES.size - 1:,}; max_pixels={FRAMES.size} lets them through"
        )
        assert not isinstance(read_item(item, Reading(channels=1, clips=True, max_pixels=FRAMES.size)), Skipped)

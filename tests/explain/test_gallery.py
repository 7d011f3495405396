"""The gallery is the published collection: its names, its sizes, its numbers — the numbers right."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.explain.oracles import torch_output, written
from unconv.errors import UnconvError
from unconv.explain import gallery
from unconv.explain.gallery import animations, write_gallery

PUBLISHED = {
    "no_padding_no_strides": (4, 2, 0, 3, 1),
    "arbitrary_padding_no_strides": (5, 6, 2, 4, 1),
    "same_padding_no_strides": (5, 5, 1, 3, 1),
    "full_padding_no_strides": (5, 7, 2, 3, 1),
    "no_padding_strides": (5, 2, 0, 3, 2),
    "padding_strides": (5, 3, 1, 3, 2),
    "padding_strides_odd": (6, 3, 1, 3, 2),
    "dilation": (7, 3, 0, 3, 1),
}
"""Name → input, output, padding, kernel, stride (the public collection)."""

INPUT = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
KERNEL = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
NAMES = {animation.name: animation for animation in animations()}


def test_there_are_nineteen() -> None:
    twins = {f"{name}_transposed" for name in PUBLISHED if name != "dilation"}
    numerical = {name for name in NAMES if name.startswith("numerical_")}
    assert set(NAMES) == set(PUBLISHED) | twins | numerical
    assert (len(numerical), len(animations())) == (4, 19)


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name: str) -> None:
    geometry = NAMES[name].geometry
    i, o, p, k, s = PUBLISHED[name]
    assert (geometry.input_size, geometry.output_size) == ((i, i), (o, o))
    assert (geometry.padding, geometry.kernel_size, geometry.stride) == (((p, p),) * 2, (k, k), (s, s))
    if name != "dilation":
        twin = NAMES[f"{name}_transposed"].geometry
        assert (twin.input_size, twin.output_size) == ((o, o), (i, i))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("numerical_")])
def test_the_numbers_are_right(name: str) -> None:
    animation = NAMES[name]
    x, w = torch.tensor(INPUT, dtype=torch.float64), torch.tensor(KERNEL, dtype=torch.float64)
    expected = torch_output(animation.geometry, x, None if "pooling" in name else w)
    scene = animation.drawing().scene
    found = written(scene, -1, (1,))
    assert len(found) == 9
    for (_, row, column), value in found.items():
        assert value == pytest.approx(expected[row, column].item(), abs=0.00501)


def test_a_folder_holds_them_all(tmp_path: Path) -> None:
    told: list[str] = []
    files = write_gallery(tmp_path / "deep" / "gallery", told=told.append)
    assert told == list(NAMES)
    assert [path.suffix for path in files] == [".svg", ".gif"] * 19 + [".html"]
    for path in files[:-1:2]:
        ET.parse(path)
    for animation, path in zip(animations(), files[1:-1:2], strict=True):
        with Image.open(path) as image:
            assert image.n_frames == len(animation.drawing().frames)
    assert sum(path.stat().st_size for path in files) < 4_000_000
    index = files[-1].read_text()
    assert all(f'src="{name}.svg"' in index and f'href="{name}.gif"' in index for name in NAMES)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnconvError, match="is a file; name a folder"):
        write_gallery(tmp_path / "file")


def test_a_gallery_that_fails_midway_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text("old")
    (tmp_path / "dilation.svg").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / ".unconv.json").write_text('{"files": ["index.html", "dilation.svg"]}')
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def write_one(animation: gallery.Animation, folder: Path, _theme: str) -> list[Path]:
        (folder / f"{animation.name}.svg").write_text("new")
        return [folder / f"{animation.name}.svg"]

    def fail(*_: object) -> str:
        raise RuntimeError("midway")

    monkeypatch.setattr(gallery, "_write", write_one)
    monkeypatch.setattr(gallery, "gallery_page", fail)
    with pytest.raises(RuntimeError, match="midway"):
        write_gallery(tmp_path, force=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

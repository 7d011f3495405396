"""Whatever writes a file writes it whole or leaves what was there, and says in one line why."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import unconv as uc
from unconv.data.arrays import save_image
from unconv.data.fashion_files.idx import write_idx
from unconv.data.figure import blank, save_figure
from unconv.errors import UnconvError
from unconv.files import check_file, same_file, write_whole
from unconv.folders import replacing_folder
from unconv.models.load.trained import save_trained
from unconv.sparse.learn.dictionaries import save_dictionary
from unconv.train.show.sample_sheet import save_picture
from unconv.upsample.change.patch import patch
from unconv.visualize.report.files import write_file
from unconv.visualize.scan.top_activations import TopActivations

OLD = b"what was there"


def write_drawing(path: Path) -> None:
    uc.draw(uc.ConvGeometry(input_size=3, kernel_size=2)).save(path)


def write_audit(path: Path) -> None:
    uc.audit(nn.Conv2d(3, 4, 3), (3, 8, 8), measure=False).save(path)


def write_encoding(path: Path) -> None:
    uc.encode(torch.rand(1, 1, 12, 12), torch.rand(2, 1, 3, 3), 0.1).save(path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "page.html": write_audit,
    "log.sarif": write_audit,
    "audit.json": write_audit,
    "drawing.svg": write_drawing,
    "drawing.gif": write_drawing,
    "drawing.png": write_drawing,
    "drawing.mp4": write_drawing,
    "drawing.html": write_drawing,
    "figure.pdf": lambda path: save_figure(blank(1, 1), path),
    "picture.png": lambda path: save_image(torch.rand(3, 4, 4), path),
    "sheet.png": lambda path: save_picture(torch.rand(3, 4, 4), path),
    "report.json": lambda path: write_file(path, "{}"),
    "labels-idx1-ubyte": lambda path: write_idx(path, np.arange(4, dtype=np.uint8)),
    "labels-idx1-ubyte.gz": lambda path: write_idx(path, np.arange(4, dtype=np.uint8)),
    "codes.safetensors": write_encoding,
    "dictionary.safetensors": lambda path: save_dictionary(torch.rand(2, 1, 3, 3), path),
    "top.safetensors": lambda path: TopActivations.of({"conv": torch.rand(2, 8, 5, 5)}, top=3).save(path),
    "weights.safetensors": lambda path: save_trained({"weight": torch.ones(2)}, path, {}),
}


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_what_was_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    path.write_bytes(OLD)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_room)
        with pytest.raises(UnconvError, match="No space left on device") as refused:
            WRITERS[name](path)
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)
    assert path.read_bytes() == OLD
    assert names_in(tmp_path) == [name]
    WRITERS[name](path)
    assert path.read_bytes() != OLD
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_in_place_of_the_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(UnconvError) as refused:
        WRITERS[name](tmp_path / name)
    assert "\n" not in str(refused.value)
    assert names_in(tmp_path) == [name]


def test_rights_of_the_file_that_is_replaced_stay(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    path.touch(0o600)
    path.chmod(0o640)
    write_whole(path, "{}")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "link.json", tmp_path / "elsewhere" / "file.json"
    link.symlink_to(target)
    write_whole(link, "{}")
    assert link.is_symlink()
    assert target.read_text() == "{}"


def test_names_as_long_as_they_may_be_are_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".json")
    write_whole(path, "{}")
    assert path.read_text() == "{}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x.txt", "files end in .svg or .json"),
        ("nowhere/x.json", "there is no folder .*nowhere; make it first"),
        ("file/x.json", "file is no folder; name another"),
        ("folder.json", "it is a folder; name a file"),
        ("pipe.json", "it is no ordinary file; name a file"),
        ("full.json", "it is no ordinary file; name a file"),
        ("n" * 300 + ".json", "name another file"),
        ("nul\0.json", "name another file"),
    ],
)
def test_places_that_cannot_be_written_are_refused(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "full.json").symlink_to("/dev/full")
    before = names_in(tmp_path)
    with pytest.raises(UnconvError, match=told) as refused:
        check_file(tmp_path / name, (".svg", ".json"), "--out")
    assert "\n" not in str(refused.value)
    assert names_in(tmp_path) == before


def test_a_place_without_the_right_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(UnconvError, match="/proc cannot be written to"):
        check_file("/proc/x.json", (".json",), "--out")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UnconvError, match="cannot be written to: no right to write; name another place"):
        check_file(path, (".json",), "--out")
    path.touch()
    with pytest.raises(UnconvError, match="write-protected"):
        check_file(path, (".json",), "--out")


@pytest.mark.parametrize("name", ["x.JSON", "x.Svg"])
def test_endings_in_capitals_are_taken(name: str, tmp_path: Path) -> None:
    check_file(tmp_path / name, (".svg", ".json"), "--out")
    assert not names_in(tmp_path)


def test_one_file_by_two_names(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    (tmp_path / "soft").symlink_to("a")
    assert same_file(tmp_path / "a", tmp_path / "hard")
    assert same_file(tmp_path / "a", tmp_path / "soft")
    assert not same_file(tmp_path / "a", tmp_path / "b")


def test_a_patched_model_and_its_weights_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patched = patch(uc.audit(nn.Sequential(nn.ConvTranspose2d(3, 3, 3, stride=2)), (3, 8, 8), measure=False))
    old = patched.save(tmp_path / "patched.py", "net.py:build")
    before = [path.read_bytes() for path in old]
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_room)
        with pytest.raises(UnconvError, match="No space left on device"):
            patched.save(tmp_path / "patched.py", "other.py:build")
    assert [path.read_bytes() for path in old] == before
    assert len(names_in(tmp_path)) == 2


@pytest.mark.parametrize("cut", range(6))
def test_a_folder_write_that_was_cut_short_can_be_repeated(
    cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(names: str) -> None:
        with replacing_folder(tmp_path) as beside:
            for name in names:
                (beside / name).write_text(names)

    write("ab")
    (tmp_path / "mine").write_text("mine")
    done = iter([True] * cut)
    replace = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        if not next(done, False):
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace_or_die)
        with suppress(KeyboardInterrupt):
            write("bcd")
    write("cd")
    assert sorted(file.name for file in tmp_path.iterdir()) == [".unconv.json", "c", "d", "mine"]
    assert (tmp_path / "c").read_text() == "cd"

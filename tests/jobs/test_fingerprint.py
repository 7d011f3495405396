"""A fingerprint changes when, and only when, what it is of does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from unconv.jobs import JobError, fingerprint, fingerprint_arrays, fingerprint_files
from unconv.jobs.fingerprint import differences, plain


def pictures(folder: Path, count: int = 3) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"{index}.png" for index in range(count)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


@pytest.mark.parametrize("by", ["time", "content"])
@pytest.mark.parametrize("limit", [1000, 1])
def test_changed_added_removed_and_reordered_files_are_seen(tmp_path, by, limit, monkeypatch) -> None:
    monkeypatch.setattr(fingerprint, "FILES_NAMED", limit)
    paths = pictures(tmp_path / "a")
    before = fingerprint_files(paths, by)
    assert fingerprint_files(map(str, paths), by) == before
    others = [paths[:2], paths[::-1], [*paths, *pictures(tmp_path / "b", 1)]]
    assert all(fingerprint_files(other, by) != before for other in others)
    paths[1].write_bytes(b"9.png")  # the same size
    os.utime(paths[1], (1, 1))
    assert fingerprint_files(paths, by) != before


def test_content_is_all_that_counts_when_asked_for(tmp_path, monkeypatch) -> None:
    paths = pictures(tmp_path / "a")
    before = fingerprint_files(paths, "content")
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "c")
    monkeypatch.chdir(tmp_path / "b")
    assert fingerprint_files([f"c/{path.name}" for path in paths], "content") == before


def test_missing_files_and_folders_are_refused(tmp_path) -> None:
    with pytest.raises(JobError, match=r"gone\.png: No such file"):
        fingerprint_files([tmp_path / "gone.png"])
    with pytest.raises(JobError, match="Is a directory"):
        fingerprint_files([tmp_path], "content")
    with pytest.raises(JobError, match="'hash' is not a way"):
        fingerprint_files([], "hash")
    assert fingerprint_files([]) == fingerprint_files([])


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_arrays_are_known_by_type_shape_and_values(make) -> None:
    base = make([[1.0, 2.0], [3.0, 4.0]], dtype=np.float64 if make is np.array else torch.float64)
    entry = fingerprint_arrays(a=base)
    assert fingerprint_arrays(a=base.T.T) == entry
    others = [base.T, base.reshape(-1), base + 1e-9, make([[1, 2], [3, 4]]), [base], [base, base]]
    marks = [fingerprint_arrays(a=other)["a"] for other in others]
    assert len({*marks, entry["a"]}) == 7
    assert fingerprint_arrays(a=make(3.0))["a"].split(" ")[1] == "()"


def test_tensors_of_any_type_and_arrays_agree() -> None:
    image = np.random.default_rng(0).random((3, 4)).astype("float32")
    assert fingerprint_arrays(a=image) == fingerprint_arrays(a=torch.from_numpy(image))
    fingerprint_arrays(a=torch.ones(3, dtype=torch.bfloat16), b=torch.ones(2, dtype=torch.bool), c=torch.ones(0))
    with pytest.raises(JobError, match="not an array of numbers"):
        fingerprint_arrays(a=np.array([None]))


def test_differences_name_what_changed_the_order_last() -> None:
    made = plain({"penalty": np.float32(0.5), "files": {"order of the files": "x", "b.png": 1}, "sizes": (8, 8)})
    now = plain({"penalty": 0.25, "files": {"order of the files": "y", "c.png": 2}, "sizes": [8, 8]})
    assert list(differences(made, now)) == [
        "made with penalty 0.5, now 0.25",
        "made with files b.png 1, now without",
        "made without files c.png, now 2",
        "made with files order of the files 'x', now 'y'",
    ]


def test_what_a_fingerprint_cannot_hold_is_refused() -> None:
    with pytest.raises(JobError, match=r"mask is a Tensor.*fingerprint_arrays"):
        plain({"mask": torch.ones(3)})
    assert plain({"a": Path("x"), "b": float("nan"), "c": None, "d": True, "e": np.int64(3)}) == {
        "a": "x", "b": "nan", "c": None, "d": True, "e": 3,
    }  # fmt: skip

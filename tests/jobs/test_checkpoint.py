"""A checkpoint gives back what was written, or says in one line why not."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from unconv.jobs import Checkpoint, JobError, Saved, checkpoint as module, run


def written(folder: Path, generations: int = 3, **fingerprint: object) -> Checkpoint:
    checkpoint = Checkpoint(folder, fingerprint)
    for number in range(1, generations + 1):
        checkpoint.save(Saved({"w": torch.full((50,), float(number))}, rounds=number, folded=number))
    return checkpoint


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_generations_are_kept(tmp_path) -> None:
    checkpoint = written(tmp_path, 5)
    assert names(tmp_path) == ["generation-000004", "generation-000005"]
    saved = checkpoint.load()
    assert (saved.rounds, saved.notes) == (5, ())
    assert torch.equal(saved.model["w"], torch.full((50,), 5.0))


def test_an_empty_or_missing_folder_holds_nothing(tmp_path) -> None:
    assert Checkpoint(tmp_path).load() is None
    assert Checkpoint(tmp_path / "no" / "such").load() is None
    (tmp_path / "notes.txt").write_text("mine")
    assert written(tmp_path).load().rounds == 3
    assert (tmp_path / "notes.txt").exists()


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "missing":
        path.unlink()
    else:
        content[int(how)] ^= 1
        path.write_bytes(content)


HOW = ["truncated", "empty", "missing", "30", "-20", "-70"]
FILES = ["manifest.json", "state.safetensors"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("file", FILES)
def test_damage_falls_back_to_the_generation_before_and_says_so(tmp_path, file, how) -> None:
    checkpoint = written(tmp_path)
    damage(tmp_path / "generation-000003" / file, how)
    saved = checkpoint.load()
    assert saved.rounds == 2
    assert torch.equal(saved.model["w"], torch.full((50,), 2.0))
    assert len(saved.notes) == 1
    assert f"generation-000003/{file} is " in saved.notes[0]
    assert saved.notes[0].endswith("; went on from generation-000002")
    checkpoint.save(saved)
    checkpoint.save(saved)
    # the good one before is not dropped in favour of the damaged one
    assert names(tmp_path) == ["damaged-000003", "generation-000003", "generation-000004"]
    assert checkpoint.load().notes == ()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("file", FILES)
def test_nothing_whole_is_refused_with_both_checksums(tmp_path, file, how) -> None:
    checkpoint = written(tmp_path)
    for generation in ("generation-000002", "generation-000003"):
        damage(tmp_path / generation / file, how)
    with pytest.raises(JobError) as refusal:
        checkpoint.load()
    message = str(refusal.value)
    assert message.startswith(f"checkpoint {tmp_path}/: generation-000003/{file} is ")
    assert f"; generation-000002/{file} is " in message
    assert message.endswith("; delete this folder to begin anew, or use another one")
    if file == "state.safetensors" and how != "missing":
        expected = json.loads((tmp_path / "generation-000003" / "manifest.json").read_text())["files"][file]
        actual = module.file_checksum(tmp_path / "generation-000003" / file)
        assert f"SHA-256 {actual}, written as {expected}" in message


def test_every_flipped_bit_of_a_manifest_is_seen_or_does_no_harm(tmp_path) -> None:
    checkpoint = written(tmp_path, 1, penalty=0.5)
    path = tmp_path / "generation-000001" / "manifest.json"
    content = path.read_bytes()
    refusals = []
    for place in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert checkpoint.load().rounds == 1
        except JobError as error:
            refusals.append(str(error))
    assert all("manifest.json is damaged" in refusal for refusal in refusals)
    assert len(refusals) > len(content) / 3 * 0.5


def test_changed_parameters_are_named(tmp_path) -> None:
    written(tmp_path, penalty=0.2, images={"a.png": "12 bytes"}, sizes=(8, 8))
    assert Checkpoint(tmp_path, {"sizes": [8, 8], "images": {"a.png": "12 bytes"}, "penalty": 0.2}).load().rounds == 3
    with pytest.raises(JobError) as refusal:
        Checkpoint(tmp_path, {"penalty": 0.1, "images": {"a.png": "12 bytes"}, "sizes": (8, 8)}).load()
    assert str(refusal.value) == (
        f"checkpoint {tmp_path}/: made with penalty 0.2, now 0.1; use another folder or delete this one"
    )
    with pytest.raises(JobError, match=r"made with penalty 0\.2, now without; made with images a\.png .* and 1 more; "):
        Checkpoint(tmp_path, {"images": {"a.png": "13 bytes"}, "sizes": (8, 9), "mask": 1}).load()
    with pytest.raises(JobError, match=r"penalty 0\.2"):
        run([1], abs, max, state=0, checkpoint=Checkpoint(tmp_path, {"penalty": 0.3}))


def test_a_newer_format_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "VERSION", 2)
    checkpoint = written(tmp_path)
    monkeypatch.undo()
    with pytest.raises(JobError, match="version 2 of the format, this unconv reads up to 1; update unconv"):
        checkpoint.load()


HOLD = """
import sys
from unconv.jobs import Checkpoint
with Checkpoint(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_folder_in_use_is_refused_until_its_process_ends(tmp_path) -> None:
    checkpoint = Checkpoint(tmp_path)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(JobError, match=f"in use by process {other.pid}; let it end or use another folder"):
            run([1], abs, max, state=0, checkpoint=checkpoint)
        other.kill()
    assert run([1], abs, max, state=0, checkpoint=checkpoint).state == 1
    with checkpoint.lock(), pytest.raises(JobError, match=f"process {os.getpid()}"), checkpoint.lock():
        pass


@pytest.mark.parametrize("call", ["fsync", "mkdir", "replace"])
def test_a_full_disk_is_one_line_and_keeps_the_state_before(tmp_path, monkeypatch, call) -> None:
    checkpoint = written(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os if call == "fsync" else Path, call, full)
    with pytest.raises(JobError, match=r"No space left on device; the state before is intact \(generation-000003\)"):
        checkpoint.save(Saved(1))
    monkeypatch.undo()
    assert checkpoint.load().rounds == 3
    checkpoint.save(Saved(1))
    assert names(tmp_path) == ["generation-000003", "generation-000004"]


def test_a_file_in_the_way_is_refused(tmp_path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(JobError, match="File exists; use a folder that can be written"):
        run([1], abs, max, state=0, checkpoint=Checkpoint(tmp_path / "run"))


def test_a_state_that_cannot_be_kept_leaves_the_one_before(tmp_path) -> None:
    checkpoint = written(tmp_path)
    with pytest.raises(JobError, match="model is a set"):
        checkpoint.save(Saved({1}))
    assert checkpoint.load().rounds == 3


class A:
    @dataclass
    class Same: ...


class B:
    @dataclass
    class Same: ...


B.Same.__qualname__ = A.Same.__qualname__


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"every_seconds": -1}, "every_seconds -1"),
        ({"every_seconds": float("nan")}, "every_seconds nan"),
        ({"every_parts": 0}, "every_parts 0"),
        ({"types": (dict,)}, "types has dict"),
        ({"types": (A.Same, B.Same)}, "two of the types have one name"),
        ({"fingerprint": {"mask": torch.ones(1, 2)}}, "mask is a Tensor"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments, words) -> None:
    with pytest.raises(JobError, match=words):
        Checkpoint("run", **arguments)

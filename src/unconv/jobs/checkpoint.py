"""Checkpoints: the state of a long job on disk, whole or not at all, whenever the machine stops."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from unconv.errors import JobError
from unconv.jobs.fingerprint import differences, file_checksum, plain
from unconv.jobs.values import Tensors, pack, unpack

VERSION = 1
KEPT = 2
"""Generations kept: the last one, and the one before should the last turn out damaged."""

MANIFEST, TENSORS = "manifest.json", "state.safetensors"


@dataclass(frozen=True, eq=False)
class Saved:
    """How far a job is: the model of the round, what the round has summed so far, and where it stands.

    ``rounds`` are complete, ``parts`` of the next one are in ``total``, and ``folded`` counts the parts of all rounds.
    ``notes`` say what was found out in loading.
    """

    model: Any
    total: Any = None
    rounds: int = 0
    parts: int = 0
    folded: int = 0
    notes: tuple[str, ...] = ()


class _DamageError(JobError):
    """A generation that is not what was written; the one before may be."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder in which a job keeps its state.

    A generation is a folder of its own, with ``state.safetensors`` and a ``manifest.json`` that holds position, the
    rest of the state, fingerprint and the SHA-256 of everything. It is written beside the others, forced to the disk
    and renamed, so that it is there completely or not at all; the last two are kept.

    ``fingerprint`` is what the answer depends on, as names and values: parameters,
    :func:`~unconv.jobs.fingerprint_files`, :func:`~unconv.jobs.fingerprint_arrays`; a run with another one is
    refused. A state is written after the first part, then once ``every_seconds`` have passed or ``every_parts`` parts
    are done, and at the end.
    ``types`` are the dataclasses in the state; torch's random generators in the state are kept as they stand.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(folder, {"penalty": 0.2})
    ...     with checkpoint.lock():
    ...         checkpoint.save(Saved(model=[1.5, 2.5], rounds=3))
    ...     checkpoint.load().model
    [1.5, 2.5]
    """

    folder: str | Path
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    every_seconds: float = 30.0
    every_parts: int | None = None
    types: tuple[type[Any], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "fingerprint", plain(self.fingerprint))
        if not self.every_seconds >= 0:
            raise JobError(f"{self}: every_seconds {self.every_seconds} is not a time; give 0 or more")
        if self.every_parts is not None and self.every_parts < 1:
            raise JobError(f"{self}: every_parts {self.every_parts} is no number of parts; give 1 or more, or None")
        other = [kind.__qualname__ for kind in self.types if not is_dataclass(kind)]
        if other:
            raise JobError(f"{self}: types has {', '.join(other)}; a state is made of dataclasses")
        kinds = [kind.__qualname__ for kind in self.types]
        if len(set(kinds)) < len(kinds):
            raise JobError(f"{self}: two of the types have one name ({', '.join(sorted(kinds))}); rename one")

    def __str__(self) -> str:
        return f"checkpoint {self.folder}{os.sep}"

    @property
    def _path(self) -> Path:
        return Path(self.folder)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; raises :class:`~unconv.jobs.JobError` naming the process that already does."""
        import fcntl

        try:
            self._path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise JobError(f"{self}: {error.strerror}; use a folder that can be written") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(descriptor, 20).decode() or "another one"
                raise JobError(f"{self}: in use by process {owner}; let it end or use another folder") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def save(self, saved: Saved) -> None:
        """Write a new generation and drop those that are too old; to be called while the lock is held."""
        generations = self._generations()
        number = 1 + (_number(generations[0]) if generations else 0)
        new, writing = self._path / f"generation-{number:06d}", self._path / f"writing-{number:06d}"
        try:
            for leftover in self._path.glob("writing-*"):
                shutil.rmtree(leftover)
            self._write(saved, writing)
            writing.replace(new)
            _to_disk(self._path)
            for old in generations[KEPT - 1 :]:
                shutil.rmtree(old)
        except OSError as error:
            kept = f"the state before is intact ({generations[0].name})" if generations else "nothing was kept so far"
            raise JobError(f"{self}: {error.strerror or error}; {kept}; make room and resume") from error

    def _write(self, saved: Saved, folder: Path) -> None:
        tensors: Tensors = {}
        state = {
            "model": pack(saved.model, tensors, self.types, "model"),
            "total": pack(saved.total, tensors, self.types, "total"),
        }
        folder.mkdir()
        files = {}
        if tensors:
            _save_tensors(tensors, folder / TENSORS)
            _to_disk(folder / TENSORS)
            files[TENSORS] = file_checksum(folder / TENSORS)
        manifest = {
            "format": "unconv checkpoint",
            "version": VERSION,
            "rounds": saved.rounds,
            "parts": saved.parts,
            "folded": saved.folded,
            "fingerprint": self.fingerprint,
            "state": state,
            "files": files,
        }
        manifest["sha256"] = _manifest_checksum(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _to_disk(folder / MANIFEST)
        _to_disk(folder)

    def load(self) -> Saved | None:
        """The last state that is whole, or None where there is none yet; to be called while the lock is held.

        Raises :class:`~unconv.jobs.JobError` where the fingerprint differs, a newer version of the format wrote it,
        or no generation is whole. A damaged one is set aside and noted in the result.
        """
        damage: list[str] = []
        generations = self._generations()
        for generation in generations:
            try:
                saved = self._read(generation)
            except _DamageError as error:
                damage.append(str(error))
                continue
            except OSError as error:
                raise JobError(f"{self}: {error.strerror or error}; make {generation.name} readable") from error
            for damaged in generations[: len(damage)]:
                shutil.rmtree(self._path / f"damaged-{_number(damaged):06d}", ignore_errors=True)
                damaged.replace(self._path / f"damaged-{_number(damaged):06d}")
            notes = tuple(f"{self}: {text}; went on from {generation.name}" for text in damage)
            return Saved(saved.model, saved.total, saved.rounds, saved.parts, saved.folded, notes)
        if damage:
            raise JobError(f"{self}: {'; '.join(damage)}; delete this folder to begin anew, or use another one")
        return None

    def _read(self, generation: Path) -> Saved:
        manifest = _read_manifest(generation)
        if manifest["version"] > VERSION:
            raise JobError(
                f"{self}: written in version {manifest['version']} of the format, this unconv reads up to {VERSION}; "
                "update unconv or use another folder"
            )
        changed = list(differences(manifest["fingerprint"], self.fingerprint))
        if changed:
            rest = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise JobError(f"{self}: {'; '.join(changed[:3])}{rest}; use another folder or delete this one")
        for name, expected in manifest["files"].items():
            _check(generation / name, expected)
        tensors: Tensors = {}
        if TENSORS in manifest["files"]:
            from safetensors.torch import load_file

            # Copies: in memory of their own, aligned as torch aligns it, they compute what the originals would have.
            tensors = {name: tensor.clone() for name, tensor in load_file(generation / TENSORS).items()}
        state = manifest["state"]
        model, total = (unpack(state[key], tensors, self.types) for key in ("model", "total"))
        return Saved(model, total, manifest["rounds"], manifest["parts"], manifest["folded"])

    def _generations(self) -> list[Path]:
        """Newest first."""
        return sorted(self._path.glob("generation-*"), key=_number, reverse=True)


def _number(generation: Path) -> int:
    tail = generation.name.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def _manifest_checksum(manifest: dict[str, Any]) -> str:
    """SHA-256 of the manifest without its own checksum, the same in every version of the format."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _read_manifest(generation: Path) -> dict[str, Any]:
    path = generation / MANIFEST
    where = f"{generation.name}{os.sep}{MANIFEST}"
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise _DamageError(f"{where} is missing") from None
    except ValueError:
        raise _DamageError(f"{where} is damaged: not JSON") from None
    if not isinstance(manifest, dict) or "sha256" not in manifest:
        raise _DamageError(f"{where} is damaged: no checksum in it")
    actual = _manifest_checksum(manifest)
    if actual != manifest["sha256"]:
        raise _DamageError(f"{where} is damaged: SHA-256 {actual}, written as {manifest['sha256']}")
    return manifest


def _check(path: Path, expected: str) -> None:
    where = f"{path.parent.name}{os.sep}{path.name}"
    try:
        actual = file_checksum(path)
    except FileNotFoundError:
        raise _DamageError(f"{where} is missing") from None
    if actual != expected:
        raise _DamageError(f"{where} is damaged: SHA-256 {actual}, written as {expected}")


def _save_tensors(tensors: Tensors, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path)
    except SafetensorError as error:  # what it makes of a full disk is no OSError
        raise OSError(str(error)) from error


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Studies on a small scale: every kind of run is made, logged, measured, written up, and not made twice."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from studies.__main__ import STUDIES, main
from studies.runs import Run, log_of, make
from studies.summary import draw, markdown
from studies.writeup import DOCUMENT, put
from unconv.data.fashion_files.idx import write_idx

SCENES = ("--epochs", "1", "--scenes", "16", "--size", "96", "--batch-size", "8")


@pytest.fixture(scope="module")
def clothes(tmp_path_factory):
    """Fashion-MNIST, but for most of it."""
    folder = tmp_path_factory.mktemp("fashion")
    rng = np.random.default_rng(0)
    for prefix, count in {"train": 128, "t10k": 64}.items():
        write_idx(folder / f"{prefix}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28)).astype(np.uint8))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", (np.arange(count) % 10).astype(np.uint8))
    return folder


def short(study, clothes):
    """Words for a training of seconds."""
    if study in ("fcn", "unet"):
        return (*SCENES, "--data", f"scenes:{clothes}")
    return ("--epochs", "1", "--data", str(clothes), *(("--samples", "32") if study == "gan" else ()))


def one_of_each(study, length):
    """The first of its runs, and the one that starts from it."""
    runs = importlib.import_module(f"studies.{study}").runs([0], length)
    return [run for run in runs if run is runs[0] or run.start == runs[0].name]


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_is_made_once_and_written_up(study, tmp_path, clothes):
    """Runs by the command line itself, as in the long version; numbers and figure come from the log alone."""
    module, runs = importlib.import_module(f"studies.{study}"), one_of_each(study, short(study, clothes))
    assert make(runs, jobs=2, scratch=tmp_path / "runs", logs=tmp_path) == []
    entries = log_of(study, tmp_path).entries()
    assert {(entry["name"], entry["seed"]) for entry in entries} == {(run.name, run.seed) for run in runs}
    assert make(runs, jobs=2, scratch=tmp_path / "runs", logs=tmp_path) == []
    assert log_of(study, tmp_path).entries() == entries
    table = markdown(entries, module.HEADING, module.NAMES, module.NUMBERS)
    assert len(table.splitlines()) == 2 + len(runs)
    assert f"<!-- {study} -->" in put(DOCUMENT.read_text(encoding="utf-8"), study, table)
    draw(entries, module.NAMES, module.NUMBERS, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


@pytest.mark.parametrize("study", STUDIES)
def test_runs_have_names_of_their_own_and_start_from_earlier_ones(study):
    """What is compared is what is made, for every seed."""
    module = importlib.import_module(f"studies.{study}")
    runs = module.runs([0, 1, 2])
    assert len({(run.name, run.seed) for run in runs}) == len(runs) == 3 * len(module.NAMES)
    for number, run in enumerate(runs):
        assert run.start is None or (run.start, run.seed) in {(other.name, other.seed) for other in runs[:number]}


def test_a_run_that_fails_is_told_and_what_starts_from_it_is_not_made(tmp_path):
    """One line each; nothing is logged."""
    first = Run("fcn", "a", 0, ("segment", "--model", "no-such-network"))
    second = Run("fcn", "b", 0, ("segment",), start="a")
    told = make([first, second], jobs=1, scratch=tmp_path / "runs", logs=tmp_path)
    assert [line.partition(":")[0] for line in told] == ["fcn a, seed 0", "fcn b, seed 0"]
    assert "no-such-network" in told[0]
    assert "not made" in told[1]
    assert log_of("fcn", tmp_path).entries() == []


def test_logs_hold_what_the_studies_say():
    """Every line that is kept belongs to a run of the study as it stands."""
    for study in STUDIES:
        runs = importlib.import_module(f"studies.{study}").runs([0, 1, 2])
        known = {(run.name, run.seed, run.arguments) for run in runs}
        for entry in log_of(study).entries():
            assert (entry["name"], entry["seed"], tuple(entry["arguments"])) in known


def test_weights_of_one_seed_lie_beside_each_other():
    """A stage finds those of the stage before."""
    run = Run("fcn", "b", 3, (), start="a")
    assert f"--start {Path('x/fcn/a-3.safetensors')}" in " ".join(run.command(Path("x")))


def test_studies_are_of_the_whole_set_or_refused_in_one_line(tmp_path, clothes, monkeypatch, capsys):
    """Neither the embedded part nor a folder with less is published on."""
    monkeypatch.chdir(tmp_path)
    for words, told in ((["gan"], "6,000 of 60,000 garments are here"), (["gan", "--data", str(clothes)], "128 of")):
        with pytest.raises(SystemExit):
            main(words)
        error = capsys.readouterr().err.splitlines()[-1]
        assert told in error
        assert "--data DIR" in error


def test_a_run_reads_the_folder_it_is_given_and_is_logged_without():
    """The same study on another machine is the same study."""
    run = Run("gan", "a", 0, ("generate",))
    assert " --data /clothes " in " ".join(run.command(Path("x"), Path("/clothes")))
    assert run.arguments == ("generate",)

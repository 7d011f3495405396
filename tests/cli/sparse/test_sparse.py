"""``unconv learn``, ``encode``, ``denoise`` and ``inpaint`` as people type them."""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.cli.sparse.learn import learn
from unconv.errors import UnconvError
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.estimator.learner import DictionaryLearner
from unconv.sparse.learn.dictionaries import load_dictionary
from unconv.sparse.learn.parameters import LOW_PASS, low_pass_of


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    from skimage import data

    folder = tmp_path / "photographs"
    folder.mkdir()
    Image.fromarray(data.chelsea()[60:124, 120:200]).save(folder / "cat.png")
    Image.fromarray(data.coffee()[100:170, 200:264]).save(folder / "cup.png")
    return folder


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_learned_kernels_encode_pictures(photographs: Path, tmp_path: Path) -> None:
    dictionary, kernels, codes = (tmp_path / name for name in ("d.safetensors", "k.png", "c.safetensors"))
    told = run(
        "learn",
        photographs,
        "-o",
        dictionary,
        "--n-kernels",
        6,
        "--kernel-size",
        "5x4",
        "--max-iter",
        3,
        "--plot",
        kernels,
        "--json",
    )
    objectives = [each["objective"] for each in json.loads(told.splitlines()[-1])["history"]]
    assert objectives == sorted(objectives, reverse=True)
    assert load_dictionary(dictionary).shape == (6, 3, 5, 4)
    assert kernels.stat().st_size > 1000
    told = run("encode", photographs, "-d", dictionary, "-o", codes, "--plot", tmp_path / "codes.png", "--json")
    assert all(row["gap"] <= 1e-3 for row in json.loads(told.splitlines()[-1])["pictures"])
    assert len(Encoding.load(codes)) == 2
    assert (tmp_path / "codes.png").stat().st_size > 1000


def test_learning_online_reads_pictures_when_their_turn_comes(photographs: Path, tmp_path: Path) -> None:
    (photographs / "notes.txt").write_text("no picture")
    options = (
        "--n-kernels",
        6,
        "--kernel-size",
        "5",
        "--max-iter",
        2,
        "--batch-size",
        1,
        "--json",
        "--checkpoint",
        tmp_path / "kept",
    )
    told = json.loads(run("learn", photographs, "-o", tmp_path / "d.safetensors", *options).splitlines()[-1])
    assert told["pictures"] == 2
    assert len(told["history"]) == 4
    first = load_dictionary(tmp_path / "d.safetensors")
    run("learn", photographs, "-o", tmp_path / "e.safetensors", *options)
    assert (load_dictionary(tmp_path / "e.safetensors") == first).all()


@pytest.mark.parametrize("online", [False, True])
def test_the_command_learns_what_the_learner_learns(photographs: Path, tmp_path: Path, online: bool) -> None:
    batch = ("--batch-size", 1) if online else ()
    run(
        "learn",
        photographs,
        "-o",
        tmp_path / "d.safetensors",
        "--n-kernels",
        6,
        "--kernel-size",
        5,
        "--max-iter",
        2,
        *batch,
    )
    learner = DictionaryLearner(6, 5, max_iter=2, random_state=0, batch_size=1 if online else None)
    expected = learner.fit(photographs).dictionary_
    torch.testing.assert_close(load_dictionary(tmp_path / "d.safetensors"), expected, atol=1e-5, rtol=0)


def test_the_command_and_the_learner_have_one_default() -> None:
    command = {name: each.default for name, each in signature(learn).parameters.items()}
    python = DictionaryLearner().get_params()
    assert command["n_kernels"] == python["n_kernels"]
    assert command["kernel_size"] == str(python["kernel_size"])
    assert float(command["penalty"]) == python["penalty"]
    assert command["max_iter"] == python["max_iter"]
    assert command["batch_size"] == python["batch_size"]
    assert command["low_pass"] == low_pass_of(python["low_pass"], 2) == LOW_PASS


def test_denoise_takes_out_gaussian_noise(photographs: Path, tmp_path: Path) -> None:
    clean = pixels(photographs / "cat.png") / 255
    spoilt = clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape)
    Image.fromarray((spoilt.clip(0, 1) * 255).round().astype(np.uint8)).save(tmp_path / "noisy.png")
    told = json.loads(
        run(
            "denoise",
            tmp_path / "noisy.png",
            "-o",
            tmp_path / "out.png",
            "--reference",
            photographs / "cat.png",
            "--plot",
            tmp_path / "both.png",
            "--json",
        )
    )
    assert told["psnr_after"] > told["psnr_before"] + 5
    assert all(abs(sigma - 0.1) < 0.02 for sigma in told["sigma"])
    assert pixels(tmp_path / "out.png").shape == (64, 80, 3)


def test_denoise_takes_out_impulses(photographs: Path, tmp_path: Path) -> None:
    spoilt = pixels(photographs / "cat.png").copy()
    chance = np.random.default_rng(0).random(spoilt.shape[:2])
    spoilt[chance < 0.1], spoilt[chance > 0.9] = 0, 255
    Image.fromarray(spoilt).save(tmp_path / "noisy.png")
    told = json.loads(
        run(
            "denoise",
            tmp_path / "noisy.png",
            "-o",
            tmp_path / "out.png",
            "--noise",
            "impulse",
            "--reference",
            photographs / "cat.png",
            "--json",
        )
    )
    assert told["psnr_after"] > told["psnr_before"] + 10
    assert abs(told["impulses"] - 0.2) < 0.05


@pytest.mark.parametrize("by", ["mask", "colour"])
def test_inpaint_fills_in_and_keeps_what_is_known(photographs: Path, tmp_path: Path, by: str) -> None:
    clean = pixels(photographs / "cat.png")
    missing = np.random.default_rng(0).random(clean.shape[:2]) < 0.4
    spoilt = clean.copy()
    spoilt[missing] = (255, 0, 255)
    Image.fromarray(spoilt).save(tmp_path / "spoilt.png")
    Image.fromarray(np.where(missing, 0, 255).astype(np.uint8)).save(tmp_path / "mask.png")
    which = ("--mask", tmp_path / "mask.png") if by == "mask" else ("--colour", "#ff00ff")
    told = json.loads(
        run(
            "inpaint",
            tmp_path / "spoilt.png",
            "-o",
            tmp_path / "out.png",
            *which,
            "--reference",
            photographs / "cat.png",
            "--json",
        )
    )
    assert told["psnr_after"] > 25
    filled = pixels(tmp_path / "out.png")
    np.testing.assert_array_equal(filled[~missing], clean[~missing])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inpaint", "{cat}", "-o", "{out}.png"), "say which pixels are missing"),
        (("inpaint", "{cat}", "-o", "{out}.png", "--colour", "pink"), "is not a colour"),
        (("denoise", "{cat}", "-o", "{out}.xyz"), "files end in"),
        (("denoise", "{cat}", "-o", "{out}.png", "-d", "nothing"), "no such file"),
        (("encode", "{cat}", "-o", "{out}.safetensors", "--penalty", "much"), "is not a number"),
        (("learn", "{cat}", "-o", "{out}.safetensors", "--n-kernels", "4", "--penalty", "-1"), "penalty"),
    ],
)
def test_what_cannot_be_is_one_line(
    photographs: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    filled = [word.format(cat=photographs / "cat.png", out=tmp_path / "out") for word in arguments]
    with pytest.raises(UnconvError, match=message) as refusal:
        CliRunner().invoke(app, filled, catch_exceptions=False)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.glob("out*"))

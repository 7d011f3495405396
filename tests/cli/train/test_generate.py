"""``unconv train generate`` and ``unconv sample`` as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.data.test_fashion import make
from unconv.cli.main import app
from unconv.errors import UnconvError
from unconv.models.load.resolve import load_model
from unconv.models.load.trained import save_trained
from unconv.train.tasks.generate import sample, untrained_model


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "fashion", count=24)
    return tmp_path


def type_(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def train(*arguments: object) -> str:
    usual = ["--model", "dcgan-32:2", "--data", "fashion", "--batch-size", "8", "--epochs", "1", "--samples", "30"]
    return type_("train", "generate", *usual, *arguments)


def test_it_writes_a_generator_that_loads_and_a_sheet_of_its_samples(place: Path) -> None:
    told = train("-o", "g.safetensors", "--plot", "samples.png", "--plot-kernels", "kernels.png")
    assert "1 epochs in" in told
    assert "30 samples have a distance of" in told
    assert "rarest among them: " in told
    assert told.endswith("wrote g.safetensors\nwrote samples.png\nwrote kernels.png\n")
    loaded = load_model("dcgan-32:2", weights=place / "g.safetensors")
    with Image.open(place / "samples.png") as image:
        # Ten rows of ten, and two rows between, of pictures of 32×32 with lines around, twice as large.
        assert image.size == (2 * 331, 2 * (331 + 3 + 67))
        first = torch.as_tensor(np.array(image)[2:66, 2:66])
    assert torch.equal(first[::2, ::2], sample(loaded, 1)[0, 0].mul(255).round().to(torch.uint8))
    before = (place / "samples.png").read_bytes()
    assert type_("sample", "g.safetensors", "-o", "again.png") == "wrote again.png\n"
    assert (place / "again.png").read_bytes() == before
    type_("sample", "g.safetensors", "-o", "other.png", "--seed", 2, "--count", 6, "--columns", 3)
    with Image.open(place / "other.png") as image:
        assert image.size == (2 * 100, 2 * (67 + 3 + 67))


def test_json_is_what_was_measured(place: Path) -> None:
    told = json.loads(train("--json", "--seed", 3, "--smoothing", 0, "--discriminator-rate", 1e-4, "--log", "curves"))
    assert (told["model"], told["data"], told["skipped"]) == ("dcgan-32:2", "Fashion-MNIST", [])
    assert (told["smoothing"], told["discriminator_rate"], told["average"]) == (0, 1e-4, 0.999)
    assert (told["settings"]["seed"], told["settings"]["rate"], told["settings"]["epochs"]) == (3, 5e-4, 1)
    assert told["history"][0]["train"].keys() == {"generator", "discriminator"}
    assert told["trained"].keys() == told["untrained"].keys()
    assert {"distance", "rarest", "entropy", "shares", "stride_pattern", "checkerboard"} <= told["trained"].keys()
    assert told["out"] == ["generator.safetensors"]
    assert list((place / "curves").rglob("events.*"))


def test_resumed_training_writes_the_same_file(place: Path) -> None:
    train("-o", "one.safetensors")
    for _ in range(2):
        train("-o", "two.safetensors", "--checkpoint", "run")
    assert (place / "one.safetensors").read_bytes() == (place / "two.safetensors").read_bytes()


@pytest.mark.parametrize("count", [1, 3, 9, 10, 11])
def test_as_many_samples_are_drawn_as_are_asked_for(place: Path, count: int) -> None:
    generator = untrained_model("dcgan-32:2", 10)
    save_trained(generator.module.state_dict(), place / "g.safetensors", {"model": "dcgan-32:2"})
    assert type_("sample", "g.safetensors", "-o", "few.png", "--count", count) == "wrote few.png\n"
    with Image.open(place / "few.png") as image:
        drawn = torch.as_tensor(np.array(image))[::2, ::2]
    rows = -(-count // 10)
    # Rows of ten pictures of 32×32 with lines around; below them two rows from one sample to another.
    assert drawn.shape == (1 + 33 * rows + 3 + 67, 331)
    pictures = sample(generator, count)[:, 0].mul(255).round().to(torch.uint8)
    for number, picture in enumerate(pictures):
        top, left = 1 + 33 * (number // 10), 1 + 33 * (number % 10)
        assert torch.equal(drawn[top : top + 32, left : left + 32], picture)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--plot", "samples.jpg"], r"--plot samples\.jpg: files end in \.png"),
        (
            ["--plot-kernels", "nowhere/k.png"],
            "--plot-kernels nowhere/k.png: there is no folder nowhere; make it first",
        ),
        (["-o", "generator.pth"], r"--out generator\.pth: files end in \.safetensors"),
        (["--model", "zfnet-28"], "zfnet-28: makes no pictures from noise; take dcgan or dcgan-32"),
        (["--model", "dcgan-32:cubic"], "dcgan-32:cubic: no such variant"),
        (["--smoothing", "0.7"], "smoothing 0.7; give 0 or more, less than 0.5"),
        (["--rate", "0"], "rate 0.0 makes no steps"),
        (["--data", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_trained(place: Path, arguments: list[str], told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        train(*arguments)
    assert "\n" not in str(caught.value)
    assert not list(place.glob("*.safetensors"))


def test_only_generators_are_sampled(place: Path) -> None:
    with pytest.raises(UnconvError, match=r"g\.safetensors: there is no such file; give it a file of"):
        type_("sample", "g.safetensors")
    with pytest.raises(UnconvError, match=r"--out a\.jpg: files end in \.png"):
        type_("sample", "g.safetensors", "-o", "a.jpg")
    assert not list(place.glob("*.png"))

"""Names of classes as people keep them are read, and what is none is refused in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import unconv as uc
from unconv.errors import ModelError
from unconv.models.load.class_names import read_class_names
from unconv.visualize.experiments.occlusion import occlusion

NAMES = ("T-shirt", "Trouser", "Pull over")


@pytest.mark.parametrize(
    "text",
    [
        "T-shirt\nTrouser\nPull over\n",
        "\ufeffT-shirt\r\nTrouser\r\nPull over\r\n\r\n",
        json.dumps(NAMES),
        json.dumps({str(n): name for n, name in enumerate(NAMES)}),
        json.dumps({str(n): [f"n{n}", name] for n, name in reversed(list(enumerate(NAMES)))}),
    ],
)
def test_every_form_gives_the_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes").write_text(text, encoding="utf-8", newline="")
    assert read_class_names(tmp_path / "classes") == read_class_names(str(tmp_path / "classes")) == NAMES


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no names"),
        ("a\n\nb", "name 1 is ''"),
        ("[1, 2]", "name 0 is 1"),
        ('["a", ', "is no JSON"),
        ('{"0": "a", "2": "b"}', "none of index 1"),
        ("[]", "holds no names"),
    ],
)
def test_what_holds_no_names_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "classes").write_text(text)
    with pytest.raises(ModelError, match=told) as caught:
        read_class_names(tmp_path / "classes")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_class_names(tmp_path / "nowhere.txt")


def test_a_network_takes_its_names_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("\n".join(f"garment {n}" for n in range(10)))
    loaded = uc.load_model("zfnet-28", random_weights=True, classes=tmp_path / "classes.txt")
    assert loaded.label(3) == "garment 3"
    assert uc.load_model("zfnet-28", classes=list("abcdefghij")).classes == tuple("abcdefghij")
    maps = occlusion(loaded, torch.rand(1, 28, 28), "garment 4", square=14)
    assert (maps.target, maps.target_name) == (4, "garment 4")
    three = uc.load_model("zfnet-28", random_weights=True, classes=NAMES)
    assert "3 class names for 10 outputs: are left out" in occlusion(three, torch.rand(1, 28, 28), square=14).output

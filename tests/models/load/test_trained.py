"""A file of trained weights holds the tensors to the last bit and says what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from unconv.errors import ModelError, UnconvError
from unconv.models.load.trained import about_trained, save_trained, trained_classes, trained_preprocess
from unconv.models.load.weights.files import read_state_dict


def test_tensors_come_back_in_any_memory_order(tmp_path: Path) -> None:
    weights = {
        "conv": torch.randn(4, 3, 5, 5).contiguous(memory_format=torch.channels_last),
        "count": torch.tensor(7),
        "scale": torch.randn(4, requires_grad=True),
    }
    path = save_trained(weights, tmp_path / "w.safetensors", {"classes": ["ein", "zwei", "größe"]})
    back = read_state_dict(path)
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], value) for name, value in weights.items())
    assert trained_classes(path) == ("ein", "zwei", "größe")
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]


def test_files_of_others_say_nothing(tmp_path: Path) -> None:
    tensors = {"weight": torch.ones(2)}
    safetensors.torch.save_file(tensors, tmp_path / "bare.safetensors")
    safetensors.torch.save_file(tensors, tmp_path / "odd.safetensors", {"unconv": "[1, 2]"})
    safetensors.torch.save_file(tensors, tmp_path / "text.safetensors", {"unconv": "dictionary"})
    torch.save(tensors, tmp_path / "weights.pth")
    for name in ("bare.safetensors", "odd.safetensors", "text.safetensors", "weights.pth", "nowhere"):
        assert about_trained(tmp_path / name) == {}
        assert trained_classes(tmp_path / name) is None


@pytest.mark.parametrize("told", [{"sides": 3}, [1, 2], {"mean": [0.5, 0.5]}, {"size": 28}])
def test_a_picture_transform_that_is_none_is_one_line(tmp_path: Path, told: object) -> None:
    path = save_trained({"weight": torch.ones(2)}, tmp_path / "w.safetensors", {"preprocess": told})
    with pytest.raises(ModelError, match="its picture transform cannot be read") as caught:
        trained_preprocess(path)
    assert "\n" not in str(caught.value)


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnconvError, match="choose a place"):
        save_trained({"weight": torch.ones(2)}, tmp_path / "nowhere" / "w.safetensors", {})

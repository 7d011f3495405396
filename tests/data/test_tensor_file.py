"""Tensor files: what is written comes back, and what is none is one line, for every kind of file alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from unconv.data.tensor_file import TensorFormat, read_tensors, write_tensors
from unconv.errors import ModelError, SparseError, UnconvError
from unconv.models.load.trained import FORMAT as TRAINED, about_trained
from unconv.models.load.weights.files import read_state_dict
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.learn.dictionaries import load_dictionary
from unconv.visualize.scan.top_activations import TopActivations

READERS = {
    "encoding": Encoding.load,
    "dictionary": load_dictionary,
    "top activations": TopActivations.load,
    "weights": read_state_dict,
}
KINDS = TensorFormat("thing", 2, content="thing", writer="make", error=SparseError)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).T, "b": torch.arange(3), "c": torch.ones(2, requires_grad=True)}
    head = {"name": "torn \udcff.png", "classes": ["é", "\n"], "none": None}
    file = KINDS.read(KINDS.write(tmp_path / "x", tensors, head), "load")
    assert file.head == {"kind": "thing", "version": 2, **head}
    assert all(torch.equal(file.tensors[name], tensor) for name, tensor in tensors.items())


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    paths = [write_tensors(tmp_path / name, {"a": torch.ones(2)}, {"x": 1, "y": 2}) for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("content", [None, b"", b"not at all", b"\x10\0\0\0\0\0\0\0{" + bytes(100)])
def test_what_is_no_tensor_file_is_one_line(
    reader: Callable[[Path], object], content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnconvError, match=r"x\.safetensors") as refusal:
        reader(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("reader", [Encoding.load, TopActivations.load])
@pytest.mark.parametrize("head", [None, "[]", "{}", '{"kind": "thing", "format": "thing", "version": 1}', "{torn"])
def test_other_files_are_refused_in_one_line(
    reader: Callable[[Path], object], head: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(2)}, path, None if head is None else {"unconv": head})
    with pytest.raises(UnconvError, match=r"x\.safetensors'?: (holds no|cannot be read)") as refusal:
        reader(path)
    assert "\n" not in str(refusal.value)


def test_newer_versions_and_missing_parts_are_named(tmp_path: Path) -> None:
    path = TensorFormat("thing", 3, content="thing", writer="make").write(tmp_path / "x", {}, {})
    with pytest.raises(SparseError, match="load: format version 3, this unconv reads 2; update unconv"):
        KINDS.read(path, "load")
    with (
        pytest.raises(SparseError, match=r"load: incomplete or damaged .*'a'.*; write the file anew"),
        KINDS.assembling("load"),
    ):
        read_tensors(path, "load").tensors["a"]
    with pytest.raises(ModelError, match="fits nothing"), KINDS.assembling("load"):
        raise ModelError("fits nothing")


def test_a_head_of_another_kind_says_nothing(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "x", {"unconv": json.dumps({"kind": "other", "version": 1})})
    assert about_trained(tmp_path / "x") == about_trained(tmp_path / "nowhere") == {}
    assert about_trained(TRAINED.write(tmp_path / "y", {}, {"classes": ["a"]}))["classes"] == ["a"]


@pytest.mark.parametrize("entry", ["dictionary", "", "[1]", "{broken"])
def test_an_entry_of_another_writer_is_no_head(entry: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"x": torch.ones(2)}, path, {"unconv": entry})
    found = read_tensors(path, "load")
    assert found.head == {}
    assert torch.equal(found.tensors["x"], torch.ones(2))

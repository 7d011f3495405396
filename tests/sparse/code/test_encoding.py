"""Codes as a value: what they rebuild, how much they use, and the way to a file and back."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.sparse.oracles import BOUNDARIES
from unconv.errors import SparseError, UnconvError
from unconv.sparse.code.boundary import synthesize
from unconv.sparse.code.encode import encode
from unconv.sparse.code.encoding import Encoding


def stacked(boundary: str = "crop", count: int = 3) -> Encoding:
    rng = np.random.default_rng(0)
    return encode(
        rng.standard_normal((count, 2, 9, 8)), rng.standard_normal((4, 2, 3, 3)), 0.5, boundary=boundary, solver="torch"
    )


def listed() -> Encoding:
    rng = np.random.default_rng(0)
    images = [rng.standard_normal((1, size)).astype("f4") for size in (12, 7)]
    return encode(images, rng.standard_normal((4, 1, 3)).astype("f4"), [0.1, 0.2, 0.3, 0.4], solver="torch")


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_reconstruction_is_the_transposed_convolution_of_the_codes(boundary: str) -> None:
    encoding = stacked(boundary)
    codes = encoding.codes
    assert isinstance(codes, torch.Tensor)
    expected = synthesize(codes.to_dense(), encoding.dictionary, encoding.boundary, (9, 8))
    found = encoding.reconstruct()
    assert isinstance(found, torch.Tensor)
    torch.testing.assert_close(found, expected)


def test_codes_are_what_torch_calls_coalesced() -> None:
    for codes in (stacked().codes, *listed().codes):
        assert isinstance(codes, torch.Tensor)
        assert codes.is_coalesced()
        again = torch.sparse_coo_tensor(codes.indices(), codes.values(), codes.shape, check_invariants=True).coalesce()
        torch.testing.assert_close(again.indices(), codes.indices())


def test_lists_come_back_as_lists() -> None:
    encoding = listed()
    assert [tuple(codes.shape) for codes in encoding.codes] == [(4, 14), (4, 9)]
    pictures = encoding.reconstruct()
    assert [tuple(picture.shape) for picture in pictures] == [(1, 12), (1, 7)]
    for codes, picture in zip(encoding.codes, pictures, strict=True):
        expected = synthesize(codes.to_dense(), encoding.dictionary, "crop", picture.shape[1:])
        torch.testing.assert_close(picture, expected)


def test_use_energy_and_density_count_what_is_there() -> None:
    encoding = stacked()
    assert isinstance(encoding.codes, torch.Tensor)
    codes = encoding.codes.to_dense()
    assert encoding.density == pytest.approx(float((codes != 0).double().mean()))
    assert encoding.kernel_use.tolist() == (codes != 0).sum((0, 2, 3)).tolist()
    norms = encoding.dictionary.flatten(1).norm(dim=1)
    torch.testing.assert_close(encoding.kernel_energy, codes.abs().sum((0, 2, 3)) * norms)
    assert sum(listed().kernel_use.tolist()) == sum(codes._nnz() for codes in listed().codes)


@pytest.mark.parametrize("make", [stacked, listed, lambda: stacked(count=0)], ids=["stack", "list", "none"])
def test_saved_and_loaded_is_the_same(make: object, tmp_path: Path) -> None:
    encoding = make()  # type: ignore[operator]
    path = tmp_path / "codes.safetensors"
    encoding.save(path)
    encoding.save(str(path))
    loaded = Encoding.load(path)
    assert [file.name for file in tmp_path.iterdir()] == ["codes.safetensors"]
    for name in ("solver", "boundary", "image_sizes", "penalty", "nonnegative"):
        assert getattr(loaded, name) == getattr(encoding, name)
    for name in ("objective", "gap", "steps", "converged", "dictionary"):
        torch.testing.assert_close(getattr(loaded, name), getattr(encoding, name), rtol=0, atol=0)
    assert type(loaded.codes) is type(encoding.codes)
    pairs = [(loaded.codes, encoding.codes)] if isinstance(loaded.codes, torch.Tensor) else []
    for found, expected in pairs or zip(loaded.codes, encoding.codes, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert found.is_coalesced()
    for found, expected in zip(loaded.trace, encoding.trace, strict=True):
        torch.testing.assert_close(found.gap, expected.gap, rtol=0, atol=0)
    reconstructions = (loaded.reconstruct(), encoding.reconstruct())
    torch.testing.assert_close(*reconstructions, rtol=0, atol=0)


def test_the_dictionary_of_an_encoding_is_its_own() -> None:
    dictionary = torch.randn(2, 1, 3)
    encoding = encode(torch.randn(1, 1, 9), dictionary, solver="torch")
    kept = dictionary.clone()
    dictionary.zero_()
    torch.testing.assert_close(encoding.dictionary, kept)


def test_files_that_hold_no_encoding_are_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    stacked().save(whole)
    from safetensors import safe_open

    with safe_open(whole, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(whole)
    files = {
        "missing": None,
        "empty": b"",
        "text": b"not at all",
        "cut": whole.read_bytes()[:-40],
    }
    for name, data in files.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    save_file(tensors, tmp_path / "plain")
    save_file(tensors, tmp_path / "newer", {"unconv": metadata["unconv"].replace('"version": 1', '"version": 9')})
    save_file({k: v for k, v in tensors.items() if k != "values.1"}, tmp_path / "incomplete", metadata)
    save_file(tensors | {"indices.1": tensors["indices.1"] + 50}, tmp_path / "outside", metadata)
    messages = {
        "missing": "no such file",
        "empty": "not a safetensors file",
        "text": "not a safetensors file",
        "cut": "not a safetensors file",
        "plain": "holds no encoding",
        "newer": "format version 9, this unconv reads 1",
        "incomplete": "incomplete or damaged",
        "outside": "incomplete or damaged",
    }
    for name, message in messages.items():
        with pytest.raises(SparseError, match=message) as caught:
            Encoding.load(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnconvError, match=r"save: .*No such file"):
        stacked().save(tmp_path / "nowhere" / "codes")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "codes").write_text("before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnconvError, match="No space left"):
        stacked().save(tmp_path / "codes")
    assert [file.name for file in tmp_path.iterdir()] == ["codes"]
    assert (tmp_path / "codes").read_text() == "before"


def test_a_file_may_be_read_by_those_who_may_read_others(tmp_path: Path) -> None:
    encode(torch.rand(1, 1, 8, 8), torch.randn(2, 1, 3, 3), "0.5max").save(tmp_path / "codes.safetensors")
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "codes.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode

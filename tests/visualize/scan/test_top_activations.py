"""Files of scans: those of before keep loading."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from unconv.data.images import Skipped
from unconv.visualize.scan.top_activations import TopActivations


def test_files_in_which_a_skipped_picture_was_one_text_are_read(tmp_path: Path) -> None:
    path = TopActivations.of({"conv": torch.rand(2, 8, 5, 5)}, top=3).save(tmp_path / "top.safetensors")
    with safe_open(str(path), framework="pt") as file:
        head = json.loads(file.metadata()["unconv"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    head["skipped"] = ["torn.png: empty file (0 bytes)"]
    save_file(tensors, path, {"unconv": json.dumps(head)})
    assert TopActivations.load(path).skipped == (Skipped("torn.png", "empty file (0 bytes)"),)

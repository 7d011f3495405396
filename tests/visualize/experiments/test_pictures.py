"""Pictures go into the experiments through the transform of a loaded model; tensors as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import unconv as uc
from unconv.errors import UnconvError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(2):
        grey = np.random.default_rng(number).integers(0, 256, (28, 28), dtype=np.uint8)
        Image.fromarray(grey).save(tmp_path / f"{number}.png")
    return tmp_path


def test_a_file_is_what_the_network_makes_of_it(folder: Path) -> None:
    net = uc.load_model("zfnet-28")
    wanted = uc.experiments.occlusion(net, net.preprocess(folder / "0.png"), square=14)
    for form in (folder / "0.png", str(folder / "0.png"), Image.open(folder / "0.png"), [folder / "0.png"]):
        torch.testing.assert_close(uc.experiments.occlusion(net, form, square=14).probability, wanted.probability)
    both = torch.cat([net.preprocess(folder / f"{number}.png") for number in range(2)])
    found, tensors = (uc.experiments.invariance(net, images, "rotation", [0, 20]) for images in (folder, both))
    torch.testing.assert_close(found.distance, tensors.distance)
    listed = uc.experiments.invariance(net, list(both), "rotation", [0, 20])
    torch.testing.assert_close(listed.distance, tensors.distance)


def test_what_cannot_be_read_and_bare_modules_are_one_line(folder: Path) -> None:
    net = uc.load_model("zfnet-28")
    (folder / "torn.png").write_bytes(b"torn")
    with pytest.raises(UnconvError, match=r"invariance: .*torn\.png: .*; leave it out"):
        uc.experiments.invariance(net, folder, "rotation", [0, 20])
    with pytest.raises(UnconvError, match=r"occlusion: ZFNet28 is a bare module, .* or load_model's network"):
        uc.experiments.occlusion(net.module, folder / "0.png")
    with pytest.raises(UnconvError, match="tensors of several sizes"):
        uc.experiments.invariance(net, [torch.rand(1, 28, 28), torch.rand(1, 30, 30)], "rotation", [0, 20])

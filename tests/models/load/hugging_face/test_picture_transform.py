"""Settings of image processors as a transform, held against what the processor does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from unconv.errors import ModelError
from unconv.models.load.hugging_face.picture_transform import transform_of, transform_values

NORMAL = {
    "do_resize": True,
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


class Processor:
    """An image processor: its settings, and what it does, of torchvision's steps."""

    def __init__(self, settings: dict[str, Any], *steps: Any, flipped: bool = False) -> None:
        last = v2.Normalize(settings["image_mean"], settings["image_std"])
        self.settings, self.flipped = settings, flipped
        self.steps = v2.Compose([*steps, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), last])

    def to_dict(self) -> dict[str, Any]:
        return self.settings

    def __call__(self, picture: Image.Image, return_tensors: str) -> dict[str, torch.Tensor]:
        assert return_tensors == "pt"
        made = self.steps(picture)[None]
        return {"pixel_values": made.flip(1) if self.flipped else made}


@pytest.mark.parametrize(
    ("settings", "steps", "told"),
    [
        ({"size": {"height": 40, "width": 56}}, [v2.Resize((40, 56))], "stretched to 40x56 (bilinear), centre 40x56"),
        (
            {"size": {"shortest_edge": 64}, "do_center_crop": True, "crop_size": {"height": 48, "width": 56}},
            [v2.Resize(64), v2.CenterCrop((48, 56))],
            "covering 64x64 (bilinear), centre 48x56",
        ),
        (
            {"size": {"shortest_edge": 56}, "crop_pct": 0.875},
            [v2.Resize(64), v2.CenterCrop(56)],
            "covering 64x64 (bilinear), centre 56x56",
        ),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, [v2.Resize((384, 384))], "stretched to 384x384"),
    ],
)
def test_known_settings_become_values_that_make_the_same_picture(
    settings: dict[str, Any], steps: list[Any], told: str
) -> None:
    processor = Processor(NORMAL | settings, *steps)
    preprocess, notes = transform_of(processor, 3)
    assert told in str(preprocess)
    assert (preprocess.own, notes) == (None, ())
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (123, 77, 3), dtype=np.uint8))
    difference = preprocess(noise) - processor(noise, return_tensors="pt")["pixel_values"]
    assert difference.abs().mean() < 0.02


def test_a_processor_that_does_something_else_is_applied_as_it_is() -> None:
    settings = NORMAL | {"size": {"height": 40, "width": 40}}
    for processor in (
        Processor(settings, v2.Resize((40, 40)), flipped=True),
        Processor(settings, v2.Resize(40), v2.CenterCrop(40)),
        Processor(settings | {"resample": 1}, v2.Resize((40, 40))),
    ):
        preprocess, notes = transform_of(processor, 3)
        assert preprocess.own is not None
        assert "prepared by Processor, as it is" in notes[0]
        assert preprocess.changed() is preprocess
        noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8))
        torch.testing.assert_close(preprocess(noise), processor(noise, return_tensors="pt")["pixel_values"])


def test_a_processor_that_makes_no_picture_is_refused() -> None:
    class Frames(Processor):
        def __call__(self, picture: Image.Image, return_tensors: str) -> dict[str, torch.Tensor]:
            return {"pixel_values": super().__call__(picture, return_tensors)["pixel_values"][None]}

    with pytest.raises(ModelError, match=r"Frames makes \(1, 1, 3, 40, 40\)"):
        transform_of(Frames(NORMAL | {"size": {"height": 40, "width": 40}}, v2.Resize((40, 40))), 3)


@pytest.mark.parametrize(
    "other",
    [
        {"do_resize": False},
        {"resample": 5},
        {"rescale_factor": 1 / 127.5},
        {"size": {"shortest_edge": 800, "longest_edge": 1333}},
        {"image_mean": [127.0] * 3},
        {"image_mean": None},
    ],
)
def test_other_settings_have_no_values(other: dict[str, Any]) -> None:
    settings = NORMAL | {"size": {"height": 40, "width": 40}}
    assert transform_values(settings) is not None
    assert transform_values(settings | other) is None

"""A patch holds all that a unit sees, and no projection leaves it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.visualize.reference import network
from unconv.models.efficientnet_lite import EfficientNetLite0
from unconv.visualize.layers import view_network
from unconv.visualize.report.fields import fields_of
from unconv.visualize.reverse.project import project


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
@pytest.mark.parametrize(
    ("model", "layer"),
    [
        (network("vgg16"), "features.15"),
        (network("resnet18"), "layer2"),
        (network("googlenet"), "inception3a"),
        (EfficientNetLite0(), "features.4.0.expand.norm"),
    ],
    ids=["vgg16", "resnet18", "googlenet", "efficientnet-lite0"],
)
@pytest.mark.parametrize("corner", [True, False])
def test_projection_stays_inside_the_box(model: nn.Module, layer: str, corner: bool, rule: str) -> None:
    images = torch.randn(1, 3, 160, 192, generator=torch.Generator().manual_seed(0))
    fields = fields_of(view_network(model, images, [layer]), (3, 160, 192), [layer])
    assert fields.notes == ()
    position = (0, 0) if corner else (5, 6)
    image = project(model, images, layer, 3, position, rule).image[0]
    box = fields.box(layer, position)
    inside = (slice(None), *(slice(start, stop) for start, stop in box))
    outside = image.clone()
    outside[inside] = 0
    assert (outside == 0).all()
    assert all(0 <= start < stop <= side for (start, stop), side in zip(box, (160, 192), strict=True))


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if x.sum().item() < 1e9 else x


def test_unknown_fields_are_the_whole_picture_and_said() -> None:
    fields = fields_of(view_network(Untraceable(), torch.zeros(1, 3, 20, 30)), (3, 20, 30), ["conv"])
    assert fields.box("conv", (0, 0)) == ((0, 20), (0, 30))
    assert fields.size("conv") is None
    assert "not known, patches show the whole picture" in fields.notes[0]

"""One pass forward serves all units, and every view is what project gives."""

from __future__ import annotations

from math import exp

import pytest
import torch
from torch import Tensor, nn

from tests.visualize.reference import network
from unconv.errors import ModelError
from unconv.visualize.layers import view_network
from unconv.visualize.outputs.predictions import predict
from unconv.visualize.report.fields import fields_of
from unconv.visualize.report.picture_view import look
from unconv.visualize.reverse.project import project

LAYERS = ["features.2", "features.5", "features.8"]


@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_views_equal_single_projections(rule: str) -> None:
    model = network("alexnet")
    image, picture = torch.randn(1, 3, 128, 96), torch.rand(3, 128, 96)
    fields = fields_of(view_network(model, image, LAYERS), (3, 128, 96), LAYERS)
    views = look(model, image, picture, LAYERS, rule, units=3, field_box=fields.box)
    assert [view.layer for view in views] == LAYERS
    for view in views:
        for unit in view.units:
            alone = project(model, image, view.layer, unit.unit, None, rule)
            window = (slice(None), *(slice(start, stop) for start, stop in unit.box))
            assert alone.position == (unit.position,)
            assert alone.activation.item() == unit.activation
            assert alone.coverage == view.coverage
            torch.testing.assert_close(alone.image[0][window], unit.projection)
            assert torch.equal(picture[window], unit.patch)


def test_layer_without_maps_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 4))
    with pytest.raises(ModelError, match=r"layer '2': returns shape \(1, 4\), not feature maps"):
        look(model, torch.randn(1, 3, 8, 8), torch.rand(3, 8, 8), ["2"], "guided", 1, lambda *_: ((0, 8), (0, 8)))


def test_predictions_are_softmax_in_order() -> None:
    model, image = network("alexnet"), torch.randn(1, 3, 96, 96)
    names = [f"class {n}" for n in range(1000)]
    found = predict(model, image, names).classes
    probabilities = model(image).softmax(1)[0]
    assert [label for label, _ in found] == [names[int(n)] for n in probabilities.topk(5).indices]
    assert [value for _, value in found] == pytest.approx(probabilities.topk(5).values.tolist())


class Dense(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": x}


def test_predictions_follow_the_output() -> None:
    image = torch.randn(1, 3, 4, 4)
    pictures = predict(Dense(), image, ["cat", "dog"])
    assert pictures.classes == ()
    assert "2 class names for 3 outputs: are left out" in pictures.note
    maps = nn.Conv2d(3, 2, 1)
    shares = maps(image).softmax(1).mean((2, 3))[0]
    found = dict(predict(maps, image, ["cat", "dog"]).classes)
    assert [found["cat"], found["dog"]] == pytest.approx(shares.tolist())
    binary = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    with torch.no_grad():
        number = float(binary(image))
    likely = 1 / (1 + exp(-number))
    assert dict(predict(binary, image, ["cat", "dog"]).classes) == pytest.approx({"dog": likely, "cat": 1 - likely})
    assert predict(binary, image, None).classes == predict(maps, image, None).classes == ()
    assert predict(binary, image, None, asked="score").classes == (("output 0", pytest.approx(number)),)


def test_detections_are_no_predictions() -> None:
    class Detector(nn.Module):
        def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
            return [{"boxes": one[0]} for one in x]

    found = predict(Detector(), torch.randn(1, 3, 4, 4), ["cat", "dog"])
    assert found.classes == ()
    assert "a list of dict" in found.note
    with pytest.raises(ModelError, match="a list of dict"):
        predict(Detector(), torch.randn(1, 3, 4, 4), ["cat", "dog"], asked="softmax")

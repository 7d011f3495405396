"""One pass forward serves all units, and every view is what project gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.visualize.reference import network
from unconv.errors import ModelError
from unconv.visualize.layers import view_network
from unconv.visualize.report.fields import fields_of
from unconv.visualize.report.picture_view import look, predict
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
    found = predict(model, image, names)
    probabilities = model(image).softmax(1)[0]
    assert [label for label, _ in found] == [names[int(n)] for n in probabilities.topk(5).indices]
    assert [value for _, value in found] == pytest.approx(probabilities.topk(5).values.tolist())


class Dense(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": x}


def test_no_predictions_where_the_output_is_something_else() -> None:
    assert predict(Dense(), torch.randn(1, 3, 4, 4), ["cat", "dog"]) == ()
    assert predict(nn.Conv2d(3, 2, 1), torch.randn(1, 3, 4, 4), ["cat", "dog"]) == ()

"""Lists of layers: names that every function takes, shapes that torch returns, text that fits a terminal."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import get_model

import unconv as uc

SIZE = (3, 64, 64)


def shapes_by_hooks(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """What every module returns in its first call, by torch's own hooks."""
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str):
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                found.setdefault(name, tuple(output.shape[1:]))

        return hook

    for name, module in model.named_modules():
        if name:
            module.register_forward_hook(note(name))
    with torch.no_grad():
        model.eval()(torch.zeros(1, *SIZE))
    return found


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "googlenet", "mobilenet_v2", "timm"])
def test_names_and_shapes_are_those_of_torch_s_hooks(name: str) -> None:
    options = {"init_weights": False} if name == "googlenet" else {}
    model = timm.create_model("vit_tiny_patch16_224", img_size=64) if name == "timm" else get_model(name, **options)
    listed = {row.name: row.output_shape for row in uc.list_layers(model, SIZE)}
    hooked = shapes_by_hooks(model)
    assert listed == {name: hooked[name] for name in listed}
    # Left out is what has no tensor of its own: modules that hand on what another made.
    convolutions = {name for name, one in model.named_modules() if isinstance(one, nn.Conv2d) and name in hooked}
    assert convolutions <= set(listed)


def test_its_names_are_taken_by_a_scan() -> None:
    model = get_model("resnet18")
    images = torch.rand(1, *SIZE)
    names = uc.list_layers(model, images).names
    found = uc.scan(model, images, names, top=1)
    units = {row.name: row.units for row in uc.list_layers(model, images)}
    assert {layer: len(values) for layer, values in found.values.items()} == units


def test_it_shows_itself_and_goes_on() -> None:
    found = uc.list_layers("torchvision:resnet18")
    text = repr(found)
    assert len(text.splitlines()) <= 25
    assert len(text) <= 2000
    assert "more" in text
    assert found._repr_html_().count("<tr>") == len(found) + 1
    frame = found.to_dataframe()
    assert list(frame.columns) == ["name", "kind", "output_shape", "units"]
    assert list(frame.name) == found.names
    assert [row.name for row in found] == found.names
    assert found[0].kind == "Conv2d"
    assert uc.list_layers("lenet5")[0].output_shape[1:] == (28, 28)

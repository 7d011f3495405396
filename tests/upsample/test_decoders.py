"""Every upsampler in a real decoder: torchvision's FCN and DeepLab backbones; trained, exported, compiled, in half."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large, fcn_resnet50

import unconv as uc

CLASSES = 5


class Pooled(nn.Module):
    """Unpooling: what a max-pooling leaves, put back to its switches."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(CLASSES, CLASSES, 1)
        self.pool = nn.MaxPool2d(3, 2, padding=1, return_indices=True)
        self.unpool = uc.upsample.Unpool2d(3, 2, padding=1)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        small, switches = self.pool(x)
        y: Tensor = self.up(self.unpool(small, switches, x))
        return y


UPSAMPLERS: dict[str, Callable[[], nn.Module]] = {
    "transposed": lambda: uc.upsample.ConvTransposeTo2d(CLASSES, CLASSES, 4, stride=2),
    "sub-pixel": lambda: uc.upsample.SubPixel2d(CLASSES, CLASSES),
    "resize": lambda: uc.upsample.ResizeConv2d(CLASSES, CLASSES),
    "bilinear": lambda: uc.upsample.Bilinear2d(CLASSES),
    "learned bilinear": lambda: uc.upsample.Bilinear2d(CLASSES, learnable=True),
    "smooth": lambda: nn.Sequential(nn.ConvTranspose2d(CLASSES, CLASSES, 2, 2), uc.upsample.Smooth(2)),
    "unpool": Pooled,
    "converted": lambda: uc.upsample.convert(nn.ConvTranspose2d(CLASSES, CLASSES, 4, 2, 1), "sub-pixel"),
}


class Decoder(nn.Module):
    """A backbone, scores of classes at low resolution, and steps up to the size of the picture."""

    def __init__(self, backbone: nn.Module, channels: int, make: Callable[[], nn.Module], steps: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.score = nn.Conv2d(channels, CLASSES, 1)
        self.up = nn.Sequential(*(make() for _ in range(steps)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.score(self.backbone(x)["out"]))
        return y


def decoder(kind: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "fcn":
        return Decoder(fcn_resnet50(weights=None, weights_backbone=None).backbone, 2048, UPSAMPLERS[name], 3)
    body = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None).backbone
    return Decoder(body, 960, UPSAMPLERS[name], 4)


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_decoders_train_and_run_in_half_and_channels_last(name: str) -> None:
    model = decoder("fcn", name)
    x = torch.randn(2, 3, 64, 48)
    target = torch.randint(CLASSES, (2, 64, 48))
    # A step along its gradient, and the loss is lower: dropout and batch statistics stay as they are.
    model.eval()
    loss = nn.functional.cross_entropy(scores := model(x), target)
    assert scores.shape == (2, CLASSES, 64, 48)
    loss.backward()
    gradients = [one.grad for one in model.parameters() if one.grad is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    size = sum(float(gradient.square().sum()) for gradient in gradients)
    with torch.no_grad():
        for one in model.parameters():
            if one.grad is not None:
                one -= 0.01 / size**0.5 * one.grad
        assert float(nn.functional.cross_entropy(model(x), target)) < float(loss)
        last = copy.deepcopy(model).to(memory_format=torch.channels_last)
        assert last(x.contiguous(memory_format=torch.channels_last)).shape == scores.shape
        # The steps up alone: in fifty layers of random weights before them, rounding decides near-ties.
        low = model.score(model.backbone(x)["out"])
        expected = model.up(low)
        found = last.up(low.contiguous(memory_format=torch.channels_last))
        half = copy.deepcopy(model.up).to(torch.bfloat16)(low.to(torch.bfloat16))
        assert half.dtype == torch.bfloat16
        whole = copy.deepcopy(model).to(torch.bfloat16)(x.to(torch.bfloat16))
        assert whole.shape == scores.shape
        assert bool(whole.isfinite().all())
        # Behind a resize to the nearest, neighbours are equal but for rounding, which decides where switches point.
        if name != "unpool":
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
            assert float((half.float() - expected).norm() / expected.norm()) < 0.03


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_decoders_are_one_graph_and_export(name: str) -> None:
    model, x = decoder("deeplab", name).eval(), torch.randn(1, 3, 64, 48)
    assert torch._dynamo.explain(model)(x).graph_break_count == 0
    exported = torch.export.export(model, (x,)).module()(x)
    torch.testing.assert_close(exported, model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_decoders_run_as_onnx(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, x = decoder("deeplab", name).eval(), torch.randn(1, 3, 64, 48)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), tmp_path / "model.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, model(x).detach().numpy(), rtol=1e-3, atol=1e-4)

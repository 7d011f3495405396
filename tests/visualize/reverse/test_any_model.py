"""Whatever the model is like: every entry works on it or says why in one line, and leaves it as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc
from unconv.errors import UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.network.trace.trace import trace
from unconv.network.windows import windows_of
from unconv.visualize.reverse.project import project
from unconv.visualize.reverse.project_units import Pick, project_units
from unconv.visualize.scan.scan import scan

# What torch says of scripts and of quantisation where they are made.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{said}")
    for said in (".*torch.(jit|ao).*", "Please use quant_min", "torch.quantize")
]

SIDE = 24


class Net(nn.Module):
    """Convolutions, batch norm, rectifiers, a pool and a classifier; ``wrap`` decides what it returns."""

    def __init__(self, wrap: Callable[[Tensor], Any] = lambda y: y) -> None:
        super().__init__()
        self.wrap = wrap
        self.conv1, self.norm, self.act = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()
        self.pool, self.conv2 = nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1)
        self.drop, self.last = nn.Dropout(), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        y = self.conv2(self.pool(self.act(self.norm(self.conv1(x)))))
        return self.wrap(self.last(self.drop(F.relu(y)).mean((2, 3))))


class WithoutGradient(Net):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Any:
        return super().forward(x)


class InInference(Net):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Any:
        return super().forward(x)


class Detaching(Net):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x.detach() * 2)


class InPlace(Net):
    """Overwrites its input, its feature maps, a part of them, and the sum of a residual connection."""

    def forward(self, x: Tensor) -> Any:
        x.sub_(0.1).mul_(2)
        y = self.norm(self.conv1(x)).relu_()
        y += y.sigmoid()
        y[:, :3].clamp_(min=0.0)
        y = self.conv2(self.pool(y))
        F.relu(y, inplace=True)
        return self.last(y.mean((2, 3)))


class Failing(Net):
    """Fails between its layers."""

    def forward(self, x: Tensor) -> Any:
        self.pool(self.act(self.norm(self.conv1(x))))
        raise RuntimeError("cannot go on\nsecond line")


class PartScripted(Net):
    def __init__(self) -> None:
        super().__init__()
        self.pool = torch.jit.script(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)))


def hooked() -> Net:
    net = Net()
    net.conv1.register_forward_hook(lambda _m, _i, output: output * 2)
    net.conv2.register_forward_pre_hook(lambda _m, inputs: (inputs[0] + 1,))
    net.act.register_full_backward_hook(lambda _m, _i, _o: None)
    return net


def partly_frozen() -> Net:
    net = Net()
    net.conv1.requires_grad_(False)
    net.last.bias.requires_grad_(False)
    net.conv2.weight.grad = torch.ones_like(net.conv2.weight)
    return net


def made_in_inference() -> Net:
    with torch.inference_mode():
        return Net()


def quantised() -> nn.Module:
    net = nn.Sequential(torch.ao.quantization.QuantStub(), nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3)).eval()
    net.qconfig = torch.ao.quantization.get_default_qconfig(
        "x86" if "x86" in torch.backends.quantized.supported_engines else "qnnpack"
    )
    prepared = torch.ao.quantization.prepare(net)
    prepared(torch.rand(2, 3, SIDE, SIDE))
    return torch.ao.quantization.convert(prepared)


def normed() -> Net:
    net = Net()
    torch.nn.utils.parametrizations.weight_norm(net.conv1)
    return net


ENTRIES = ("project", "units", "scan", "see")
# The model, a layer of it, and the entries that work; the others say why not.
MODELS: dict[str, tuple[Callable[[], nn.Module], str, tuple[str, ...]]] = {
    "as usual": (lambda: Net().eval(), "conv2", ENTRIES),
    "in train mode": (lambda: Net().train(), "conv2", ENTRIES),
    "in both modes": (lambda: _with(Net().train(), lambda net: net.norm.eval()), "conv2", ENTRIES),
    "returning a dict": (lambda: Net(lambda y: {"out": y, "aux": [y]}), "conv2", ENTRIES),
    "returning a tuple": (lambda: Net(lambda y: (y, y + 1)), "conv2", ENTRIES),
    "returning nothing": (lambda: Net(lambda _: None), "conv2", ENTRIES),
    "frozen": (lambda: Net().requires_grad_(False), "conv2", ENTRIES),
    "partly frozen, with gradients": (partly_frozen, "conv2", ENTRIES),
    "half": (lambda: Net().half(), "conv2", ENTRIES),
    "bfloat16": (lambda: Net().bfloat16(), "conv2", ENTRIES),
    "double": (lambda: Net().double(), "conv2", ENTRIES),
    "in place": (InPlace, "conv2", ENTRIES),
    "with hooks": (hooked, "conv2", ENTRIES),
    "with weight norm": (normed, "conv2", ENTRIES),
    "channels last": (lambda: Net().to(memory_format=torch.channels_last), "conv2", ENTRIES),
    "compiled": (lambda: torch.compile(Net()), "conv2", ENTRIES),
    "partly scripted": (PartScripted, "conv2", ENTRIES),
    "scripted": (lambda: torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), "0", ()),
    "traced": (
        lambda: torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.rand(1, 3, SIDE, SIDE)),
        "0",
        (),
    ),
    "without gradient": (WithoutGradient, "conv2", ("scan",)),
    "in inference mode": (InInference, "conv2", ("scan",)),
    "detaching": (Detaching, "conv2", ("scan",)),
    "made in inference mode": (made_in_inference, "conv2", ("scan",)),
    "quantised": (quantised, "3", ("scan",)),
    "failing": (Failing, "conv2", ()),
    "failing behind the layer": (Failing, "act", ("project", "scan", "see")),
}


def _with(model: Net, change: Callable[[Net], object]) -> Net:
    change(model)
    return model


def enter(entry: str, model: nn.Module, layer: str, folder: Path) -> Any:
    dtype = next((p.dtype for p in model.parameters()), torch.float32)
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(dtype)
    if entry == "project":
        name = f"_orig_mod.{layer}" if hasattr(model, "_orig_mod") else layer
        return project(model, images, name, 1).image
    if entry == "units":
        plain = getattr(model, "_orig_mod", model)
        windows = windows_of(trace(plain, (3, SIDE, SIDE)), layer)
        return project_units(plain, images, windows, [Pick(0, 1, (3, 4)), Pick(1, 2, (0, 0))]).image
    if entry == "scan":
        return scan(model, images, [layer], top=2).values[layer]
    small = Preprocess(size=(SIDE, SIDE), resize=(SIDE, SIDE))
    report = uc.see(model, images.float(), [layer], out=folder, top_units=1, transform=small)
    units = [unit for picture in report.numbers["pictures"] for unit in picture["layers"][0]["units"]]
    return torch.tensor([unit["activation"] for unit in units])


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def state_of(model: nn.Module) -> list[Any]:
    """Everything about a model that a caller could find changed."""
    modules = [(name, m.training, *(len(getattr(m, hooks)) for hooks in HOOKS)) for name, m in model.named_modules()]
    parameters = [
        (name, p.requires_grad, None if p.grad is None else p.grad.sum().item()) for name, p in model.named_parameters()
    ]
    tensors = [
        (
            name,
            value.dtype,
            value.stride(),
            value.data_ptr(),
            value.detach().double().sum().item(),
            value.is_inference(),
        )
        for name, value in (*model.named_parameters(), *model.named_buffers())
    ]
    return [modules, parameters, tensors, torch.is_grad_enabled(), torch.is_inference_mode_enabled()]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", MODELS)
def test_every_model_works_or_says_why_and_is_as_before(kind: str, entry: str, tmp_path: Path) -> None:
    build, layer, working = MODELS[kind]
    torch.manual_seed(0)
    model = build()
    before = copy.deepcopy(state_of(model))
    if entry in working:
        found = enter(entry, model, layer, tmp_path)
        assert found.isfinite().all()
        assert found.abs().max() > 0
    else:
        with pytest.raises(UnconvError) as refusal:
            enter(entry, model, layer, tmp_path)
        assert "\n" not in str(refusal.value)
        assert len(str(refusal.value)) < 250
    assert state_of(model) == before


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_around_the_call_does_not_matter(entry: str, around: Callable[[], Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Net().eval()
    before = state_of(model)
    outside = enter(entry, model, "conv2", tmp_path)
    with around():
        inside = enter(entry, model, "conv2", tmp_path)
        assert not torch.is_grad_enabled()
    torch.testing.assert_close(inside.clone(), outside)
    assert state_of(model) == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("scripted", "TorchScript"),
        ("traced", "TorchScript"),
        ("without gradient", "computed without gradient"),
        ("in inference mode", "computed without gradient"),
        ("made in inference mode", "the weights of Net were made in inference mode"),
        ("detaching", "computed without gradient"),
        ("quantised", r"computed without gradient \(torch.no_grad, detach or integers\)"),
        ("failing", "fails on images of shape 2×3×24×24, torch.float32: cannot go on"),
    ],
)
def test_the_line_names_the_cause(kind: str, said: str, tmp_path: Path) -> None:
    build, layer, _ = MODELS[kind]
    with pytest.raises(UnconvError, match=said):
        enter("project", build(), layer, tmp_path)


@pytest.mark.parametrize(("kind", "tolerance"), [("half", 0.05), ("bfloat16", 0.2), ("channels last", 1e-5)])
def test_other_precisions_show_the_same(kind: str, tolerance: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = Net()
    torch.manual_seed(0)
    model = MODELS[kind][0]()
    one, two = (enter("scan", each, "conv2", tmp_path) for each in (plain, model))
    torch.testing.assert_close(two.float(), one, rtol=tolerance, atol=tolerance)

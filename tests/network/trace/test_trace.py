"""What a trace says of a model: names, totals, MACs, edges; that it leaves the model alone; and its errors."""

from __future__ import annotations

import json
import warnings
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model

from unconv.errors import ModelError
from unconv.network.trace.trace import trace
from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry


def build(name: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        extra: dict[str, Any] = {}
        if "resnet50" in name and name != "resnet50":
            extra = {"weights_backbone": None, "aux_loss": True, "num_classes": 21}
        if name == "googlenet":
            extra = {"init_weights": False}
        return get_model(name, weights=None, **extra)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("vgg16", 138_357_544),
        ("alexnet", 61_100_840),
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
    ],
)
def test_parameters_equal_published_totals(name: str, published: int) -> None:
    graph = trace(build(name))
    assert graph.parameters == published
    assert sum(layer.parameters for layer in graph.layers) == published


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit_b_16"])
def test_macs_equal_torchs_counter(name: str) -> None:
    model = build(name).eval()
    size = 224 if name == "vit_b_16" else 64
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not know the fused operations
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            model(torch.zeros(1, 3, size, size))
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert 2 * trace(model, (3, size, size)).macs == counter.get_total_flops()


@pytest.mark.parametrize(
    ("layer", "size", "macs"),
    [
        (nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), (64, 8, 8), 64 * 32 * 16 * 64),
        (nn.ConvTranspose2d(64, 32, 4, stride=2, groups=8), (64, 8, 8), 64 * 32 * 16 * 64 // 8),
        (nn.ConvTranspose1d(6, 4, 5, stride=3, dilation=2, output_padding=1), (6, 7), 6 * 4 * 5 * 7),
        (nn.ConvTranspose3d(2, 3, 2, stride=2), (2, 3, 4, 5), 2 * 3 * 8 * 60),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (8, 5, 6), 8 * 9 * 30),
        (nn.Conv2d(4, 6, (3, 2), stride=2, dilation=2), (4, 9, 11), 4 * 6 * 6 * 3 * 5),
        (nn.Conv1d(3, 5, 4), (3, 10), 3 * 5 * 4 * 7),
        (nn.Conv3d(1, 2, 3), (1, 4, 5, 6), 2 * 27 * 2 * 3 * 4),
        (nn.Linear(6, 4), (6,), 24),
    ],
)
def test_macs_by_hand(layer: nn.Module, size: tuple[int, ...], macs: int) -> None:
    assert trace(layer, size).macs == macs
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, *size))
    assert counter.get_total_flops() == 2 * macs


def test_macs_of_attention_are_its_two_products() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x, x)

    assert trace(Attention(), (2, 10, 4)).macs == 2 * 2 * 10 * 10 * 4
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert trace(encoder, (5, 8)).macs == 5 * (3 * 64 + 64 + 2 * 8 * 16) + 2 * 5 * 5 * 8


def test_names_follow_modules_and_stay_unique() -> None:
    graph = trace(build("resnet18"), (3, 64, 64))
    names = [layer.name for layer in graph.layers]
    assert len(set(names)) == len(names)
    assert {"conv1", "layer1.0.relu", "layer1.0.relu#1", "layer1.0.add", "flatten", "fc"} <= set(names)
    assert graph["layer1.0.add"].inputs == ("maxpool", "layer1.0.bn2")
    assert graph["layer1"].name == "layer1.1.relu#1"
    assert graph["conv1"].inputs == ()


def test_functional_calls_are_layers() -> None:
    graph = trace(build("googlenet"), (3, 64, 64))
    assert graph["inception3a.branch1.relu"].is_rectifier
    assert len(graph.rectifiers) == 57


def test_geometries_are_those_of_the_modules() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, (3, 2), stride=2, padding=1, groups=1),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.ConvTranspose2d(4, 4, 3, stride=2, output_padding=1, groups=2),
        nn.AvgPool2d(2, count_include_pad=False),
    )
    geometries = [layer.geometry for layer in trace(model, (3, 20, 21)).layers]
    assert geometries == [
        ConvGeometry((20, 21), (3, 2), 2, 1),
        MaxPoolGeometry((10, 11), 3, 2, 1, ceil_mode=True),
        ConvTransposeGeometry((6, 6), 3, 2, output_padding=1),
        AvgPoolGeometry((14, 14), 2, count_include_pad=False),
    ]
    assert [layer.groups for layer in trace(model, (3, 20, 21)).layers] == [1, 1, 2, 1]


def test_shapes_are_the_modules_without_batch() -> None:
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Flatten(2), nn.Linear(36, 5))
    layers = trace(model, (3, 8, 8)).layers
    assert [(layer.input_shape, layer.output_shape) for layer in layers] == [((3, 8, 8), (6, 6, 6)), ((6, 36), (6, 5))]


def test_shared_parameters_count_once() -> None:
    shared = nn.Conv2d(2, 2, 3, padding=1)
    graph = trace(nn.Sequential(shared, nn.ReLU(), shared), (2, 5, 5))
    assert [layer.parameters for layer in graph.layers] == [38, 0, 0]
    assert [layer.macs for layer in graph.layers] == [900, 0, 900]
    assert graph.parameters == 38


def test_gates_and_global_steps_see_everything() -> None:
    graph = trace(build("efficientnet_b0"), (3, 64, 64))
    assert graph["features.1.0.block.0.0"].receptive_field.size == (7, 7)
    for name in ("features.1.0.block.1.avgpool", "features.1.0.block.1.mul", "features.2", "classifier.1"):
        assert graph[name].receptive_field.covers_everything
        assert graph[name].exact
    assert graph.field_box("features.2", (0, 0)) == ((0, 64), (0, 64))


@pytest.mark.parametrize(
    ("layer", "everything"),
    [
        (nn.BatchNorm2d(2), False),
        (nn.InstanceNorm2d(2), True),
        (nn.BatchNorm2d(2, track_running_stats=False), True),
        (nn.GroupNorm(1, 2), True),
        (nn.LayerNorm([6, 6]), True),
        (nn.Softmax(1), False),
        (nn.Softmax(3), False),
        (nn.Softmax2d(), False),
        (nn.LocalResponseNorm(3), False),
        (nn.AdaptiveAvgPool2d(6), False),
        (nn.ChannelShuffle(2), False),
    ],
)
def test_normalisation_mixes_what_it_mixes(layer: nn.Module, everything: bool) -> None:
    field = trace(nn.Sequential(layer, nn.Identity()), (2, 6, 6)).layers[-1].receptive_field
    assert field.covers_everything == everything


class Odd(nn.Module):
    """An operation that the trace does not know."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft2(x).real


def test_unknown_operations_say_so() -> None:
    layers = trace(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), Odd()), (1, 6, 6)).layers
    assert layers[-1].receptive_field.covers_everything
    assert not layers[-1].exact
    assert any("not known to the trace" in layer.note for layer in layers)


class WriteToSlice(nn.Module):
    """Fills part of a tensor through a slice and reads the tensor itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        buffer = torch.zeros_like(x)
        buffer[:, :, 2:6] = self.conv(x)[:, :, 2:6]
        return F.relu(buffer)


class WriteToView(nn.Module):
    """Changes a tensor through a view of another shape."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.view(-1)
        flat[1:] *= flat[:-1].clone()
        return F.relu(x)


class WriteToTransposed(nn.Module):
    """Changes a tensor through a view in another order, which the trace does not follow."""

    def forward(self, x: Tensor) -> Tensor:
        x.transpose(2, 3).cumsum_(3)
        return F.relu(x)


def test_writes_to_slices_and_views_are_followed() -> None:
    graph = trace(WriteToSlice(), (1, 8))
    assert [graph.field_box("relu", (unit,)) for unit in (1, 2, 5, 6)] == [((0, 0),), ((1, 4),), ((4, 7),), ((0, 0),)]
    graph = trace(WriteToView(), (1, 8))
    assert [graph.field_box("relu", (unit,)) for unit in (0, 3, 7)] == [((0, 1),), ((2, 4),), ((6, 8),)]


def test_writes_that_are_not_followed_are_bounded() -> None:
    layer = trace(WriteToTransposed(), (1, 4, 5))["relu"]
    assert layer.receptive_field.covers_everything
    assert not layer.exact
    assert "upper bound" in layer.note


def test_blocks_of_pixels_become_units_and_back() -> None:
    shuffled = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 4, 3, padding=1), nn.PixelShuffle(2))
    graph = trace(shuffled, (1, 8, 8))
    assert graph["2"].receptive_field.size == (6, 6)
    assert graph.field_box("2", (4, 5)) == ((2, 8), (2, 8))
    columns = trace(nn.Sequential(nn.Unfold(3, padding=1), nn.ReLU()), (2, 8, 6)).layers[0]
    assert (columns.output_shape, columns.receptive_field.size) == ((18, 48), (3, 3))


def test_circular_padding_wraps() -> None:
    graph = trace(nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular"), (1, 8))
    assert [layer.operator for layer in graph.layers] == ["pad", "conv"]
    assert [graph.field_box(graph.layers[-1], (unit,)) for unit in (0, 4)] == [((0, 8),), ((3, 6),)]
    assert graph.layers[-1].receptive_field.size == (3,)


class Stateful(nn.Module):
    """A forward that leaves traces of itself everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3)
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("limit", torch.full((), 2.0))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.steps += 1
        self.steps = self.steps + 1
        self.conv.weight.data.clamp_(0, 0.01)
        if float(self.limit) < 1:
            raise RuntimeError("the limit is 2")
        self.last = self.conv(x)
        self.seen.append(self.last)
        return self.last.view(-1, 7) if x.shape[-1] == 5 else self.last


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails: bool) -> None:
    model = nn.Sequential(Stateful(), nn.BatchNorm2d(1), nn.Dropout()).train()
    model[2].eval()
    model[0].conv.weight.requires_grad_(False)
    steps, weight = model[0].steps, model[0].conv.weight
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    if fails:
        with pytest.raises(ModelError):
            trace(model, (1, 5, 5))
    else:
        trace(model, (1, 6, 6))
    assert [model.training, model[1].training, model[2].training] == [True, True, False]
    assert model[0].steps is steps
    assert model[0].conv.weight is weight
    assert not weight.requires_grad
    assert not hasattr(model[0], "last")
    assert model[0].seen == []
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not nn.modules.module._global_forward_hooks
    assert torch.backends.mha.get_fastpath_enabled()
    assert model.eval()(torch.zeros(1, 1, 6, 6)).isfinite().all()


def test_nan_weights_and_meta_models_trace() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    expected = trace(model, (3, 9, 9)).to_dict()
    with torch.no_grad():
        model[0].weight.fill_(torch.nan)
    assert trace(model, (3, 9, 9)).to_dict() == expected
    assert trace(model.to("meta"), (3, 9, 9)).to_dict() == expected
    assert trace(nn.Sequential(nn.Conv2d(3, 4, 3)).half(), (3, 9, 9)).macs == 3 * 4 * 9 * 49


class Pair(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left + F.max_pool2d(right, 3, 1, 1)


def test_several_inputs_share_coordinates() -> None:
    graph = trace(Pair(), ((2, 6, 6), (2, 6, 6)))
    assert graph["add"].receptive_field.size == (3, 3)
    assert graph.field_box("add", (0, 5)) == ((0, 2), (4, 6))


def test_tokens_are_traced_with_a_dtype() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    assert trace(model, (7,), dtype=torch.int64).layers[-1].output_shape == (7, 2)
    with pytest.raises(ModelError, match=r"0 \(Embedding\).*torch\.int64"):
        trace(model, (7,))


class Branchy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 8, 8), r"0 \(Conv2d\) got 1×1×8×8 .* takes 3 channels"),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), (1, 4, 4), r"1 \(Linear\) got 1×16 .* takes 9 features"),
        (nn.Sequential(nn.Conv2d(3, 4, 9)), (3, 5, 5), r"0 \(Conv2d\).*[Kk]ernel"),
        (nn.Sequential(nn.ReLU(), Branchy()), (1, 4, 4), r"1 \(Branchy\) takes a path or a size from values"),
        (nn.Identity(), (3, 4, 4), "no layer"),
        (nn.ReLU(), (3, 0, 4), r"input size \(3, 0, 4\)"),
        (nn.ReLU(), "3xa", "input size .3xa."),
        (nn.ReLU(), (), "input size"),
        (lambda x: x, (3, 4, 4), "torch.nn.Module, not function"),
    ],
)
def test_refusals_are_one_clear_line(model: Any, size: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # users have no type checker
    with pytest.raises(ModelError, match=words) as caught:
        trace(model, size)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("trace: ")


def test_unknown_layers_and_positions_are_refused() -> None:
    graph = trace(build("resnet18"), (3, 64, 64))
    with pytest.raises(ModelError, match=r"no layer 'layer1\.0\.conv3'; near it: .*layer1\.0\.conv"):
        graph["layer1.0.conv3"]
    for position in [(16, 0), (-1, 0), (0,), (0, 0, 0)]:
        with pytest.raises(ModelError, match="16 × 16 units; give one index per axis, 2"):
            graph.field_box("layer1", position)
    assert graph.field_box("fc", ()) == ((0, 64), (0, 64))


def test_plain_data_and_tables() -> None:
    graph = trace(build("resnet18"), (3, 64, 64))
    data = json.loads(json.dumps(graph.to_dict()))
    assert len(data["layers"]) == len(graph.layers)
    assert data["layers"][0]["receptive_field"] == {
        "size": [7, 7],
        "stride": ["2", "2"],
        "start": [-3, -3],
        "exact": True,
    }
    text = graph.table()
    assert "11,689,512" in text
    assert len(text.splitlines()) == len(graph.layers) + 2
    short = str(graph).splitlines()
    assert short[0].split() == text.splitlines()[0].split()
    assert short[-1].split() == text.splitlines()[-1].split()
    assert "… 48 more" in short
    assert len(short) == 24
    assert graph._repr_html_().count("<tr>") == len(graph.layers) + 2
    assert "layer4.1.bn2" in graph


@pytest.mark.parametrize(
    "name",
    [
        *("squeezenet1_0", "mnasnet0_5", "mobilenet_v3_small", "regnet_x_400mf", "inception_v3"),
        "lraspp_mobilenet_v3_large",
    ],
)
def test_torchvision_models_trace(name: str) -> None:
    extra: dict[str, Any] = {"weights_backbone": None} if name.startswith("lraspp") else {}
    if name == "inception_v3":
        extra = {"init_weights": False}
    graph = trace(get_model(name, weights=None, **extra), (3, 96, 96))
    assert graph.macs > 0
    assert not [layer.name for layer in graph.layers if "not known to the trace" in layer.note]


@pytest.mark.parametrize("name", ["regnety_002", "ghostnet_100", "poolformer_s12", "hrnet_w18_small"])
def test_timm_models_trace(name: str) -> None:
    timm = pytest.importorskip("timm")
    graph = trace(timm.create_model(name, pretrained=False), (3, 224, 224))
    assert graph.macs > 0
    assert not [layer.name for layer in graph.layers if "not known to the trace" in layer.note]


def test_failures_leave_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModelError):
        trace(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), (3, 8, 8))
    assert caplog.records == []


class Cuts(nn.Module):
    """Every way of cutting off; only those at zero rectify."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.hardtanh(x.clamp(min=0)).clamp(-1, 1).clamp_min(0.5).clamp_max(3)
        return F.relu6(x).clamp(0, 5)


def test_only_cutting_off_at_zero_rectifies() -> None:
    graph = trace(Cuts(), (1, 4, 4))
    assert [layer.is_rectifier for layer in graph] == [True, False, False, False, False, True, True]


class Deciding(nn.Module):
    """A backbone, and a head whose path depends on what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3))
        self.head, self.never = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        z: Tensor = self.head(y[y > 0].view(1, 4, -1, 1))
        return z


def test_a_trace_ends_behind_the_last_layer_asked_for() -> None:
    model = Deciding()
    with pytest.raises(ModelError, match="takes a path or a size from values"):
        trace(model, (3, 16, 16))
    graph = trace(model, (3, 16, 16), layers=["body.1", "body.0"])
    assert [layer.name for layer in graph] == ["body.0", "body.1"]
    assert graph["body.1"].exact
    assert "body" in trace(model, (3, 16, 16), layers=["body"])


def test_layers_that_are_not_there_or_not_called_are_refused() -> None:
    with pytest.raises(ModelError, match="has no layer of that name; the nearest names are body"):
        trace(Deciding(), (3, 16, 16), layers=["bodi"])
    with pytest.raises(ModelError, match="'spare': is not called"):
        trace(Spare(), (3, 16, 16), layers=["spare"])


class Spare(nn.Module):
    """Holds a layer that it does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.used(x)
        return y


class Reparametrised(nn.Module):
    """Weights that each pass computes of others and puts into a layer, as SPAN does (Wan et al. 2024)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(8, 4, 3, bias=False)
        self.both = nn.Conv2d(3, 4, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        one = self.first.weight.flip(2, 3).permute(1, 0, 2, 3)
        made = F.conv2d(one, self.second.weight, padding=2).flip(2, 3).permute(1, 0, 2, 3)
        self.both.weight.data = made.contiguous()
        return self.both(x)


def test_weights_that_a_pass_assigns_stay_as_they_were() -> None:
    model = Reparametrised()
    weight, before = model.both.weight, model.both.weight.detach().clone()
    graph = trace(model, (3, 9, 9))
    assert model.both.weight is weight
    assert torch.equal(weight, before)
    # The convolution, and that which makes its weight.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 9, 9))
    assert (graph["both"].output_shape, graph["both"].macs) == ((4, 7, 7), counter.get_total_flops() // 2)

"""The audit on published networks, and the forms in which it is handed on."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models
from torchvision.models import get_model, get_model_weights, list_models, regnet, segmentation

import unconv as uc
from unconv.errors import ModelError, UnconvError
from unconv.network.audit.audit import audit
from unconv.network.audit.checks import forms
from unconv.network.audit.sarif import sarif_of
from unconv.operators.checkerboard import checkerboard_score

FAMILY = re.compile(r"efficientnet_v2|mobilenet_v\d|regnet_[xy]|swin_v2|vgg(?=.*_bn)|[a-z]+(?:_resnet)?")
KNOWN = ("densenet201", "efficientnet_b3", "resnet50", "vgg16", "vit_b_16")


def classifiers() -> list[str]:
    """The smallest of each family of torchvision's, and some that are known; `unconv bench trace` takes them all."""
    smallest: dict[str, str] = {}
    for name in sorted(list_models(module=models), key=lambda name: get_model_weights(name).DEFAULT.meta["num_params"]):
        smallest.setdefault(FAMILY.match(name)[0], name)  # type: ignore[index]
    return sorted({*smallest.values(), *KNOWN})


CLASSIFIERS = classifiers()
SEGMENTERS = list_models(module=segmentation)
TIMM = (
    *("resnet50", "convnext_atto", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "mobilenetv3_small_100"),
    *("efficientnet_lite0", "regnety_002", "densenet121", "hrnet_w18_small", "mixer_s32_224"),
)


def build(name: str, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A torchvision model without memory for its weights; published counts leave auxiliary heads of some out."""
    parameters = regnet.BlockParams.from_init_params.__func__

    def on_cpu(cls: type, **given: Any) -> Any:
        with torch.device("cpu"):
            return parameters(cls, **given)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", classmethod(on_cpu))
    extra: dict[str, Any] = {}
    if name in SEGMENTERS:
        # DeepLab's and FCN's counts are with the auxiliary head.
        extra = {"weights_backbone": None} | ({} if name.startswith("lraspp") else {"aux_loss": True})
    elif name == "googlenet":
        extra = {"init_weights": False, "aux_logits": False}
    elif name == "inception_v3":
        extra = {"init_weights": False}
    elif name.startswith("vit"):
        extra = {"image_size": get_model_weights(name).DEFAULT.transforms().crop_size[0]}
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        return get_model(name, weights=None, **extra)


@pytest.mark.parametrize("name", [*CLASSIFIERS, *SEGMENTERS])
def test_torchvisions_models_have_published_totals_and_no_errors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = get_model_weights(name).DEFAULT
    size = weights.transforms().crop_size[0] if name in CLASSIFIERS else 520
    found = audit(build(name, monkeypatch), (3, size, size), measure=False)
    assert found.parameters == weights.meta["num_params"]
    assert found.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=1e-3)  # published to three decimals
    assert found.at_least("error") == ()


@pytest.mark.parametrize("name", TIMM)
def test_timm_models_are_audited_with_the_right_totals(name: str) -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    found = audit(model, (3, 224, 224), measure=False)
    assert found.parameters == sum(one.numel() for one in model.parameters())
    assert found.at_least("error") == ()
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            model.eval()(torch.zeros(1, 3, 224, 224))
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
    assert 2 * found.macs == counter.get_total_flops()


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "mobilenet_v2", "decoder"])
def test_totals_are_fvcores(name: str) -> None:
    counting = pytest.importorskip("fvcore.nn")
    if name == "decoder":
        up = [nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 3, 2, groups=1)]
        model: nn.Module = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), *up)
    else:
        with torch.device("meta"):
            model = get_model(name, weights=None)
        model = model.to_empty(device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counted = counting.FlopCountAnalysis(model.eval(), torch.zeros(1, 3, 224, 224)).unsupported_ops_warnings(False)
        by_operator = counted.by_operator()
    found = audit(model, (3, 224, 224), measure=False)
    # It also counts one for each number that is normalised or averaged, which are no products of weights.
    assert found.macs == by_operator["conv"] + by_operator["linear"]
    assert found.parameters == counting.parameter_count(model)[""]


@pytest.mark.parametrize(
    ("layer", "size", "field"),
    [
        (nn.ConvTranspose2d(64, 32, 4, 2, 1), (64, 8, 8), (2, 2)),
        (nn.ConvTranspose2d(8, 3, 3, 2, 1, 1), (8, 10, 12), (2, 2)),
        (nn.ConvTranspose2d(16, 16, 2, 2, groups=4), (16, 7, 7), (1, 1)),
        (nn.ConvTranspose1d(4, 2, 9, 3), (4, 11), (3,)),
        (nn.ConvTranspose3d(4, 2, 3, 2), (4, 5, 4, 3), (2, 2, 2)),
    ],
)
def test_counts_of_transposed_layers_are_right_where_others_are_not(
    layer: nn.Module, size: tuple[int, ...], field: tuple[int, ...]
) -> None:
    x = torch.zeros(1, *size)
    found = audit(layer, size, measure=False)
    with FlopCounterMode(display=False) as counter:
        y = layer(x)
    assert 2 * found.macs == counter.get_total_flops()
    assert found.layers[0].receptive_field.size == field
    # Both take the output's positions for the input's, about s² too many; and a field of −k.
    wrong = found.macs * (y[0, 0].numel() / x[0, 0].numel())
    assert wrong > 1.5 * found.macs
    torchinfo, torchscan = pytest.importorskip("torchinfo"), pytest.importorskip("torchscan.modules")
    assert torchinfo.summary(layer, input_data=x, verbose=0).total_mult_adds == wrong + y.numel()  # and the bias
    assert torchscan.module_macs(layer, x, y) == wrong + 4 * (x.ndim - 2)
    assert torchscan.module_rf(layer, x, y)[0] == -layer.kernel_size[0]  # type: ignore[index, operator]


class Skip(nn.Module):
    """A skip connection around a step down and up."""

    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 8, 3, padding=1)
        self.down = nn.MaxPool2d(2)
        self.up = up

    def forward(self, x: Tensor, sized: bool = False) -> Tensor:
        skip = self.enter(x)
        y: Tensor = self.up(self.down(skip), output_size=skip.shape[2:]) if sized else self.up(self.down(skip))
        return y + skip


@pytest.mark.parametrize("size", [(45, 44), (31, 33)])
def test_a_mismatch_names_both_layers_and_sizes_that_work(size: tuple[int, int]) -> None:
    model = Skip(nn.ConvTranspose2d(8, 8, 2, stride=2))
    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 3, *size))
    (finding,) = audit(model, (3, *size)).findings
    assert finding.severity == "error"
    assert finding.layer == "up"
    assert "enter" in finding.message
    assert "multiples of 2" in finding.message
    assert "output_size=skip.shape[2:]" in finding.fix
    assert model(torch.zeros(1, 3, *size), sized=True).shape[2:] == size


def test_a_mismatch_with_a_part_of_the_input_says_so() -> None:
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.up = nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.up(self.down(x)) + x[:, :1]
            return y

    (finding,) = audit(Part(), (3, 32, 32)).findings
    assert finding.message.startswith("up comes to 31×31 and the input to 32×32")
    (hint,) = [one for one in audit(Part(), (3, 33, 33), measure=False).findings if one.rule == "only-some-sizes"]
    assert "meets the input for an input of 33×33" in hint.message
    assert "the model works for rows 33 + 2n, columns 33 + 2n" in hint.message


def test_sizes_that_work_are_no_accident() -> None:
    class Deep(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + F.interpolate(F.max_pool2d(x, 8), scale_factor=8)

    # 96 is a multiple of 2 that works, and 94 is one that does not.
    (finding,) = audit(Deep(), (3, 94, 94)).findings
    assert "multiples of 8, as 88×88 and 96×96" in finding.message


def test_a_mismatch_behind_channels_that_come_last_is_told_along_the_places() -> None:
    class Last(Skip):
        def forward(self, x: Tensor, sized: bool = False) -> Tensor:
            return super().forward(x.permute(0, 3, 1, 2), sized)

    up = nn.ConvTranspose2d(8, 8, 2, stride=2)
    usual = audit(Skip(up), (3, 33, 32), measure=False).findings[0].message
    assert "as 32×32 and 34×32" in usual
    told = audit(Last(up), (33, 32, 3), measure=False, axes="h w c").findings[0].message
    assert told.replace("h 2n, w 2n", "input sizes that are multiples of 2") == usual


def test_a_mismatch_that_no_output_padding_mends_says_so() -> None:
    model = Skip(nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1))
    (finding,) = audit(model, (3, 45, 45)).findings
    assert "no output_padding" in finding.fix


class Awkward(nn.Module):
    """Layers whose names are no attributes, and one that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.ups = nn.ModuleList([nn.ConvTranspose2d(3, 3, 4, 2, 1), nn.Sequential(nn.ConvTranspose2d(3, 3, 2, 2))])
        self.add_module("block1-0", nn.ConvTranspose2d(3, 3, 2, 2))
        self.shuffle = nn.Sequential(nn.Conv2d(3, 12, 1), nn.PixelShuffle(2))
        self.parts = nn.ModuleList([nn.Identity(), nn.Conv2d(3, 3, 1)])

    def forward(self, x: Tensor) -> Tensor:
        for up in self.ups:
            x = up(x)
        y: Tensor = self.shuffle(self.get_submodule("block1-0")(x))
        return y


@pytest.mark.parametrize(
    ("make", "rule", "count"),
    [
        (Awkward, "unequal-phases", 4),
        (Awkward, "faster-form", 3),
        (Awkward, "unused-parameters", 1),
        (lambda: nn.ConvTranspose2d(3, 3, 4, 2, 1), "unequal-phases", 1),
        (lambda: nn.ConvTranspose2d(3, 3, 4, 2, 1), "faster-form", 1),
    ],
)
def test_fixes_are_code_that_runs_and_mends(
    make: Callable[[], nn.Module], rule: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "_times", lambda *_: (0.002, 0.001))
    torch.manual_seed(0)
    model, x = make(), torch.randn(1, 3, 8, 8)
    before = model(x)
    fixes = [finding.fix for finding in audit(model, (3, 8, 8)).findings if finding.rule == rule]
    assert len(fixes) == count
    for fix in fixes:
        # Before training, or after it: two ways. Behind "unless" is a proviso.
        for line in fix.partition(", unless ")[0].removesuffix(" after it").split(" before training, or "):
            names: dict[str, Any] = {"model": model, "uc": uc}
            exec(line, names)
            model = names["model"]
    assert rule not in {finding.rule for finding in audit(model, (3, 8, 8)).findings}
    if rule != "unequal-phases":
        torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-5)


def test_patterns_are_judged_by_the_images_given() -> None:
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(2, 3, 2, stride=2)
    with torch.no_grad():
        up.weight[1] = up.weight[0].mean((1, 2), keepdim=True) * 2 - up.weight[0]
    # Patterns of two channels that cancel each other where both are alike, as in a picture of ones.
    assert audit(up, (2, 8, 8), measure=False).findings == ()
    images = torch.rand(4, 2, 8, 8) * torch.tensor([1.0, 0.2]).view(2, 1, 1)
    (finding,) = audit(up, (2, 8, 8), measure=False, images=images).findings
    expected = checkerboard_score(up.weight, 2, inputs=images.mean((0, 2, 3)))
    assert f"pattern score {expected:.2g} of what comes in" in finding.message
    with pytest.raises(ModelError, match=r"^audit: images of shape \(4, 2, 8, 8\) for inputs of \(batch, 2, 9, 9\)"):
        audit(up, (2, 9, 9), images=images)


def test_faster_forms_are_measured() -> None:
    found = audit(nn.ConvTranspose2d(96, 3, 11, stride=4), (96, 55, 55))
    told = [finding for finding in found.findings if finding.rule == "faster-form"]
    # Whether it is faster is up to the machine; what is told is a measurement.
    assert all("times as fast (" in finding.message and finding.fix for finding in told)


@pytest.mark.parametrize(
    ("layer", "torch_time", "reported"),
    [
        (nn.ConvTranspose2d(96, 3, 11, stride=4), 0.003, True),
        (nn.ConvTranspose1d(8, 16, 4, stride=2, padding=1), 0.0013, True),
        (nn.ConvTranspose2d(96, 3, 11, stride=4), 0.0011, False),
        (nn.ConvTranspose2d(96, 3, 3), 0.003, False),
        (nn.ConvTranspose2d(8, 17, 4, stride=2), 0.003, False),
        (nn.ConvTranspose2d(8, 8, 4, stride=2, groups=2), 0.003, False),
    ],
)
def test_faster_forms_are_reported_by_their_gain(
    layer: nn.Module, torch_time: float, reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "_times", lambda *_: (torch_time, 0.001))
    found = audit(layer, (layer.in_channels, 12, 12)[: layer.weight.ndim - 1])
    assert ("faster-form" in {finding.rule for finding in found.findings}) == reported


def test_a_model_that_needs_a_gpu_says_where_or_is_audited() -> None:
    class Moves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.cuda() * 2

    class Mixes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.zeros(3, 1, 1, device="cuda")

    assert audit(nn.Sequential(nn.Conv2d(3, 3, 1), Moves()), (3, 8, 8)).macs == 576
    with pytest.raises(ModelError, match=r"^audit: 1 \(Mixes\) .* cpu and cuda"):
        audit(nn.Sequential(nn.Conv2d(3, 3, 1), Mixes()), (3, 8, 8))


def test_forms_of_an_audit(tmp_path: Path) -> None:
    model = Skip(nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1))
    found = uc.audit(model, (3, 32, 32), measure=False)
    assert "uneven-overlap" in found._repr_html_()
    assert "fix:" in str(found)
    assert repr(found).startswith("Audit(4 layers")
    for suffix in ("html", "sarif", "json"):
        found.save(tmp_path / f"audit.{suffix}", title="<b>mine</b>")
    assert json.loads((tmp_path / "audit.json").read_text()) == json.loads(json.dumps(found.to_dict()))
    assert "&lt;b&gt;mine" in (tmp_path / "audit.html").read_text()
    run = json.loads((tmp_path / "audit.sarif").read_text())["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [result["ruleId"] for result in run["results"]] == [finding.rule for finding in found.findings]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        location = result["locations"][0]["physicalLocation"]
        assert location["artifactLocation"]["uri"].endswith("test_audit.py")
        line = location["region"]["startLine"]
        assert Path(__file__).read_text().splitlines()[line - 1] == "        self.up = up"
    assert sarif_of(())["runs"][0]["results"] == []
    # Generated from the schema, and strict about what it does not know.
    schema = pytest.importorskip("pydantic_sarif.model").StaticAnalysisResultsFormatSarifVersion210JsonSchema
    schema.model_validate_json((tmp_path / "audit.sarif").read_text())
    with pytest.raises(ValueError, match="results"):
        schema.model_validate({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{}]}]})


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    class Data(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.inner(x)
            return y if float(y.sum()) > 0 else F.relu(y)

    found = audit(nn.Conv2d(3, 3, 1), (3, 8, 8))
    for call, told in (
        (lambda: audit(Data(), (3, 8, 8)), "from values"),
        (lambda: audit(nn.Conv2d(3, 3, 1), (4, 8, 8)), "takes 3 channels"),
        (lambda: audit(nn.Identity(), (3, 8, 8)), "does nothing"),
        (lambda: found.save(tmp_path / "audit.pdf"), ".html, .sarif or .json"),
        (lambda: found.without(["uneven"]), "no rule 'uneven'"),
    ):
        with pytest.raises(UnconvError, match=told) as refusal:
            call()
        assert "\n" not in str(refusal.value)
    with pytest.raises(ModelError, match="audit: "):
        audit(Data(), (3, 8, 8))


def test_the_model_is_as_before() -> None:
    model = Skip(nn.ConvTranspose2d(8, 8, 2, stride=2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    audit(model, (3, 32, 32))
    audit(model, (3, 33, 33))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model._forward_hooks

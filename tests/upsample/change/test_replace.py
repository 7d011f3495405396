"""Upsamplers exchanged in whole models: sizes stay, weights are carried where that is said, the rest is untouched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import unconv as uc
from unconv.errors import UnconvError
from unconv.models.unet import UNet
from unconv.upsample import UPSAMPLERS, Replaced, replace, upsampler


class Skips(nn.Module):
    """A small U-Net as torch users write them: transposed convolutions told the size, and concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 12, 3, 2, 1)])
        self.up = nn.ModuleDict({"1": nn.ConvTranspose2d(12, 8, 3, 2, 1), "0": nn.ConvTranspose2d(16, 6, 4, 2, 1)})
        self.head = nn.Sequential(nn.BatchNorm2d(6), nn.Conv2d(6, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        one = self.down[0](x).relu()
        two = self.down[1](one).relu()
        joined = torch.cat([self.up["1"](two, output_size=one.size()), one], 1)
        y: Tensor = self.head(self.up["0"](joined, output_size=x.shape[2:]))
        return y


@pytest.mark.parametrize("name", [name for name in UPSAMPLERS if name not in ("sub-pixel",)])
@pytest.mark.parametrize("size", [(3, 32, 48), (3, 34, 46)])
def test_a_decoder_keeps_its_sizes_with_every_upsampler(name: str, size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = Skips().train()
    before, state = repr(model), copy.deepcopy(model.state_dict())
    found = replace(model, name, input_size=size)
    assert repr(model) == before
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert found.model is not model
    assert [one.name for one in found.exchanges] == ["up.1", "up.0"]
    assert found.left == ()
    assert found.checked == (size,)
    assert found.parameters_before == sum(one.numel() for one in model.parameters())
    assert found.parameters_after == sum(one.numel() for one in found.model.parameters())
    assert found.parameters_after - found.parameters_before == sum(
        one.parameters_after - one.parameters_before for one in found.exchanges
    )
    assert not any(type(one) is nn.ConvTranspose2d for one in found.model.modules())
    x = torch.randn(2, *size)
    y = found.model(x)
    assert y.shape == model(x).shape
    y.square().mean().backward()
    assert all(one.grad is not None for one in found.model.parameters())
    for one, old in zip(found.exchanges, model.up.values(), strict=True):
        new = found.model.get_submodule(one.name)
        assert {*one.carried, *one.fresh} == dict(new.named_parameters()).keys()
        assert any(key.endswith("bias") for key in one.carried)
        bias = new.get_parameter(next(key for key in one.carried if key.endswith("bias")))
        assert torch.equal(bias.reshape(len(old.bias), -1)[:, 0], old.bias)
        assert one.output_size == (old.out_channels, *model_size(model, one.name, size))


def model_size(model: nn.Module, name: str, size: tuple[int, ...]) -> tuple[int, ...]:
    seen = []
    hook = model.get_submodule(name).register_forward_hook(lambda _, __, y: seen.append(tuple(y.shape[2:])))
    model(torch.zeros(2, *size))
    hook.remove()
    return seen[0]


@st.composite
def transposed(draw: st.DrawFn) -> Any:
    axes = draw(st.integers(1, 2))

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    kind: Any = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}[axes]
    stride = each(1, 3)
    extra = tuple(draw(st.integers(0, step - 1)) for step in stride)
    bias = draw(st.booleans())
    return kind(4, 6, each(1, 5), stride, each(0, 2), extra, draw(st.sampled_from([1, 2])), bias, each(1, 2))


@settings(deadline=None, max_examples=60)
@given(transposed(), st.sampled_from(["resize", "sub-pixel", "bilinear", "transposed-k4"]), st.integers(0, 99))
def test_any_transposed_convolution_keeps_its_size_or_is_left_with_a_reason(layer: Any, name: str, seed: int) -> None:
    torch.manual_seed(seed)
    x = torch.randn(2, 4, *(7, 6)[: len(layer.stride)])
    try:
        expected = layer(x)
    except RuntimeError:
        return
    if 0 in expected.shape:
        return
    found = replace(nn.Sequential(layer), name)
    if found.left:
        (left,) = found.left
        assert found.model[0].weight.equal(layer.weight)
        grouped, flat = layer.groups != 1, max(layer.stride) == 1
        assert (
            ("groups" in left.reason) or ("does not upsample" in left.reason) or ("reaches −s < c ≤ 0" in left.reason)
        )
        assert name != "resize" or grouped or flat
        return
    y = found.model(x)
    assert y.shape == expected.shape
    (one,) = found.exchanges
    if name == "sub-pixel":
        assert one.fresh == ()
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    else:
        assert any("bias" in key for key in (*one.carried, *one.fresh)) == (layer.bias is not None)


@pytest.mark.parametrize(("kernel", "padding", "extra"), [(4, 1, 0), (4, 1, 1), (3, 1, 0), (3, 1, 1), (2, 0, 0)])
def test_kernels_are_carried_over_where_they_are_alike(kernel: int, padding: int, extra: int) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 3, kernel, 2, padding, extra))
    found = replace(model, f"transposed-k{kernel}")
    if (kernel, extra) == (4, 1):
        assert "resize all sizes" in found.left[0].reason
        return
    assert found.exchanges[0].fresh == ()
    x = torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(found.model(x), model(x), rtol=1e-4, atol=1e-5)
    other = replace(model, "transposed-k4" if kernel == 2 else "transposed-k2")
    assert [key.rpartition(".")[2] for key in other.exchanges[0].fresh] == ["weight"]


def test_a_root_is_returned_and_not_changed_in_place() -> None:
    layer = nn.ConvTranspose2d(4, 3, 4, 2, 1)
    found = replace(layer, "resize", input_size=(4, 5, 5))
    assert isinstance(found.model, uc.upsample.ResizeConv2d)
    assert found.exchanges[0].name == ""
    with pytest.raises(UnconvError, match="cannot change in place"):
        replace(layer, "resize", inplace=True)


def test_in_place_changes_the_model_and_a_failure_changes_nothing() -> None:
    model = Skips()
    found = replace(model, "resize", inplace=True)
    assert found.model is model
    assert isinstance(model.up["0"], uc.upsample.ResizeConv2d)
    assert found.checked is None

    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 3, 4, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.up(x)
            return y * self.up.weight.mean()

    other = Told()
    old = other.up
    with pytest.raises(UnconvError, match=r"does not run with .*has no attribute 'weight'"):
        replace(other, "resize", input_size=(3, 8, 8), inplace=True)
    assert other.up is old
    with pytest.raises(UnconvError, match="replace: the model does not run with"):
        replace(other, "resize", input_size=(4, 8, 8))


def test_a_shared_layer_stays_shared() -> None:
    up = nn.ConvTranspose2d(3, 3, 2, 2)
    found = replace(nn.Sequential(up, nn.ReLU(), up), "resize", input_size=(3, 5, 5))
    assert found.model[0] is found.model[2]
    assert found.exchanges[0].name == "0, 2"


def test_other_kinds_are_exchanged_too() -> None:
    model = nn.Sequential(
        nn.Upsample(scale_factor=2),
        uc.upsample.SubPixel2d(4, 3),
        uc.upsample.ResizeConv2d(3, 3),
        uc.upsample.Bilinear2d(3),
        nn.Conv2d(3, 8, 1),
        nn.PixelShuffle(2),
    )
    for kind, names in (
        ("interpolation", ["0"]),
        ("subpixel", ["1", "5"]),
        ("resize", ["2"]),
        ("bilinear", ["3"]),
        ("all", list("01235")),
    ):
        found = replace(model, "transposed-k2", kind=kind, input_size=(4, 3, 5))
        assert [one.name for one in found.exchanges] == names
        assert found.left == ()
    unknown = replace(model, "resize", kind="all")
    assert [(one.name, one.reason) for one in unknown.left] == [
        ("0", "its channels are not known; give an input_size"),
        ("2", "it is of kind resize already"),
        ("5", "its channels are not known; give an input_size"),
    ]
    with pytest.raises(UnconvError, match="has no layer of kind 'transposed'"):
        replace(model, "resize")


@pytest.mark.parametrize("name", UPSAMPLERS)
def test_networks_of_ours_change_their_upsampler(name: str) -> None:
    model = UNet(2, channels=(4, 6, 8), up="transposed-k4", normalised=True, light=True)
    found = replace(model, name, input_size=(3, 22, 17))
    assert found.left == ()
    assert all((one.fresh == ()) == (name == "transposed-k4") for one in found.exchanges)
    ups = [one for one in found.model.modules() if isinstance(one, uc.upsample.upsamplers.Doubling)]
    assert {one.name for one in ups} == {name}
    assert list(found.model.state_dict()) == list(
        UNet(2, channels=(4, 6, 8), up=name, normalised=True, light=True).state_dict()
    )


def test_loaded_models_are_taken_and_older_words_in_their_names() -> None:
    loaded = uc.load_model("unet-small:subpixel-icnr", random_weights=True)
    found = replace(loaded, "pixel-shuffle", kind="all")
    assert {one.reason for one in found.left} == {"it is of kind sub-pixel already"}
    found = replace(loaded, "resize", kind="subpixel")
    assert {one.name for one in found.model.modules() if isinstance(one, uc.upsample.upsamplers.Doubling)} == {"resize"}


def test_what_cannot_be_carried_is_left_and_said() -> None:
    hooked = nn.ConvTranspose2d(3, 3, 2, 2)
    hooked.register_forward_hook(lambda *_: None)
    model = nn.Sequential(
        weight_norm(nn.ConvTranspose2d(3, 4, 2, 2)),
        nn.ConvTranspose2d(4, 4, 2, 2, groups=2),
        nn.ConvTranspose2d(4, 3, 3, padding=1),
        hooked,
        nn.LazyConvTranspose2d(3, 2, 2),
        nn.ConvTranspose2d(3, 3, 3, 2),
    )
    found = replace(model, "bilinear")
    reasons = [one.reason for one in found.left]
    assert [reason.split(",")[0] for reason in reasons] == [
        "it has hooks or parametrizations",
        "it has 2 groups",
        "with stride 1 it does not upsample",
        "it has hooks or parametrizations",
        "its weights are made by the first input; run the model once before",
        "it makes s·i + c cells of i",
    ]
    assert found.exchanges == ()


def test_the_value_is_short_and_has_rows() -> None:
    found = replace(Skips(), input_size=(3, 32, 32))
    assert isinstance(found, Replaced)
    text = repr(found)
    assert text.startswith("Skips: 2 upsamplers exchanged\n")
    assert "ConvTranspose2d(12→8, kernel 3, ×2) → ResizeConv2d(12→8, kernel 3, ×2)" in " ".join(text.split())
    assert "equal, run with 3×32×32" in text
    many = nn.Sequential(*[nn.ConvTranspose2d(3, 3, 2, 2) for _ in range(60)])
    long = repr(replace(many))
    assert len(long.splitlines()) <= 25
    assert len(long) <= 2000
    assert "ResizeConv2d" in found._repr_html_()
    frame = found.to_dataframe()
    assert list(frame.name) == ["up.1", "up.0"]
    assert frame.parameters_after.tolist() == [one.parameters_after for one in found.exchanges]


def test_dtype_device_and_mode_are_those_of_the_old_layer() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(3, 2, 4, 2, 1, bias=False)).double().eval()
    layer = replace(model, "resize").model[0]
    assert layer.conv.weight.dtype == torch.float64
    assert not layer.training
    assert layer.conv.bias is None
    up = upsampler("transposed-k2", 3, 2)
    assert replace(nn.Sequential(up.to("meta")), "resize").model[0].layer.conv.weight.is_meta


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: replace(Skips(), "cubic"), "upsampler 'cubic' is unknown; it is transposed-k2, "),
        (lambda: replace(Skips(), kind="pool"), "kind 'pool' is unknown; it is transposed, sub-pixel, "),
        (lambda: replace("unet"), "needs a torch.nn.Module, not str; uc.load_model"),
        (lambda: replace(nn.Linear(3, 3)), "Linear has no layer of kind 'transposed'"),
        (lambda: replace(torch.jit.script(nn.Sequential(nn.ReLU()))), "layers of a scripted model"),
    ],
)
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is")
def test_what_cannot_be_is_refused_in_a_line(call: Any, told: str) -> None:
    with pytest.raises(UnconvError, match=told) as refusal:
        call()
    assert "\n" not in str(refusal.value)

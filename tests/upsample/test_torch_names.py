"""torch's own names mean torch's own things: the same arguments, orders, defaults, weights and outputs."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

import unconv as uc
from unconv.errors import UnconvError

OURS: dict[int, Any] = {n: getattr(uc.upsample, f"ConvTranspose{n}d") for n in (1, 2, 3)}
THEIRS: dict[int, Any] = {n: getattr(nn, f"ConvTranspose{n}d") for n in (1, 2, 3)}
FUNCTIONS: dict[int, Any] = {n: getattr(F, f"conv_transpose{n}d") for n in (1, 2, 3)}

# Behind the channels and the kernel, in torch's order.
ORDER = ("stride", "padding", "output_padding", "groups", "bias", "dilation", "padding_mode", "device", "dtype")


def public_classes() -> set[str]:
    """Names of all classes of unconv."""
    names = set()
    for part in pkgutil.walk_packages(uc.upsample.__path__, "unconv.upsample."):
        names |= {
            name
            for name, one in vars(importlib.import_module(part.name)).items()
            if inspect.isclass(one) and one.__module__.startswith("unconv")
        }
    return names | {name for name in uc.__all__ if inspect.isclass(getattr(uc, name))}


def test_these_are_all_the_names_of_torch_that_we_have() -> None:
    layers = {name for name in public_classes() if hasattr(nn, name)}
    assert layers == {f"ConvTranspose{n}d" for n in (1, 2, 3)}
    functions = {name for name in dir(uc.upsample) if hasattr(F, name) and callable(getattr(uc.upsample, name))}
    assert functions == {"pixel_shuffle"}


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_order_and_defaults_are_those_of_torch(axes: int) -> None:
    ours, theirs = (inspect.signature(kind.__init__).parameters for kind in (OURS[axes], THEIRS[axes]))
    assert [(one.name, one.default, one.kind) for one in ours.values()] == [
        (one.name, one.default, one.kind) for one in theirs.values()
    ]
    ours, theirs = (inspect.signature(kind.forward).parameters for kind in (OURS[axes], THEIRS[axes]))
    assert [(one.name, one.default) for one in ours.values()] == [(one.name, one.default) for one in theirs.values()]


@st.composite
def calls(draw: st.DrawFn) -> tuple[int, tuple[Any, ...], dict[str, Any]]:
    """Arguments of a layer, some by place and some by name."""
    axes = draw(st.integers(1, 3))

    def sizes(least: int, most: int) -> Any:
        one = st.integers(least, most)
        return draw(one | st.tuples(*[one] * axes) | st.lists(one, min_size=axes, max_size=axes))

    groups = draw(st.sampled_from([1, 1, 2]))
    stride, dilation = sizes(1, 3), sizes(1, 2)
    least = min(max(s, d) for s, d in zip(per_axis(stride, axes), per_axis(dilation, axes), strict=True))
    values: dict[str, Any] = {
        "stride": stride,
        "padding": sizes(0, 2),
        "output_padding": sizes(0, least - 1),
        "groups": groups,
        "bias": draw(st.booleans()),
        "dilation": dilation,
        "padding_mode": "zeros",
        "device": None,
        "dtype": draw(st.sampled_from([None, torch.float64])),
    }
    placed = draw(st.integers(0, len(ORDER)))
    first = (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3)), sizes(1, 4))
    named = {name: values[name] for name in ORDER[placed:] if draw(st.booleans())}
    return axes, (*first, *(values[name] for name in ORDER[:placed])), named


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


@settings(deadline=None, max_examples=150)
@given(calls(), st.integers(0, 2**31), st.booleans(), st.data())
def test_layers_made_of_the_same_arguments_are_the_same_layer(
    call: tuple[int, tuple[Any, ...], dict[str, Any]], seed: int, batched: bool, data: st.DataObject
) -> None:
    axes, args, kwargs = call
    made = []
    for kind in (THEIRS[axes], OURS[axes]):
        torch.manual_seed(seed)
        try:
            made.append(kind(*args, **kwargs))
        except (ValueError, RuntimeError) as error:
            made.append(error)
    theirs, ours = made
    if isinstance(theirs, Exception):
        assert isinstance(ours, UnconvError)
        return
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for one, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    x = torch.randn(*([2] if batched else []), args[0], *(data.draw(st.integers(2, 4)) for _ in range(axes)))
    x = x.to(theirs.weight.dtype)
    try:
        expected = theirs(x)
    except RuntimeError:
        with pytest.raises(UnconvError):
            ours(x)
        return
    torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-5)
    asked = [
        size + data.draw(st.integers(0, step - 1))
        for size, step in zip(theirs_least(theirs, x), theirs.stride, strict=True)
    ]
    if min(asked) < 1:
        return
    for size in (asked, [*x.shape[:-axes], *asked]):
        torch.testing.assert_close(ours(x, size), theirs(x, size), rtol=1e-4, atol=1e-5)
    assert torch.equal(ours(x, torch.empty(*asked)), ours(x, asked))


def theirs_least(layer: Any, x: Tensor) -> list[int]:
    """The smallest size that torch comes to."""
    sizes = x.shape[-len(layer.stride) :]
    rows = zip(sizes, layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    return [s * (i - 1) + d * (k - 1) + 1 - 2 * p for i, k, s, p, d in rows]


@settings(deadline=None, max_examples=80)
@given(calls(), st.integers(0, 2**31))
def test_the_function_has_the_order_of_torchs(call: tuple[int, tuple[Any, ...], dict[str, Any]], seed: int) -> None:
    axes, args, kwargs = call
    named = dict(zip(ORDER, args[3:], strict=False)) | kwargs
    torch.manual_seed(seed)
    groups = named.get("groups", 1)
    if args[0] % groups or args[1] % groups:
        return
    x = torch.randn(2, args[0], *[3] * axes)
    weight = torch.randn(args[0], args[1] // groups, *per_axis(args[2], axes))
    bias = torch.randn(args[1]) if named.get("bias", True) else None
    defaults = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
    given_values = [named.get(name, default) for name, default in defaults.items()]
    try:
        expected = FUNCTIONS[axes](x, weight, bias, *given_values)
    except RuntimeError:
        with pytest.raises(UnconvError):
            uc.conv_transpose(x, weight, bias, *given_values)
        return
    torch.testing.assert_close(uc.conv_transpose(x, weight, bias, *given_values), expected, rtol=1e-4, atol=1e-5)
    by_name = dict(zip(defaults, given_values, strict=True))
    torch.testing.assert_close(uc.conv_transpose(x, weight, bias, **by_name), expected, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_pixel_shuffle_is_that_of_torch(factor: int, batch: int, channels: int, side: int) -> None:
    x = torch.randn(batch, channels * factor**2, side, side + 1)
    expected = F.pixel_shuffle(x, factor)
    assert torch.equal(uc.upsample.pixel_shuffle(x, factor), expected)
    assert torch.equal(uc.upsample.pixel_shuffle(input=x, upscale_factor=factor), expected)


def test_the_sixth_argument_is_the_output_padding() -> None:
    assert uc.upsample.ConvTranspose2d(8, 4, 3, 2, 1, 1)(torch.zeros(1, 8, 16, 16)).shape == (1, 4, 32, 32)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: OURS[2](4, 4, 3, padding_mode="reflect"), "padding_mode 'reflect' is for convolutions"),
        (lambda: OURS[2](3, 4, 3, groups=2), "ConvTranspose2d: in_channels must be divisible by groups"),
        (lambda: OURS[2]("3", 4, 3), "in_channels and out_channels '3' is not a whole number"),
        (lambda: OURS[2](3, 4, "3"), "kernel_size '?3'? "),
        (lambda: uc.upsample.ConvTransposeTo2d(3, 4, 3, padding="sam"), "padding 'sam' is not known"),
        (lambda: uc.upsample.ConvTransposeTo2d(3, 4, 3, 2, padding="same"), "has no single meaning"),
        (lambda: uc.upsample.pixel_shuffle("x", 2), "input is a str; give a torch.Tensor"),
        (lambda: OURS[1](3, 4, 3, stride=0), "stride 0 must be at least 1"),
        (lambda: OURS[1](3, 4, 3, padding=1.5), "padding 1.5 is not a whole number"),
        (lambda: OURS[2](3, 4, 3, 2)(torch.zeros(1, 3, 5, 5), (50, 11)), "output size 50 on axis 0 cannot be reached"),
        (lambda: OURS[1](3, 4, 3, 2, 1, 2)(torch.zeros(1, 3, 5)), "output padding 2 must be smaller than the stride"),
    ],
)
def test_what_torch_refuses_is_refused_in_a_line(make: Any, told: str) -> None:
    with pytest.raises(UnconvError, match=told) as refusal:
        make()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("padding", ["same_upper", "same_lower", ((0, 1), (2, 1))])
def test_paddings_that_torch_has_not_still_make_the_layer_that_comes_to_a_size(padding: Any) -> None:
    with pytest.warns(DeprecationWarning, match="that of ConvTransposeTo2d") as told:
        old = OURS[2](4, 6, 3, 2, padding, 2, False)
    assert told[0].filename == __file__
    new = uc.upsample.ConvTransposeTo2d(4, 6, 3, 2, padding, groups=2, bias=False)
    new.load_state_dict(old.state_dict())
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(old(x), new(x))
    assert repr(old) == repr(new)


def test_layers_that_were_written_whole_still_come_to_a_size() -> None:
    layer = OURS[1](3, 2, 4, 2)
    layer.__dict__["sized_padding"] = "same_upper"
    read = pickle.loads(pickle.dumps(layer))
    assert isinstance(read, uc.upsample.ConvTransposeTo1d)
    assert read(torch.zeros(1, 3, 7)).shape == (1, 2, 14)
    assert type(copy.deepcopy(OURS[1](3, 2, 4, 2))) is OURS[1]


def test_the_fast_forms_are_used_and_layers_are_one_graph() -> None:
    torch.manual_seed(0)
    ours, x = OURS[2](64, 3, 4, 2, 1), torch.randn(1, 64, 24, 24)
    torch._dynamo.reset()
    assert torch._dynamo.explain(ours)(x).graph_break_count == 0
    exported = torch.export.export(ours.eval(), (x,)).module()(x)
    torch.testing.assert_close(exported, ours(x), rtol=1e-4, atol=1e-5)
    half = copy.deepcopy(ours).to(torch.bfloat16)(x.to(torch.bfloat16))
    torch.testing.assert_close(half.float(), ours(x), rtol=0.05, atol=0.05)


OLD_NAMES: dict[str, Any] = {
    "SubPixel2d": lambda: uc.upsample.SubPixel2d(4, 3, factor=3),
    "ResizeConv1d": lambda: uc.upsample.ResizeConv1d(4, 3, factor=3),
    "Bilinear2d": lambda: uc.upsample.Bilinear2d(4, factor=3),
    "icnr_": lambda: uc.upsample.icnr_(torch.empty(18, 3, 3, 3), factor=3),
    "equalised_phases_": lambda: uc.upsample.equalised_phases_(torch.ones(18, 3, 3, 3), factor=3),
}


@pytest.mark.parametrize("name", OLD_NAMES)
def test_a_scale_factor_may_still_be_called_a_factor(name: str) -> None:
    with pytest.warns(DeprecationWarning, match="factor is scale_factor now"):
        made = OLD_NAMES[name]()
    if isinstance(made, nn.Module):
        assert made.scale_factor == (3,) * made.axes
        with pytest.warns(DeprecationWarning, match=r"\.factor is scale_factor now"):
            assert made.factor == made.scale_factor
        assert "scale_factor=(3" in repr(made)
    with pytest.warns(DeprecationWarning, match="factor is upscale_factor now"):
        assert uc.upsample.pixel_shuffle(torch.zeros(1, 4, 3), factor=2).shape == (1, 2, 6)
    with pytest.raises(UnconvError, match="SubPixel2d: factor and scale_factor are one argument"):
        uc.upsample.SubPixel2d(4, 3, factor=3, scale_factor=3)


@pytest.mark.parametrize("word", ["sub-pixel", "subpixel", "sub_pixel", "pixel-shuffle", "PixelShuffle"])
def test_sub_pixel_is_one_word_and_others_are_taken(word: str) -> None:
    assert uc.upsample.upsampler(word, 4, 3).name == "sub-pixel"
    layer = nn.ConvTranspose2d(3, 2, 4, 2, 1)
    x = torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(uc.upsample.convert(layer, word)(x), layer(x), rtol=1e-4, atol=1e-5)
    if word == "subpixel":
        assert uc.upsample.upsampler("subpixel-icnr", 4, 3).name == "sub-pixel-icnr"

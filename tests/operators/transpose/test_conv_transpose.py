"""``conv_transpose`` against torch's own operator: its samples, every form, every way of using an operator."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor
from torch.autograd import forward_ad

import unconv as uc
from tests.operators.strategies import TransposeCase, transpose_cases
from unconv.operators.transpose import conv_transpose as transpose, fast as transpose_fast, forms as transpose_forms
from unconv.operators.transpose.arguments import TransposeArguments, resolve
from unconv.operators.transpose.choice import choose_form
from unconv.operators.transpose.fast import ChosenForm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

TORCH = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
FORMS = ("subpixel", "mixed", "scatter", "gather")
READABLE: dict[str, Callable[..., Tensor]] = {
    name: getattr(transpose_forms, f"{name}_form") for name in ("zero_insertion", "scatter", "gather", "subpixel")
}
FAST_SHAPES = {
    "subpixel": ((8, 64, 32, 32), (64, 3, 4, 4), {"stride": 2, "padding": 1}),
    "mixed": ((2, 64, 56, 56), (64, 3, 7, 7), {"stride": 2, "padding": 3, "output_padding": 1}),
    "scatter": ((4, 256, 24, 24), (256, 1, 3, 3), {"padding": 1}),
    "gather": ((1, 21, 12, 12), (21, 21, 64, 64), {"stride": 32}),
    "torch": ((1, 64, 16, 16), (64, 64, 4, 4), {"stride": 2, "padding": 1}),
}


def samples(dimensions: int, dtype: torch.dtype) -> list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]]:
    """PyTorch's own samples for its operator tests."""
    (info,) = [op for op in op_db if op.name == f"nn.functional.conv_transpose{dimensions}d"]
    return [
        (s.input, s.args, s.kwargs) for s in info.sample_inputs("cpu", dtype, requires_grad=dtype.is_floating_point)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bfloat16])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_torchs_own_samples_pass(dimensions: int, dtype: torch.dtype) -> None:
    found = samples(dimensions, dtype)
    assert len(found) >= 5
    for x, arguments, options in found:
        expected = TORCH[dimensions](x, *arguments, **options)
        ours = uc.conv_transpose(x, *arguments, **options)
        if dtype == torch.bfloat16 and options.get("groups", 1) == len(arguments[0]):
            continue  # depthwise: torch rounds every sum, ours is rounded once; it has a test of its own
        # The bias of groups is added last.
        exactly = {"rtol": 0, "atol": 0} if options.get("groups", 1) == 1 else {}
        torch.testing.assert_close(ours, expected, **exactly)
        if x.requires_grad:
            cotangent = torch.randn_like(expected)
            inputs = [t for t in (x, *arguments) if isinstance(t, Tensor) and t.requires_grad]
            torch.testing.assert_close(
                torch.autograd.grad(ours, inputs, cotangent), torch.autograd.grad(expected, inputs, cotangent)
            )


def tensors_of(case: TransposeCase, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    channels = case.groups * case.in_per_group
    x = torch.randn(2, channels, *case.input_size, dtype=dtype)
    weight = torch.randn(channels, case.out_per_group, *case.kernel_size, dtype=dtype)
    return x, weight, torch.randn(case.groups * case.out_per_group, dtype=dtype)


def plain(case: TransposeCase) -> TransposeCase:
    """The case without groups and dilation, its output padding and padding within what is then allowed."""
    extra = tuple(min(a, s - 1) for a, s in zip(case.output_padding, case.stride, strict=True))
    rows = zip(case.padding, case.kernel_size, strict=True)
    return replace(
        case,
        groups=1,
        dilation=(1,) * len(extra),
        output_padding=extra,
        padding=tuple(min(p, (k - 1) // 2) for p, k in rows),
    )


def options_of(case: TransposeCase) -> tuple[Any, ...]:
    return (case.stride, case.padding, case.output_padding, case.groups, case.dilation)


@pytest.mark.parametrize("form", READABLE)
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_readable_forms_all_equal_torch(form: str, dimensions: int) -> None:
    """Zero insertion, scatter, gather and sub-pixel add up the same products."""

    @settings(max_examples=60, deadline=None)
    @given(transpose_cases(dimensions))
    def check(case: TransposeCase) -> None:
        x, weight, bias = tensors_of(case)
        expected = TORCH[dimensions](x, weight, bias, *options_of(case))
        arguments = resolve(x, weight, bias, *options_of(case))
        torch.testing.assert_close(READABLE[form](x, weight, bias, arguments), expected)

    check()


@pytest.mark.parametrize(("form", "dimensions"), [(f, n) for f in FORMS for n in (1, 2, 3) if f != "mixed" or n > 1])
def test_fast_forms_equal_torch_with_gradients(form: str, dimensions: int) -> None:
    """Also where the rule would never choose them; mixed needs a second axis, and like gather knows no groups."""

    @settings(max_examples=60, deadline=None)
    @given(transpose_cases(dimensions), st.booleans())
    def check(case: TransposeCase, last: bool) -> None:
        if form in ("gather", "mixed"):
            case = plain(case)
        x, weight, bias = tensors_of(case)
        if last and dimensions > 1:
            x = x.contiguous(memory_format=torch.channels_last if dimensions == 2 else torch.channels_last_3d)
        inputs = [t.requires_grad_() for t in (x, weight, bias)]
        expected = TORCH[dimensions](*inputs, *options_of(case))
        ours = ChosenForm.apply(*inputs, form, resolve(*inputs, *options_of(case)))
        torch.testing.assert_close(ours, expected)
        cotangent = torch.randn_like(expected)
        torch.testing.assert_close(
            torch.autograd.grad(ours, inputs, cotangent), torch.autograd.grad(expected, inputs, cotangent)
        )

    check()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # torch's own forward mode
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_first_and_second_gradients_are_right(form: str, stride: int) -> None:
    arguments = TransposeArguments((stride, stride), (1, 0), (0, 0), (1, 1), groups=1)
    inputs = tuple(
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 2, 3, 2), (2, 2, 3, 2), (2,))
    )

    def run(*tensors: Tensor) -> Tensor:
        return ChosenForm.apply(*tensors, form, arguments)

    assert torch.autograd.gradcheck(run, inputs, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_gather_has_gradients_where_padding_removes_most_taps(dimensions: int) -> None:
    shape = (1,) * (dimensions - 1)
    inputs = (
        torch.randn(1, 1, *shape, 1, dtype=torch.float64, requires_grad=True),
        torch.randn(1, 1, *shape, 5, dtype=torch.float64, requires_grad=True),
    )
    options = resolve(*inputs, None, 1, (*(0,) * (dimensions - 1), 2), 0, 1, 1)
    assert torch.autograd.gradcheck(lambda x, weight: ChosenForm.apply(x, weight, None, "gather", options), inputs)


@pytest.mark.parametrize("piece", [1, 50, 400])
@pytest.mark.parametrize("stride", [1, 2])
def test_scatter_in_pieces_is_scatter(monkeypatch: pytest.MonkeyPatch, piece: int, stride: int) -> None:
    """One row at a time, some rows, or some images: strips overlap and add up."""
    monkeypatch.setattr(transpose_fast, "PIECE", piece)
    x, weight, bias = (torch.randn(shape, dtype=torch.float64) for shape in ((5, 2, 4, 3), (2, 2, 3, 3), (2,)))
    arguments = resolve(x, weight, bias, stride, 1, stride - 1, 1, 1)
    ours = transpose_fast.scatter_in_pieces(x, weight, bias, arguments)
    torch.testing.assert_close(ours, F.conv_transpose2d(x, weight, bias, stride, 1, stride - 1))


@pytest.mark.parametrize("form", FAST_SHAPES)
def test_rule_reaches_every_form_and_results_are_torchs(form: str) -> None:
    x_shape, weight_shape, options = FAST_SHAPES[form]
    x, weight = torch.randn(x_shape, requires_grad=True), torch.randn(weight_shape, requires_grad=True)
    given = (options.get("stride", 1), options.get("padding", 0), options.get("output_padding", 0))
    arguments = resolve(x, weight, None, *given, 1, 1)
    assert choose_form(weight.shape, arguments, channels_last=True, input_shape=x.shape) == form
    last = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    for given_x in (x, last):
        # without a gradient the same form runs outside autograd
        with torch.no_grad():
            without = uc.conv_transpose(given_x, weight, **options)
        torch.testing.assert_close(without, uc.conv_transpose(given_x, weight, **options).detach(), rtol=0, atol=0)
        expected = F.conv_transpose2d(given_x, weight, **options)
        ours = uc.conv_transpose(given_x, weight, **options)
        scale = expected.abs().max().item()
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5 * scale)
        # where one channel comes out both formats are the same memory, and strides may differ
        assert ours.is_contiguous(memory_format=torch.channels_last) == expected.is_contiguous(
            memory_format=torch.channels_last
        )
        cotangent = torch.randn_like(expected)
        for one, two in zip(
            torch.autograd.grad(ours, (given_x, weight), cotangent),
            torch.autograd.grad(expected, (given_x, weight), cotangent),
            strict=True,
        ):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5 * two.abs().max().item())


def test_one_sample_without_a_batch_axis() -> None:
    x, weight = torch.randn(64, 32, 32), torch.randn(64, 3, 4, 4)
    torch.testing.assert_close(
        uc.conv_transpose(x, weight, stride=2), F.conv_transpose2d(x, weight, stride=2), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("form", FAST_SHAPES)
def test_stays_in_one_compiled_graph_for_changing_sizes(form: str) -> None:
    x_shape, weight_shape, options = FAST_SHAPES[form]
    weight = torch.randn(weight_shape)
    compiled = torch.compile(
        lambda x: uc.conv_transpose(x, weight, **options), backend="aot_eager", fullgraph=True, dynamic=True
    )
    for extra in (0, 3):
        x = torch.randn(*x_shape[:2], x_shape[2] + extra, x_shape[3], requires_grad=True)
        expected = F.conv_transpose2d(x, weight, **options)
        ours = compiled(x)
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
        (one,) = torch.autograd.grad(ours.sum(), x)
        (two,) = torch.autograd.grad(expected.sum(), x)
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5 * two.abs().max().item())


class Up(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(64, 3, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return uc.conv_transpose(x, self.weight, stride=2, padding=1)


def test_exports_as_torchs_operator() -> None:
    x = torch.randn(1, 64, 32, 32)
    module = Up().eval()
    program = torch.export.export(module, (x,))
    names = [str(node.target) for node in program.graph.nodes]
    assert not any("unconv" in name for name in names)
    torch.testing.assert_close(program.module()(x), module(x), rtol=1e-4, atol=1e-4)


def test_autocast_is_torchs() -> None:
    x, weight = torch.randn(1, 64, 32, 32), torch.randn(64, 3, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, expected = uc.conv_transpose(x, weight, stride=2), F.conv_transpose2d(x, weight, stride=2)
    assert ours.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(ours, expected, rtol=0, atol=0)


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("by", ["bfloat16", "float16", "autocast"])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_depthwise_in_half_precision_is_rounded_once(dimensions: int, by: str, last: bool) -> None:
    dtype = torch.float16 if by == "float16" else torch.bfloat16
    layout = {1: None, 2: torch.channels_last, 3: torch.channels_last_3d}[dimensions] if last else None
    x = torch.randn(2, 6, *(5, 7, 3)[:dimensions]).to(dtype)
    weight, bias = torch.randn(6, 1, *(4, 3, 2)[:dimensions]).to(dtype), torch.randn(6).to(dtype)
    if layout is not None:
        x = x.contiguous(memory_format=layout)
    arguments: dict[str, Any] = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 6}
    exact = [tensor.double().requires_grad_() for tensor in (x, weight, bias)]
    expected = TORCH[dimensions](*exact, **arguments)
    given_ = [(t.float() if by == "autocast" else t).detach().requires_grad_() for t in (x, weight, bias)]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=by == "autocast"):
        ours = uc.conv_transpose(*given_, **arguments)
        layout_of_torch = TORCH[dimensions](*given_, **arguments).stride()
    assert ours.dtype == dtype
    # Without a kernel torch forgets the layout of volumes: always in float16, in bfloat16 on some processors.
    kept = ours.is_contiguous(memory_format=layout or torch.contiguous_format)
    assert ours.stride() == layout_of_torch or (dimensions == 3 and kept)
    # Half a unit in the last place: the one rounding.
    torch.testing.assert_close(ours.double(), expected, rtol=torch.finfo(dtype).eps / 2 * 1.01, atol=1e-5)
    cotangent = torch.randn_like(expected)
    for own, right in zip(
        torch.autograd.grad(ours, given_, cotangent.to(dtype)),
        torch.autograd.grad(expected, exact, cotangent.to(dtype).double()),
        strict=True,
    ):
        assert own.shape == right.shape
        torch.testing.assert_close(own.double(), right, rtol=2 * torch.finfo(dtype).eps, atol=1e-4)


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("by", ["bfloat16", "float16", "autocast", "autocast between layers"])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_bias_learns_in_half_precision_as_with_torch(
    monkeypatch: pytest.MonkeyPatch, dimensions: int, by: str, last: bool
) -> None:
    monkeypatch.setattr(transpose, "_LEAST_WORK", 0)
    used = []
    summed = transpose._bias_summed
    monkeypatch.setattr(transpose, "_bias_summed", lambda *given: (used.append(1), summed(*given))[1])
    dtype = torch.float16 if by == "float16" else torch.bfloat16
    sizes = torch.randn(2, 5, *(5, 7, 3)[:dimensions]), torch.randn(5, 4, *(4, 3, 2)[:dimensions]), torch.randn(4)
    tensors = [tensor if "autocast" in by else tensor.to(dtype) for tensor in sizes]
    if by == "autocast between layers":
        tensors[0] = tensors[0].to(dtype)
    if last and dimensions > 1:
        layout = torch.channels_last if dimensions == 2 else torch.channels_last_3d
        tensors[0] = tensors[0].contiguous(memory_format=layout)
    found = []
    for call in (uc.conv_transpose, TORCH[dimensions]):
        own = [tensor.clone().requires_grad_() for tensor in tensors]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled="autocast" in by):
            y = call(*own, stride=2, padding=1, output_padding=1)
        gradients = torch.autograd.grad(y.float().square().mean(), own, create_graph=True)
        further = torch.autograd.grad(sum(one.float().square().mean() for one in gradients), own)
        found.append((y, *gradients, *further))
    assert used == [1]
    assert found[0][0].stride() == found[1][0].stride()
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype
        scale = float(theirs.detach().abs().max())
        torch.testing.assert_close(ours, theirs, rtol=0, atol=4 * torch.finfo(dtype).eps * scale)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("groups", "per_group"), [(6, 1), (6, 2), (2, 3)])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_bias_of_groups_is_torchs(dimensions: int, groups: int, per_group: int, dtype: torch.dtype) -> None:
    sizes, kernel = (5, 4, 3)[:dimensions], (3, 2, 2)[:dimensions]
    tensors = [torch.randn(2, 6, *sizes), torch.randn(6, per_group, *kernel), torch.randn(groups * per_group)]
    for unbatched in (False, True):
        own = [tensor.to(dtype).requires_grad_() for tensor in tensors]
        exact = [tensor.detach().double().requires_grad_() for tensor in own]
        ours, expected = (
            call(one[0][0] if unbatched else one[0], one[1], one[2], 2, 1, 1, groups)
            for call, one in ((uc.conv_transpose, own), (TORCH[dimensions], exact))
        )
        assert ours.dtype == dtype
        tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 0.05}[dtype]
        torch.testing.assert_close(ours.double(), expected, rtol=tolerance, atol=tolerance)
        found, right = (torch.autograd.grad(y.sum(), one) for y, one in ((ours, own), (expected, exact)))
        for gradient, theirs in zip(found, right, strict=True):
            torch.testing.assert_close(gradient.double(), theirs, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [torch.zeros(5), torch.zeros(1), torch.zeros(6).double(), torch.zeros(6, 1)])
def test_a_bias_that_does_not_fit_groups_is_refused(bias: Tensor, dtype: torch.dtype) -> None:
    given_ = bias.to(dtype) if bias.dtype is torch.float32 else bias
    with pytest.raises(uc.UnconvError):
        uc.conv_transpose(torch.ones(1, 6, 4, dtype=dtype), torch.ones(6, 1, 3, dtype=dtype), given_, groups=6)


def test_functional_transforms_pass_through() -> None:
    x, weight = torch.randn(3, 1, 64, 32, 32), torch.randn(64, 3, 4, 4)
    mapped = torch.vmap(lambda one: uc.conv_transpose(one, weight, stride=2))(x)
    expected = F.conv_transpose2d(x[:, 0], weight, stride=2)
    torch.testing.assert_close(mapped[:, 0], expected, rtol=1e-4, atol=1e-4)
    gradient = torch.func.grad(lambda w: uc.conv_transpose(x[0], w, stride=2).square().sum())(weight)
    direct = torch.func.grad(lambda w: F.conv_transpose2d(x[0], w, stride=2).square().sum())(weight)
    torch.testing.assert_close(gradient, direct, rtol=1e-3, atol=1e-4 * direct.abs().max().item())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # torch's own forward mode
def test_forward_mode_passes_through() -> None:
    x, weight = torch.randn(4, 64, 32, 32), torch.randn(64, 3, 4, 4)
    with forward_ad.dual_level():
        ours = forward_ad.unpack_dual(uc.conv_transpose(forward_ad.make_dual(x, x), weight, stride=2)).tangent
    torch.testing.assert_close(ours, F.conv_transpose2d(x, weight, stride=2), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("stride", [[2, 2], (2,), torch.Size([2, 2])])
def test_sequences_are_spelled_as_in_torch(stride: Any) -> None:
    x, weight = torch.randn(4, 64, 32, 32), torch.randn(64, 3, 4, 4)
    expected = F.conv_transpose2d(x, weight, stride=2)
    torch.testing.assert_close(uc.conv_transpose(x, weight, stride=stride), expected, rtol=1e-4, atol=1e-3)


def test_weight_changed_in_place_is_seen() -> None:
    x, weight = torch.randn(1, 64, 32, 32), torch.randn(64, 3, 4, 4)
    before = uc.conv_transpose(x, weight, stride=2)
    weight.mul_(2)
    torch.testing.assert_close(uc.conv_transpose(x, weight, stride=2), 2 * before, rtol=1e-4, atol=1e-4)


def test_small_calls_go_straight_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transpose, "_by_best_form", lambda *_: pytest.fail("a tiny call was not torch's"))
    uc.conv_transpose(torch.randn(1, 8, 8, 8), torch.randn(8, 3, 4, 4), stride=2, padding=1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: uc.conv_transpose(torch.ones(1, 3, 4, 4), torch.ones(2, 1, 3, 3)), "input has 3 channels"),
        (
            lambda: uc.conv_transpose(torch.ones(1, 2, 4), torch.ones(2, 1, 3), groups=3),
            "groups 3 does not divide the 2",
        ),
        (lambda: uc.conv_transpose(torch.ones(1, 2, 4), torch.ones(2, 1, 3), torch.ones(5)), "does not fit 1 output"),
        (lambda: uc.conv_transpose(torch.ones(1, 2, 4), torch.ones(2, 1, 3).double()), "convert one of them"),
        (lambda: uc.conv_transpose(torch.ones(1, 2, 4), torch.ones(2, 1, 3), stride=0), "stride 0 must be at least 1"),
        (lambda: uc.conv_transpose(torch.ones(1, 2, 4), torch.ones(2, 1, 3), output_padding=1), "output padding 1"),
        (lambda: uc.conv_transpose(torch.ones(2, 4), torch.ones(2, 1)), "1, 2 or 3 kernel sizes"),
        (lambda: uc.conv_transpose(torch.ones(4), torch.ones(2, 1, 3)), "does not fit a weight"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(call: Callable[[], Tensor], words: str) -> None:
    with pytest.raises(uc.UnconvError, match="conv_transpose: .*" + words) as refusal:
        call()
    assert "\n" not in str(refusal.value)

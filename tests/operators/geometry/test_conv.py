"""Sizes, relations and index sets against brute force, ONNX's rules and torch."""

from __future__ import annotations

import warnings
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

import unconv as uc
from tests.operators.strategies import ConvCase, TransposeCase, conv_cases, transpose_cases


def count_windows(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Slide the window and count the places where it fits."""
    padded = [None] * padding + list(range(size)) + [None] * padding
    return sum(start + dilation * (kernel - 1) < len(padded) for start in range(0, len(padded), stride))


EXHAUSTIVE = [
    (i, k, s, p, d)
    for i, k, s, d in product(range(1, 13), range(1, 7), range(1, 5), range(1, 4))
    for p in range(k)
    if d * (k - 1) + 1 <= i + 2 * p
]


def expected_conv_relation(k: int, s: int, p: int, d: int) -> int:
    """The table of facts, read from its special cases to its general one."""
    applies = {
        1: d == 1 and s == 1 and p == 0,
        3: d == 1 and s == 1 and k % 2 == 1 and p == k // 2,
        4: d == 1 and s == 1 and p == k - 1,
        2: d == 1 and s == 1,
        5: d == 1 and p == 0,
        6: d == 1,
        15: True,
    }
    return next(number for number, holds in applies.items() if holds)


def published_size(number: int, i: int, k: int, s: int, p: int, d: int, a: int = 0) -> int:
    """The guide's fifteen formulas, written out once more."""
    return {
        1: i - k + 1,
        2: i - k + 2 * p + 1,
        3: i,
        4: i + k - 1,
        5: (i - k) // s + 1,
        6: (i + 2 * p - k) // s + 1,
        7: (i - k) // s + 1,
        8: i + k - 1,
        9: i + (k - 1) - 2 * p,
        10: i,
        11: i - (k - 1),
        12: s * (i - 1) + k,
        13: s * (i - 1) + k - 2 * p,
        14: s * (i - 1) + a + k - 2 * p,
        15: (i + 2 * p - k - (k - 1) * (d - 1)) // s + 1,
    }[number]


def test_all_conv_relations_equal_brute_force() -> None:
    seen = set()
    for i, k, s, p, d in EXHAUSTIVE:
        geometry = uc.ConvGeometry(i, k, s, p, d)
        windows = count_windows(i, k, s, p, d)
        (number,) = geometry.relation
        assert geometry.output_size == (windows,)
        assert number == expected_conv_relation(k, s, p, d)
        assert published_size(number, i, k, s, p, d) == windows
        assert geometry.working[0].endswith(f"= {windows}")
        seen.add(number)
    assert seen == {1, 2, 3, 4, 5, 6, 15}


def test_all_transpose_relations_equal_the_size_that_the_convolution_came_from() -> None:
    """Relations 8–14: the transpose of every convolution leads back to its input size, by the published formula."""
    seen = set()
    for i, k, s, p, d in EXHAUSTIVE:
        convolution = uc.ConvGeometry(i, k, s, p, d)
        back = convolution.transpose()
        assert back.output_size == (i,)
        assert back.transpose() == convolution
        (number,), (o,), (a,) = back.relation, convolution.output_size, convolution.remainder
        if d > 1:
            assert number is None
            continue
        assert published_size(number, o, k, s, p, d, a) == i
        pairs = {1: {8}, 2: {9}, 3: {10}, 4: {11}, 5: {12, 14}, 6: {13, 14}}
        assert number in pairs[convolution.relation[0]]
        assert (number == 14) == (a > 0)
        seen.add(number)
    assert seen == set(range(8, 15))


def test_pooling_relation_equals_brute_force() -> None:
    for i, k, s in product(range(1, 13), range(1, 7), range(1, 5)):
        if k > i:
            continue
        for geometry in (uc.operators.MaxPoolGeometry(i, k, s), uc.operators.AvgPoolGeometry(i, k, s)):
            assert geometry.relation == (7,)
            assert geometry.output_size == (count_windows(i, k, s, 0, 1),) == (published_size(7, i, k, s, 0, 1),)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_connections_are_those_along_which_a_gradient_flows(data: st.DataObject) -> None:
    """inputs_of and outputs_of, per axis, against the non-zeros of autograd through torch's convolution."""
    case: ConvCase = data.draw(conv_cases(1))
    geometry = uc.ConvGeometry(case.input_size, case.kernel_size, case.stride, case.padding, case.dilation)
    x = torch.zeros(1, 1, *case.input_size, requires_grad=True)
    y = F.conv1d(x, torch.ones(1, 1, *case.kernel_size), None, case.stride, case.padding, case.dilation)
    connected = torch.stack([torch.autograd.grad(y[0, 0, o], x, retain_graph=True)[0][0, 0] for o in range(y.shape[2])])
    for o in range(y.shape[2]):
        assert geometry.inputs_of((o,)) == (tuple(connected[o].nonzero().flatten().tolist()),)
    for i in range(x.shape[2]):
        assert geometry.outputs_of((i,)) == (tuple(connected[:, i].nonzero().flatten().tolist()),)


@settings(max_examples=150, deadline=None)
@given(transpose_cases(1))
def test_transposed_connections_are_those_along_which_a_gradient_flows(case: TransposeCase) -> None:
    geometry = uc.ConvTransposeGeometry(
        case.input_size, case.kernel_size, case.stride, case.padding, case.output_padding, case.dilation
    )
    x = torch.zeros(1, 1, *case.input_size, requires_grad=True)
    weight = torch.ones(1, 1, *case.kernel_size)
    y = F.conv_transpose1d(x, weight, None, case.stride, case.padding, case.output_padding, 1, case.dilation)
    for o in range(y.shape[2]):
        flows = torch.autograd.grad(y[0, 0, o], x, retain_graph=True)[0][0, 0]
        assert geometry.inputs_of((o,)) == (tuple(flows.nonzero().flatten().tolist()),)
        start, stop = geometry.receptive_field.of((o,))[0]
        assert all(start <= i < stop for i in flows.nonzero().flatten().tolist())
    assert geometry.outputs_of((0,))[0] == tuple(o for o in range(y.shape[2]) if 0 in geometry.inputs_of((o,))[0])


@pytest.mark.parametrize("mode", ["same_upper", "same_lower"])
def test_same_padding_follows_onnx(mode: str) -> None:
    """Conv, auto_pad: o = ⌈i/s⌉, total = max(0, (o − 1)s + k̂ − i), the odd row at the named end."""
    for i, k, s, d in product(range(1, 12), range(1, 6), range(1, 5), range(1, 3)):
        geometry = uc.ConvGeometry(i, k, s, mode, d)
        assert geometry.output_size == (-(-i // s),)
        before, after = geometry.padding[0]
        total = max(0, (geometry.output_size[0] - 1) * s + d * (k - 1) + 1 - i)
        assert before + after == total
        assert after - before == (total % 2 if mode == "same_upper" else -(total % 2))
        up = uc.ConvTransposeGeometry(i, k, s, mode, dilation=d)
        assert up.output_size == (s * i,)


def test_same_equals_torch() -> None:
    for k, d in product(range(1, 6), range(1, 4)):
        weight = torch.randn(1, 1, k)
        x = torch.randn(1, 1, 9)
        C = uc.ConvOperator(weight, 9, padding="same", dilation=d)
        torch.testing.assert_close(C @ x, _torch_same(x, weight, d))


def _torch_same(x: torch.Tensor, weight: torch.Tensor, dilation: int) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
        return F.conv1d(x, weight, padding="same", dilation=dilation)


def test_ceil_mode_equals_torch() -> None:
    for i, k, s, p in product(range(1, 12), range(1, 6), range(1, 6), range(3)):
        if p > k // 2 or k > i + 2 * p:
            continue
        expected = F.max_pool1d(torch.zeros(1, 1, i), k, s, p, ceil_mode=True).shape[2]
        geometry = uc.operators.MaxPoolGeometry(i, k, s, p, ceil_mode=True)
        assert geometry.output_size == (expected,)
        assert geometry.relation == (None,)
        assert geometry.working[0].endswith(f"= {expected}")


def test_uneven_overlap_is_an_uneven_count_of_contributions() -> None:
    for k, s, d in product(range(1, 8), range(1, 5), range(1, 4)):
        size = 30
        weight = torch.ones(1, 1, k)
        counts = F.conv_transpose1d(torch.ones(1, 1, size), weight, stride=s, dilation=d)[0, 0]
        inner = counts[d * k : len(counts) - d * k]
        uneven = bool(inner.min() != inner.max())
        assert uc.ConvTransposeGeometry(size, k, s, dilation=d).uneven_overlap == (uneven,)


def test_one_argument_names_the_number_of_axes_for_all() -> None:
    assert uc.ConvGeometry(5, (3, 2)).output_size == (3, 4)
    assert uc.ConvGeometry((4, 5, 6), 2, padding=((0, 1), (0, 0), (1, 1))).output_size == (4, 4, 7)
    assert hash(uc.ConvGeometry(5, 3)) == hash(uc.ConvGeometry((5,), (3,)))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: uc.ConvGeometry(5, 7, padding=2, dilation=2),
            "conv: kernel 7 (13 with dilation 2) is larger than the padded input 9; "
            "increase padding or reduce dilation",
        ),
        (lambda: uc.ConvGeometry((5, 2), 3), "conv: kernel 3 is larger than the padded input 2 on axis 1"),
        (lambda: uc.ConvGeometry(0, 3), "conv: input size 0 must be at least 1"),
        (lambda: uc.ConvGeometry(5, 3, stride=0), "conv: stride 0 must be at least 1"),
        (lambda: uc.ConvGeometry(5, 3, padding=-1), "conv: padding -1 must be at least 0"),
        (lambda: uc.ConvGeometry(5, 2.5), "conv: kernel 2.5 is not a whole number"),
        (lambda: uc.ConvGeometry(5, True), "conv: kernel True is not a whole number"),
        (lambda: uc.ConvGeometry((5, 5), (3, 3, 3)), "conv: arguments speak of 2 and 3 spatial axes"),
        (lambda: uc.ConvGeometry((5,) * 4, 3), "conv: 4 spatial axes; there must be 1, 2 or 3"),
        (lambda: uc.ConvGeometry(5, 3, padding="full"), "conv: padding 'full' is not known"),
        (lambda: uc.ConvGeometry(5, 3, 2, padding="same"), "has no single meaning"),
        (lambda: uc.ConvGeometry((5, 5), 3, padding=((1, 2), (1, 2, 3))), "one (before, after) pair per axis"),
        (
            lambda: uc.ConvTransposeGeometry(3, 3, stride=2, output_padding=2),
            "transpose: output padding 2 must be smaller than the stride or the dilation, here 2",
        ),
        (lambda: uc.ConvTransposeGeometry(1, 3, padding=2), "removes the whole output (3 before padding)"),
        (lambda: uc.ConvTransposeGeometry(3, 3, 2, "same"), "has no single meaning"),
        (lambda: uc.ConvTransposeGeometry(3, 2, 1, 0, 2, 3).transpose(), "goes a whole stride past the kernel"),
        (lambda: uc.ConvGeometry(5, 3).inputs_of((3,)), "output position (3,) is outside the output of size (3,)"),
        (lambda: uc.ConvGeometry(5, 3).inputs_of(1), "output position 1 must be 1 whole numbers"),
        (lambda: uc.ConvGeometry(5, 3).outputs_of((1.5,)), "input position (1.5,) must be 1 whole numbers"),
        (
            lambda: uc.operators.matrix_structure(uc.ConvOperator(torch.ones(1, 1, 3), 5)),
            "not ConvOperator; an operator has one",
        ),
        (lambda: uc.solve_transpose(4, 8, max_kernel_size=0), "the largest kernel 0 and stride 8 must be at least 1"),
        (lambda: uc.operators.matrix_structure(uc.ConvGeometry(5, 3), 3, 2, 2), "groups 2 must divide the 3 input"),
    ],
)
def test_impossible_geometries_are_one_clear_line(call, line: str) -> None:
    with pytest.raises(uc.errors.GeometryError) as refusal:
        call()
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_solutions_lead_where_they_should_and_none_is_missing() -> None:
    found = uc.solve_transpose(5, 9, max_kernel_size=5, max_stride=3)
    brute = {
        (k, s, p, a)
        for k, s, p, a in product(range(1, 6), range(1, 4), range(5), range(3))
        if p < k and a < s and s * 4 + k - 2 * p + a == 9
    }
    assert {(g.kernel_size[0], g.stride[0], g.padding[0][0], g.output_padding[0]) for g in found} == brute
    assert all(g.output_size == (9,) for g in found)


def test_best_solution_overlaps_evenly_where_one_does() -> None:
    for start, factor in product((7, 44), (2, 3, 4)):
        best = uc.solve_transpose(start, start * factor)[0]
        assert best.output_size == (start * factor,)
        assert best.uneven_overlap == (False,)
        assert best.output_padding == (0,)
    assert uc.solve_transpose(4, 1000) == []


def test_solutions_share_kernel_and_stride_over_the_axes_where_they_can() -> None:
    best = uc.solve_transpose((7, 10), (14, 20))[0]
    assert best.output_size == (14, 20)
    assert len(set(best.kernel_size)) == len(set(best.stride)) == 1
    stretched = uc.solve_transpose((7, 10), (14, 40))[0]
    assert stretched.output_size == (14, 40)


def test_numbers_of_the_examples_everyone_knows() -> None:
    known = uc.operators.matrix_structure(uc.ConvGeometry((4, 4), 3))
    assert (known.shape, known.nonzeros, known.distinct_weights, known.dense_weights) == ((4, 16), 36, 9, 64)
    picture = uc.ConvGeometry((32, 32), 5)
    assert uc.operators.matrix_structure(picture, in_channels=3, out_channels=2).shape == (2 * 28 * 28, 3 * 32 * 32)
    assert uc.operators.matrix_structure(picture, in_channels=3, out_channels=2).distinct_weights == 2 * 75
    assert uc.operators.matrix_structure(uc.ConvGeometry((28, 28), 28), 1, 15).distinct_weights == 11_760
    assert uc.operators.matrix_structure(uc.ConvGeometry((28, 28), 28), 3, 15).distinct_weights == 35_280


@settings(max_examples=150, deadline=None)
@given(conv_cases(2))
def test_structure_counts_what_the_matrix_holds(case: ConvCase) -> None:
    weight = torch.arange(1.0, 1 + case.out_channels * case.in_per_group * case.kernel_size[0] * case.kernel_size[1])
    weight = weight.reshape(case.out_channels, case.in_per_group, *case.kernel_size).double()
    C = uc.ConvOperator(weight, case.input_size, case.stride, case.padding, case.dilation, case.groups)
    structure = uc.operators.matrix_structure(C.geometry, case.in_channels, case.out_channels, case.groups)
    matrix = C.matrix()
    assert structure.shape == tuple(matrix.shape)
    assert structure.nonzeros == matrix._nnz()
    assert structure.distinct_weights == len(matrix.values().unique())


def test_structure_of_a_huge_layer_is_counted_not_enumerated() -> None:
    size = 10**12
    huge = uc.operators.matrix_structure(uc.ConvGeometry((size, size), 3, padding=1))
    assert huge.nonzeros == (3 * size - 2) ** 2

"""Factorized layers cost what the paper's formulas say, connect what they say, and can stand for one another."""

from __future__ import annotations

from functools import partial
from itertools import product
from math import prod

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from scipy.signal import correlate2d

import unconv as uc
from unconv.data.fashion import fashion
from unconv.errors import ModelError
from unconv.models.factorized import KINDS, FactorizedNet, network_macs, torus_of, width_for
from unconv.models.factorized_layers import (
    IntraChannel,
    SingleIntraChannel,
    SpatialBottleneck,
    Topological,
    TorusProjection,
    bottleneck_macs,
    neighbours,
    single_macs,
    standard_macs,
    topological_macs,
)
from unconv.models.load.resolve import untrained_model
from unconv.train.data.examples import TensorExamples
from unconv.train.loop.loop import Settings, fit
from unconv.train.tasks.classify import scores

sides = st.integers(1, 12)
channels = st.integers(1, 12)
kernels = st.integers(1, 4)
tori = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=3).map(
    lambda pairs: (tuple(max(pair) for pair in pairs), tuple(min(pair) for pair in pairs))
)


def counted(layer: torch.nn.Module, shape: tuple[int, ...]) -> int:
    return sum(one.macs for one in uc.trace(layer, shape).layers)


@settings(deadline=None, max_examples=25)
@given(channels, kernels, sides, sides)
def test_macs_of_the_trace_are_those_of_the_formulas(n: int, k: int, height: int, width: int) -> None:
    size, shape = (height, width), (n, height, width)
    same = torch.nn.Conv2d(n, n, k, padding="same")
    assert counted(same, shape) == standard_macs(n, k, size) == height * width * n * n * k * k
    assert counted(SingleIntraChannel(n, k), shape) == single_macs(n, k, size) == height * width * (n * k * k + n * n)
    assert counted(SpatialBottleneck(n, k), shape) == bottleneck_macs(n, k, size)


@settings(deadline=None, max_examples=25)
@given(tori, kernels, sides, sides)
def test_macs_of_topological_subdivisioning_are_the_papers(sizes, k: int, height: int, width: int) -> None:
    torus, near = sizes
    n = prod(torus)
    found = counted(Topological(torus, k, near), (n, height, width))
    assert found == topological_macs(n, k, near, (height, width)) == height * width * (n * k * k + n * prod(near))


@settings(deadline=None, max_examples=25)
@given(channels, kernels, sides, sides)
def test_the_projection_of_a_bottleneck_runs_on_a_part_of_the_positions(
    n: int, k: int, rows: int, columns: int
) -> None:
    size = (k * rows, k * columns)
    # With k² a divisor of the positions nothing is rounded: 2n + n²/k² at each.
    assert bottleneck_macs(n, k, size) == prod(size) * 2 * n + prod(size) // k**2 * n**2


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(3, 9), st.integers(3, 9))
def test_single_layer_is_a_filter_of_each_map_plus_itself_projected(n: int, k: int, height: int, width: int) -> None:
    layer, x = SingleIntraChannel(n, k).double(), torch.rand(1, n, height, width, dtype=torch.float64)
    kernels = layer.spatial.conv.weight.detach().numpy()[:, 0]
    maps = [one + correlate2d(one, kernel, "same") for one, kernel in zip(x[0].numpy(), kernels, strict=True)]
    weight, bias = (one.detach().numpy() for one in (layer.project.weight[:, :, 0, 0], layer.project.bias))
    expected = np.einsum("oi,ihw->ohw", weight, maps) + bias[:, None, None]
    assert np.allclose(layer(x)[0].detach().numpy(), expected, atol=1e-12)


def test_the_residual_is_around_the_spatial_part() -> None:
    layer = SingleIntraChannel(4, 3)
    torch.nn.init.zeros_(layer.spatial.conv.weight)
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(layer(x), layer.project(x))
    assert torch.equal(IntraChannel(4, 3)(0 * x), 0 * x)


@settings(deadline=None, max_examples=25)
@given(tori)
def test_neighbours_are_the_box_around_a_map_on_the_torus(sizes) -> None:
    torus, near = sizes
    found = neighbours(torus, near)
    places = list(product(*map(range, torus)))
    for number, place in enumerate(places):
        box = product(*(range(at - (c - 1) // 2, at + c // 2 + 1) for at, c in zip(place, near, strict=True)))
        wrapped = {tuple(at % side for at, side in zip(one, torus, strict=True)) for one in box}
        assert {places[other] for other in found[number].tolist()} == wrapped
        assert len(found[number]) == prod(near) == len(wrapped)


@settings(deadline=None, max_examples=25)
@given(tori, st.integers(1, 3))
def test_a_torus_projection_is_a_dense_one_with_zeros(sizes, side: int) -> None:
    torus, near = sizes
    n = prod(torus)
    layer = TorusProjection(torus, near).double()
    dense = torch.zeros(n, n, dtype=torch.float64)
    for number, others in enumerate(neighbours(torus, near).tolist()):
        for place, other in enumerate(others):
            dense[number, other] = layer.weight.detach()[number, place]
    x = torch.rand(2, n, side, side, dtype=torch.float64)
    expected = F.conv2d(x, dense[:, :, None, None], layer.bias)
    for found in (layer(x), layer.dense(x), layer.gathered(x)):
        assert torch.allclose(found, expected, atol=1e-12)
    assert sum(one.numel() for one in layer.parameters()) == n * prod(near) + n
    assert int((dense != 0).sum()) <= n * prod(near)


@settings(deadline=None, max_examples=25)
@given(channels, kernels, sides, sides)
def test_a_bottleneck_comes_back_to_the_size_it_was_given(n: int, k: int, height: int, width: int) -> None:
    layer, x = SpatialBottleneck(n, k).double(), torch.rand(2, n, height, width, dtype=torch.float64)
    y = layer(x)
    assert y.shape == x.shape
    if height % k == width % k == 0:
        low = layer.project(F.conv2d(x, layer.down.weight, stride=k, groups=n))
        expected = F.conv_transpose2d(low, layer.up.weight, layer.up.bias, stride=k, groups=n)
        assert torch.allclose(y, expected, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 4), st.integers(1, 11), st.integers(1, 11))
def test_every_pixel_of_a_bottleneck_is_read_and_written(k: int, height: int, width: int) -> None:
    layer, x = (
        SpatialBottleneck(1, k).double(),
        torch.rand(1, 1, height, width, dtype=torch.float64, requires_grad=True),
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(0.5)
    y = layer(x) - layer.up.bias
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert bool((gradient > 0).all())
    assert bool((y > 0).all())


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_take_equal_macs(kind: str) -> None:
    model = FactorizedNet(kind)
    width = model.features.conv1.out_channels
    found = counted(model, (1, 28, 28))
    assert found == network_macs(kind, width)
    assert found == pytest.approx(counted(FactorizedNet("standard"), (1, 28, 28)), rel=0.05)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(KINDS), st.integers(1_000_000, 20_000_000))
def test_a_width_is_found_for_any_effort(kind: str, macs: int) -> None:
    width = width_for(kind, macs)
    off = abs(network_macs(kind, width) - macs)
    for other in range(max(width - 12, 1), width + 12):
        rows, columns = torus_of(other)
        if kind != "topological" or columns <= 2 * rows:
            assert off <= abs(network_macs(kind, other) - macs)
    # From one width to the next these networks grow by 12 in a hundred at most (17 maps).
    assert off <= 0.07 * macs


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 200))
def test_a_torus_holds_all_maps_and_is_nearest_to_a_square(width: int) -> None:
    rows, columns = torus_of(width)
    assert rows * columns == width
    assert rows <= columns
    assert not [n for n in range(rows + 1, columns) if width % n == 0 and n * n <= width]


def test_what_does_not_exist_is_one_line() -> None:
    for call, told in [
        (lambda: FactorizedNet("singel"), "kind 'singel' is unknown; .* did you mean single"),
        (lambda: width_for("standard", 10), "no width of the standard network takes about 10 MACs"),
        (lambda: neighbours((4, 4), (2,)), "neighbourhood 2 on a torus of 4×4; it needs as many sides"),
        (lambda: neighbours((4,), (5,)), "neighbourhood 5 on a torus of 4; .* each from 1 to that of the torus"),
        (lambda: neighbours((), ()), "neighbourhood no sides on a torus of no sides"),
        (lambda: untrained_model("factorized:fast", 10), "factorized:fast: no such variant; factorized has standard"),
    ]:
        with pytest.raises(ModelError, match=told) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_the_name_alone_is_the_single_kind() -> None:
    plain, single = untrained_model("factorized", 10), untrained_model("factorized:single", 10)
    assert (plain.name, single.name) == ("factorized", "factorized:single")
    assert all(
        torch.equal(one, two) for one, two in zip(plain.module.parameters(), single.module.parameters(), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_clothes(kind: str) -> None:
    torch.manual_seed(0)
    images, labels = fashion("test")
    images = untrained_model("factorized", 10).preprocess.normalise(images[:600].float() / 255)
    examples = [TensorExamples(images[part], labels[:600][part]) for part in (slice(0, 400), slice(400, None))]
    network = FactorizedNet(kind, width=16)
    fitted = fit(network, partial(scores, classes=10), *examples, Settings(epochs=5, batch_size=20, rate=0.01))
    # A tenth would be chance.
    assert fitted.history[-1].held_out["accuracy"] > 0.25

"""The network by hand against torch's autograd, layer by layer, and against the matrix written out."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from unconv.models import by_hand
from unconv.models.by_hand import (
    Convolution,
    MaxPooling,
    Squash,
    Subsampling,
    TransposedConvolution,
    accuracy,
    backward,
    col2im,
    cross_entropy,
    forward,
    im2col,
    matrix,
    output_size,
    small_lenet,
    train,
    windows,
)
from unconv.models.lenet5 import C3_TABLE, LeNet5

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}
geometries = st.tuples(
    st.integers(1, 7), st.integers(1, 7), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3)
).filter(lambda g: min(g[:2]) + 2 * g[4] >= g[2])


def by_torch(layer, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """What a layer means, said in torch's functions."""
    if isinstance(layer, Convolution):
        mask = torch.from_numpy(layer.connected()).to(x.dtype)
        return F.conv2d(x, weights["weight"] * mask, weights["bias"], layer.stride, layer.padding)
    if isinstance(layer, TransposedConvolution):
        return F.conv_transpose2d(x, weights["weight"], weights["bias"], layer.stride)
    if isinstance(layer, Subsampling):
        return 4 * F.avg_pool2d(x, 2) * weights["weight"][:, None, None] + weights["bias"][:, None, None]
    if isinstance(layer, MaxPooling):
        return F.max_pool2d(x, layer.kernel_size, layer.stride)
    return 1.7159 * torch.tanh(2 / 3 * x)


def close(ours: np.ndarray, theirs: Tensor) -> bool:
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    scale = max(1.0, float(np.abs(theirs).max(initial=0)))
    return bool(np.abs(ours - theirs).max(initial=0) <= TOLERANCE[ours.dtype.type] * scale)


def check(layer, shape: tuple[int, ...], dtype: type = np.float64) -> None:
    """Output, error of the input and errors of the weights are autograd's."""
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(size=shape).astype(dtype)
    weights = {name: one.astype(dtype) for name, one in layer.first(rng).items()}
    there = {name: torch.from_numpy(one.copy()).requires_grad_() for name, one in weights.items()}
    there_x = torch.from_numpy(x.copy()).requires_grad_()
    y, kept = layer.forward(weights, x)
    there_y = by_torch(layer, there, there_x)
    assert close(y, there_y)
    error = rng.normal(size=y.shape).astype(dtype)
    of_x, of_weights = layer.backward(weights, kept, error)
    theirs = torch.autograd.grad(there_y, [there_x, *there.values()], torch.from_numpy(error))
    assert close(of_x, theirs[0])
    assert of_weights.keys() == weights.keys()
    assert all(close(of_weights[name], one) for name, one in zip(there, theirs[1:], strict=True))


@settings(deadline=None, max_examples=60)
@given(geometries, st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.sampled_from([np.float64, np.float32]))
def test_convolution_is_autograds(geometry, inputs: int, outputs: int, batch: int, dtype: type) -> None:
    height, width, kernel_size, stride, padding = geometry
    check(Convolution(inputs, outputs, kernel_size, stride, padding), (batch, inputs, height, width), dtype)


@settings(deadline=None, max_examples=40)
@given(geometries, st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.sampled_from([np.float64, np.float32]))
def test_transposed_convolution_is_autograds(geometry, inputs: int, outputs: int, batch: int, dtype: type) -> None:
    height, width, kernel_size, stride, _ = geometry
    check(TransposedConvolution(inputs, outputs, kernel_size, stride), (batch, inputs, height, width), dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_other_layers_are_autograds(dtype: type) -> None:
    check(Convolution(6, 16, 5, table=C3_TABLE), (2, 6, 9, 8), dtype)
    check(Subsampling(3), (2, 3, 6, 4), dtype)
    check(MaxPooling(), (2, 3, 6, 4), dtype)
    check(MaxPooling(kernel_size=3, stride=2), (2, 3, 9, 7), dtype)
    check(Squash(), (2, 3, 6, 4), dtype)


@settings(deadline=None, max_examples=60)
@given(geometries, st.integers(1, 3), st.integers(1, 3))
def test_the_matrix_goes_forward_and_its_transpose_back(geometry, inputs: int, outputs: int) -> None:
    height, width, kernel_size, stride, padding = geometry
    layer, rng = Convolution(inputs, outputs, kernel_size, stride, padding), np.random.default_rng(0)
    weights, x = layer.first(rng), rng.normal(size=(1, inputs, height, width))
    C = matrix(weights["weight"], (height, width), stride, padding)
    y, kept = layer.forward({**weights, "bias": np.zeros(outputs)}, x)
    assert np.allclose(C @ x.ravel(), y.ravel(), atol=1e-12)
    error = rng.normal(size=y.shape)
    assert np.allclose(C.T @ error.ravel(), layer.backward(weights, kept, error)[0].ravel(), atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(geometries, st.integers(1, 2))
def test_reading_and_writing_are_transposes_and_torchs(geometry, channels: int) -> None:
    height, width, kernel_size, stride, padding = geometry
    rng, index = np.random.default_rng(1), windows((height, width), kernel_size, stride, padding)
    x = rng.normal(size=(1, channels, height, width))
    columns = im2col(x, index)
    told = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    assert np.array_equal(columns.reshape(1, -1, index.shape[1]), F.unfold(torch.from_numpy(x), **told).numpy())
    other = rng.normal(size=columns.shape)
    folded = F.fold(torch.from_numpy(other.reshape(1, -1, index.shape[1])), (height, width), **told)
    assert np.allclose(col2im(other, index, (height, width)), folded.numpy(), atol=1e-12)
    assert output_size((height, width), kernel_size, stride, padding) == tuple(
        F.conv2d(
            torch.zeros(1, 1, height, width),
            torch.zeros(1, 1, kernel_size, kernel_size),
            **{name: told[name] for name in ("stride", "padding")},
        ).shape[2:]
    )


def test_cross_entropy_is_torchs() -> None:
    rng = np.random.default_rng(2)
    scores, labels = 30 * rng.normal(size=(7, 5)), rng.integers(0, 5, 7)
    there = torch.from_numpy(scores).requires_grad_()
    theirs = F.cross_entropy(there, torch.from_numpy(labels))
    theirs.backward()
    loss, error = cross_entropy(scores, labels)
    assert loss == pytest.approx(float(theirs.detach()), abs=1e-12)
    assert close(error, there.grad)
    assert cross_entropy(np.array([[1000.0, 0.0]]), np.array([1]))[0] == 1000


def test_lenet5_by_hand_is_lenet5() -> None:
    """All layers of 1998 up to F6, with the weights of the torch network: outputs and every gradient."""
    theirs = LeNet5().double()
    layers = [
        *(Convolution(1, 6, 5), Squash(), Subsampling(6), Squash()),
        *(Convolution(6, 16, 5, table=C3_TABLE), Squash(), Subsampling(16), Squash()),
        *(Convolution(16, 120, 5), Squash(), Convolution(120, 84, 1), Squash()),
    ]
    named = dict([*theirs.features.named_children(), *theirs.classifier.named_children()])
    weights = []
    for name in ("c1", "", "s2", "", "c3", "", "s4", "", "c5", "", "f6", ""):
        own = {key: one.detach().numpy() for key, one in named[name].named_parameters()} if name else {}
        if name == "c3":
            own["weight"] = named[name].dense().detach().numpy()
        elif name == "f6":
            own["weight"] = own["weight"][:, :, None, None]
        weights.append(own)
    x = np.random.default_rng(0).normal(size=(3, 1, 32, 32))
    there = torch.from_numpy(x).requires_grad_()
    value, steps = there, []
    for name, part in [*theirs.features.named_children(), *theirs.classifier.named_children()][:-1]:
        value = part(value)
        if name != "flatten":
            steps.append(value)
    here = x
    for layer, own, step in zip(layers, weights, steps, strict=True):
        here = layer.forward(own, here)[0]
        assert np.allclose(here.reshape(step.shape), step.detach().numpy(), rtol=0, atol=1e-10)
    y, kept = forward(layers, weights, x)
    error = np.random.default_rng(1).normal(size=y.shape)
    value.backward(torch.from_numpy(error[:, :, 0, 0]))
    of_x, errors = backward(layers, weights, kept, error)
    assert close(of_x, there.grad)
    for number, name in [(0, "c1"), (2, "s2"), (6, "s4"), (8, "c5"), (10, "f6")]:
        for key, one in named[name].named_parameters():
            assert close(errors[number][key].reshape(one.shape), one.grad), (name, key)
    c3 = named["c3"]
    assert np.allclose(errors[4]["weight"][c3.outputs, c3.inputs], c3.weight.grad.numpy(), rtol=0, atol=1e-10)
    assert np.allclose(errors[4]["bias"], c3.bias.grad.numpy(), rtol=0, atol=1e-10)


def test_digits_are_learnt_within_seconds() -> None:
    digits = load_digits()
    images = digits.images[:, None] / 8 - 1
    parts = train_test_split(images, digits.target, test_size=0.25, stratify=digits.target, random_state=0)
    learn, hold, names, held = parts
    layers = small_lenet()
    losses, weights = zip(*train(layers, learn.astype(np.float32), names), strict=True)
    assert losses[-1] < 0.1 * losses[0]
    assert accuracy(layers, weights[-1], hold.astype(np.float32), held) >= 0.96
    assert all(one.dtype == np.float32 for own in weights[-1] for one in own.values())


def test_what_the_table_leaves_out_stays_left_out() -> None:
    layers = (Convolution(1, 6, 5), Convolution(6, 16, 4, table=C3_TABLE), Convolution(16, 10, 1))
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(64, 1, 8, 8)), rng.integers(0, 10, 64)
    (_, first), (_, second) = train(layers, images, labels, epochs=2)
    assert np.any(first[1]["weight"] != second[1]["weight"])
    assert not np.any(second[1]["weight"] * (1 - layers[1].connected()))
    assert int(layers[1].connected().sum()) == 60


def test_nothing_but_numpy_is_imported() -> None:
    check = f"import {by_hand.__name__}, sys; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]

"""Sizes of upsampling layers: paddings that a finding names give the size that it says, and SAME is a gradient."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from unconv.network.audit.audit import audit


@settings(max_examples=25, deadline=None)
@given(kernel=st.integers(1, 12), stride=st.integers(2, 6), padding=st.integers(0, 5), size=st.integers(8, 11))
def test_paddings_that_are_named_give_a_multiple(kernel: int, stride: int, padding: int, size: int) -> None:
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding=padding)
    found = {one.rule: one for one in audit(layer, (1, size), measure=False).findings}
    output = layer(torch.zeros(1, 1, size)).shape[2]
    finding = found.get("misses-multiple")
    if output % stride == 0 or "misses-input" in found:
        assert finding is None
        return
    assert finding is not None or output == size
    if finding is None:
        return
    more = output - stride * size
    assert finding.message == f"upsamples by {stride} and comes to {stride}n {'+' if more > 0 else '-'} {abs(more)}"
    pads = re.fullmatch(r"padding=(\d+), output_padding=(\d+) gives \d+n", finding.fix)
    if pads:
        mended = nn.ConvTranspose1d(1, 1, kernel, stride, padding=int(pads[1]), output_padding=int(pads[2]))
        assert mended(torch.zeros(1, 1, size)).shape[2] == stride * size
        assert "misses-multiple" not in {one.rule for one in audit(mended, (1, size), measure=False).findings}


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (4, 1), (4, 2), (5, 2), (6, 2)])
def test_paddings_that_are_named_give_the_inputs_size(kernel: int, padding: int) -> None:
    down = nn.Conv2d(1, 1, 3, stride=2, padding=1)
    model = nn.Sequential(down, nn.ConvTranspose2d(1, 1, kernel, stride=2, padding=padding))
    for size in (28, 29):
        found = [one for one in audit(model, (1, size, size), measure=False).findings if one.rule == "misses-input"]
        output = model(torch.zeros(1, 1, size, size)).shape[2]
        assert bool(found) is (abs(output - size) == 1)
        for finding in found:
            assert finding.message.startswith(f"{size}×{size} in, {output}×{output} out")
            named = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", finding.fix)}
            up = nn.ConvTranspose2d(1, 1, kernel, stride=2, **{"padding": padding, **named})
            assert nn.Sequential(down, up)(torch.zeros(1, 1, size, size)).shape[2:] == (size, size)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "more"),
    [(3, 2, 1, 1), (4, 2, 1, 0), (5, 2, 2, 1), (10, 5, 3, 1), (7, 4, 2, 1), (5, 3, 1, 0), (2, 3, 0, 1)],
)
def test_same_of_a_transposed_layer_is_the_gradient_of_the_same_of_tensorflow(
    kernel: int, stride: int, padding: int, more: int
) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding=padding, output_padding=more, bias=False)
    y = torch.randn(1, 1, 6)
    # SAME of TensorFlow for a strided layer: of all padding the smaller half in front.
    x = torch.randn(1, 1, 6 * stride, requires_grad=True)
    total = max((6 - 1) * stride + kernel - 6 * stride, 0)
    forward = F.conv1d(F.pad(x, (total // 2, total - total // 2)), layer.weight, stride=stride)
    (wanted,) = torch.autograd.grad(forward, x, y)
    found = [one for one in audit(layer, (1, 6), measure=False).findings if one.rule == "same-differs"]
    assert bool(found) is not torch.allclose(layer(y), wanted, atol=1e-6)
    for finding in found:
        cells = re.search(r"y\[\.\.\., (\d+):(-?\d*)\]", finding.fix)
        assert cells is not None
        plain = F.conv_transpose1d(y, layer.weight, stride=stride)
        torch.testing.assert_close(plain[..., int(cells[1]) : int(cells[2]) if cells[2] else None], wanted)

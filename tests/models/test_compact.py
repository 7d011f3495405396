"""The small network: sizes, where its units look, learning, and its name."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F

import unconv as uc
from unconv.models.compact import CHANNELS, Compact


def test_parameters_are_those_of_the_layer_table() -> None:
    ends = (3, *CHANNELS)
    convolutions = [pair for one, two in pairwise(ends) for pair in ((one, two), (two, two))]
    assert len(convolutions) == 10
    table = sum(9 * inputs * outputs + 2 * outputs for inputs, outputs in convolutions)
    model = Compact(7)
    assert sum(one.numel() for one in model.features.parameters()) == table
    assert sum(one.numel() for one in model.parameters()) == table + 160 * 7 + 7


def test_each_stage_halves_rounding_up_and_looks_at_its_pixels() -> None:
    graph = uc.trace(Compact(7), (3, 96, 83))
    for number, channels in enumerate(CHANNELS, start=1):
        last = graph[f"features.relu{number}_2"]
        stride = 2**number
        assert last.output_shape == (channels, -(-96 // stride), -(-83 // stride))
        for axis in last.receptive_field.axes:
            start, stop = axis.of(3)
            assert axis.stride == stride
            assert (start + stop - 1) / 2 == 3 * stride


def test_pictures_of_any_size_are_classified() -> None:
    with torch.device("meta"):
        model = Compact(7).eval()
        for size in range(1, 301, 3):
            assert model(torch.zeros(2, 3, size, 301 - size)).shape == (2, 7)


def test_it_learns() -> None:
    torch.manual_seed(0)
    model, x = Compact(3).train(), torch.randn(12, 3, 40, 40)
    target = torch.arange(12) % 3
    x += target[:, None, None, None]
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(6):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(bool(one.grad.any()) for one in model.parameters() if one.grad is not None)


def test_it_has_a_name() -> None:
    loaded = uc.load_model("compact", random_weights=True)
    assert loaded.input_size == (3, 96, 96)
    found = uc.audit(loaded.module, loaded.input_size, measure=False)
    assert found.at_least("warning") == ()

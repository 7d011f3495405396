"""Values that follow from weights, buffers and constants alone are known to a trace, whatever is done to them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unconv.errors import ModelError
from unconv.network.trace.trace import trace


class Holds(nn.Module):
    """A weight and buffers, and a forward pass in which something depends on them."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("order", torch.tensor([2, 0, 1]))
        self.register_buffer("mask", torch.tensor([True, False, True]))
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("size", torch.tensor([12, 9]))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def cut(x: Tensor, condition: Any) -> Tensor:
    return x[..., :3].relu() if condition else x.relu()


def changed(order: Tensor, change: Callable[[Tensor], Any]) -> Tensor:
    change(order)
    return order


RUNS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "int of a sum": lambda m, x: F.interpolate(x, size=int(m.size.sum())),
    "list": lambda m, x: F.interpolate(x, size=(m.size + 1).tolist()),
    "numpy": lambda m, x: F.interpolate(x, size=[int(one) for one in (m.size + 1).numpy()]),
    "iterated": lambda m, x: F.interpolate(x, size=[int(one) for one in m.size * 2]),
    "mask": lambda m, x: x[:, m.mask],
    "mask made of two": lambda m, x: x[:, m.mask & ~(m.order > 1)],
    "nonzero": lambda m, x: x[:, m.mask.nonzero().squeeze(1)],
    "masked index": lambda m, x: x.index_select(1, m.order[m.order > 0]),
    "repeated": lambda m, x: x[:, torch.repeat_interleave(m.order, m.order)],
    "unique": lambda m, x: x[:, torch.unique(m.order)],
    "literal": lambda _, x: x[..., : int(torch.tensor([1, 2]).sum())],
    "arange": lambda _, x: x[..., : int(torch.arange(5).max())],
    "ones like": lambda _, x: x[..., : int(torch.ones_like(x[0, 0, 0]).sum()) - 1],
    "any": lambda m, x: cut(x, (m.conv.weight > 100).any()),
    "all close": lambda m, x: cut(x, torch.allclose(m.conv.weight, m.conv.weight * 2)),
    "equal": lambda m, x: cut(x, torch.equal(m.order, m.order + 0)),
    "norm": lambda m, x: cut(x, m.conv.weight.norm() > 0),
    "sorted": lambda m, x: x[..., : int(m.order.sort().values[1]) + 2],
    "split": lambda m, x: torch.cat(x.split([int(one) for one in m.order[m.order > 0]], 1)[:1], 1),
    "counted up": lambda m, x: cut(x, int(m.step.add_(1)) == 1),
    "counted up again": lambda m, x: (m.step.add_(1), m.step.mul_(3), cut(x, int(m.step) == 3))[2],
    "written": lambda m, x: x[..., : int(changed(m.order.clone(), lambda y: y.mul_(3))[0])],
    "written in part": lambda m, x: x[..., : int(changed(m.order.clone(), lambda y: y[1:].add_(4))[1])],
    "assigned": lambda m, x: x[..., : int(changed(m.order.clone(), lambda y: y.__setitem__(0, 5))[0])],
    "buffer written in part": lambda m, x: (m.order[0:1].mul_(3), x[..., : int(m.order.sum())])[1],
    "viewed before it is written": lambda m, x: x[..., : int([v := m.order[1:], m.order.fill_(4), v][2][0])],
    "written as a result": lambda m, x: x[..., : int(torch.add(m.order, 1, out=torch.zeros_like(m.order)).sum())],
    "result that was known": lambda m, x: [
        y := m.order.clone(),
        torch.mul(m.order, 2, out=y),
        x[..., : int(y.sum())],
    ][2],
    "filled": lambda _, x: F.interpolate(x, size=int(torch.empty(2).fill_(7).sum())),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_path_that_weights_decide_is_the_one_that_runs(name: str) -> None:
    model = Holds(RUNS[name]).eval()
    before = copy.deepcopy(model.state_dict())
    graph = trace(model, (3, 8, 8))
    assert all(torch.equal(one, before[key]) for key, one in model.state_dict().items())
    assert graph.returned is not None
    assert graph.values[graph.returned[0]].shape == model(torch.rand(1, 3, 8, 8)).shape
    assert graph.uncounted == ()


@pytest.mark.parametrize(
    "run",
    [
        lambda _, x: x[x > 0],
        lambda _, x: x if x.sum() > 0 else x * 2,
        lambda m, x: cut(x, int((m.step + x.sum()).item())),
        lambda m, x: (m.step.copy_(x.sum()), cut(x, int(m.step)))[1],
        lambda _, x: cut(x, torch.rand(1) > 0.5),
        lambda m, x: cut(x, int(torch.add(m.step, x.sum().long(), out=torch.zeros_like(m.step)))),
    ],
)
def test_what_the_input_or_chance_decides_is_not_known(run: Callable[[Any, Tensor], Tensor]) -> None:
    with pytest.raises(ModelError, match="takes a path or a size from values"):
        trace(Holds(run), (3, 8, 8))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-3, 8), min_size=1, max_size=5), st.booleans())
def test_places_along_an_axis_are_followed_where_they_are_known(places: list[int], select: bool) -> None:
    chosen = [place for place in places if place < 6]
    if not chosen:
        return
    if select:
        chosen = [place % 6 for place in chosen]

    class Picks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("places", torch.tensor(chosen))

        def forward(self, x: Tensor) -> Tensor:
            return x.index_select(2, self.places) if select else x[:, :, self.places]

    graph = trace(nn.Sequential(nn.Conv1d(1, 1, 3, padding=1), Picks()), (1, 6))
    for unit, place in enumerate(chosen):
        assert graph.field_box(graph.layers[-1], (unit,)) == graph.field_box("0", (place % 6,))
    assert graph.layers[-1].exact


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_packed_sequences_run_as_far_as_their_length(kind: type[nn.RNNBase], batch_first: bool) -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = kind(3, 5, batch_first=batch_first)
            self.register_buffer("length", torch.tensor([7]))

        def forward(self, x: Tensor) -> Tensor:
            steps = x.transpose(1, 2) if batch_first else x.permute(2, 0, 1)
            packed = pack_padded_sequence(steps, self.length, batch_first=batch_first)
            return pad_packed_sequence(self.layer(packed)[0], batch_first=batch_first, total_length=9)[0]

    graph = trace(Packs(), (3, 10))
    whole = trace(Cut(kind(3, 5, batch_first=True), 7), (3, 10))
    assert graph.macs == whole.macs
    assert graph.returned is not None
    assert graph.values[graph.returned[0]].shape == Packs()(torch.rand(1, 3, 10)).shape
    assert graph.field_box("layer", (3,)) == ((0, 4),)


class Cut(nn.Module):
    def __init__(self, layer: nn.RNNBase, steps: int) -> None:
        super().__init__()
        self.layer, self.steps = layer, steps

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x[:, :, : self.steps].transpose(1, 2))[0]
        return out


def test_several_sequences_packed_together_are_counted_each_to_its_end() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(3, 5, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            both = torch.cat([x, x * 2]).transpose(1, 2)
            packed = pack_padded_sequence(both, [9, 4], batch_first=True)
            return pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0]

    graph = trace(Two(), (3, 10))
    assert graph.macs == 13 * 4 * 5 * (3 + 5)
    assert not graph["layer"].exact

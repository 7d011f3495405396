"""A training stops where nothing gets better, with the best weights; the loop knows its learner by five functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from tests.train.tasks import examples, measure, network
from unconv.errors import UnconvError
from unconv.train.data.examples import Batch, Examples
from unconv.train.loop.learner import Moment
from unconv.train.loop.loop import Fitted, Settings, fit, run_learner

STEPS = 3


class Scripted:
    """A learner whose weight counts steps, and whose loss after each epoch is known beforehand."""

    def __init__(self, losses: Sequence[float], fail_after: int | None = None) -> None:
        self.losses, self.fail_after = losses, fail_after
        self.count = torch.zeros(1)

    def now(self) -> Moment:
        return Moment({"count": self.count}, {})

    def kept(self) -> Moment:
        return Moment({"count": self.count.clone()}, {})

    def load(self, moment: Moment) -> None:
        self.count = moment.weights["count"].clone()

    def step(self, batch: Batch, number: int, seed: int, place: str) -> Mapping[str, Tensor]:  # noqa: ARG002
        if number == self.fail_after:
            raise KeyboardInterrupt
        assert number == self.count
        self.count += 1
        return {"loss": torch.zeros((), dtype=torch.float64)}

    def evaluate(self, examples: Examples) -> tuple[Mapping[str, float], tuple[str, ...]]:  # noqa: ARG002
        return {"loss": self.losses[int(self.count) // STEPS - 1]}, ()


def trained(
    losses: Sequence[float], patience: int | None, fail_after: int | None = None, folder: Path | None = None
) -> Fitted:
    settings = Settings(len(losses), 4, patience=patience)
    return run_learner(
        Scripted(losses, fail_after), examples(10), examples(2), settings, checkpoint=folder, checkpoint_seconds=0
    )


def told(losses: Sequence[float], patience: int) -> tuple[int, int]:
    """The epoch that is best and the last that is done, by looking at one after the other."""
    best, best_loss = 1, math.nan
    for epoch, loss in enumerate(losses, start=1):
        if loss < best_loss or (math.isnan(best_loss) and not math.isnan(loss)):
            best, best_loss = epoch, loss
        elif epoch - best >= patience:
            return best, epoch
    return best, len(losses)


LOSSES = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan]), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(losses=LOSSES, patience=st.integers(1, 4))
def test_it_stops_after_so_many_epochs_without_a_better_one(losses: list[float], patience: int) -> None:
    best, last = told(losses, patience)
    fitted = trained(losses, patience)
    assert (fitted.epoch.number, len(fitted.history)) == (best, last)
    assert fitted.weights["count"] == STEPS * best
    assert f"the weights are those of epoch {best}, the best on the examples held out" in fitted.notes[0]
    assert (f"stopped after epoch {last} of {len(losses)}" in fitted.notes[0]) == (last < len(losses))


def test_without_patience_the_last_weights_are_kept() -> None:
    fitted = trained([0.1, 0.2, 0.3], None)
    assert (fitted.epoch.number, fitted.weights["count"], fitted.notes) == (3, 9.0, ())


@pytest.mark.parametrize("stop", range(1, 13))
def test_best_weights_and_patience_survive_a_stop_at_every_step(tmp_path: Path, stop: int) -> None:
    losses = [0.3, 0.1, 0.2, 0.2, 0.05]
    with pytest.raises(KeyboardInterrupt):
        trained(losses, 2, fail_after=stop - 1, folder=tmp_path)
    for _ in range(2):  # the second time all is done
        again = trained(losses, 2, folder=tmp_path)
        assert (again.epoch.number, len(again.history), again.weights["count"]) == (2, 4, 6.0)
        assert again.notes == trained(losses, 2).notes


def test_the_weights_are_those_that_were_measured() -> None:
    options = Settings(12, 8, rate=0.3, patience=3)
    fitted = fit(network(), measure, examples(40), examples(30, seed=1), options, score=lambda n: n["accuracy"])
    model = network().eval()
    model.load_state_dict(fitted.weights)
    held = examples(30, seed=1)
    with torch.no_grad():
        accuracy = (model(held.inputs).argmax(1) == held.targets).double().mean().item()
    assert accuracy == pytest.approx(fitted.epoch.held_out["accuracy"])
    assert accuracy == pytest.approx(max(epoch.held_out["accuracy"] for epoch in fitted.history))


def test_no_patience_is_one_line() -> None:
    with pytest.raises(UnconvError, match="train: patience 0; give 1 or more"):
        Settings(patience=0)

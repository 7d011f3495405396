"""The learning rate is that of torch's one-cycle schedule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from unconv.train.loop.schedule import one_cycle


@settings(max_examples=40, deadline=None)
@given(steps=st.integers(5, 300), peak=st.floats(1e-5, 10.0))
def test_equals_torchs_one_cycle(steps: int, peak: float) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=peak, total_steps=steps, pct_start=0.25, cycle_momentum=False
    )
    for step in range(steps):
        assert one_cycle(step, steps, peak) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9, abs=1e-12)
        optimiser.step()
        if step + 1 < steps:
            schedule.step()


@given(steps=st.integers(1, 8))
def test_the_shortest_trainings_have_rates_too(steps: int) -> None:
    assert all(0 < one_cycle(step, steps, 0.1) <= 0.1 for step in range(steps))

"""The search for sizes nearby ends when its time is up, also within one try."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from unconv.network.near_sizes import sizes_near
from unconv.network.trace.trace import attempt


class Endless(nn.Module):
    """Never comes to an end, and lets no ordinary error stop it."""

    def forward(self, x: Tensor) -> Any:
        while True:
            try:
                x = x.relu()
            except Exception:
                continue


def test_a_try_that_does_not_end_is_ended() -> None:
    model = Endless()
    assert sizes_near(model, ((3, 8, 8),), seconds=0.05) == ()
    error = attempt(model, (3, 8, 8), until=0.0)[2]
    assert "the time that it was given was up" in str(error)

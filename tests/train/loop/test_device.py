"""Where and in which precision a step is computed: as plain torch does it, or one line that says why not."""

from __future__ import annotations

import pytest
import torch

from tests.train.tasks import examples, measure, network
from unconv.errors import UnconvError
from unconv.train.loop.device import device_of
from unconv.train.loop.loop import Settings, fit


def test_auto_is_what_there_is() -> None:
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", ""])
def test_devices_that_are_not_there_are_one_line(name: str) -> None:
    with pytest.raises(UnconvError, match=f"device '{name}': cannot be used: .*; leave it to 'auto', or cpu") as caught:
        fit(network(), measure, examples(8), examples(8), Settings(1, 8, device=name))
    assert "\n" not in str(caught.value)


def test_unknown_precisions_are_one_line() -> None:
    with pytest.raises(UnconvError, match=r"precision 'half' is unknown; it is float32, bfloat16, float16"):
        Settings(precision="half")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_lower_precision_learns_and_is_lower(precision: str) -> None:
    options = [Settings(6, 32, 0.03, precision=name) for name in ("float32", precision)]
    full, lower = (fit(network(0.0), measure, examples(300), examples(100, seed=1), given) for given in options)
    assert lower.history[-1].held_out["accuracy"] > 0.7
    assert lower.history != full.history
    assert all(value.dtype != getattr(torch, precision) for value in lower.weights.values())

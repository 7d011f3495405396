"""A compiled model is looked into under the names of the module that was compiled."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import unconv as uc
from unconv.network.run.unwrap_compiled import unwrap_compiled


class Doubled(nn.Module):
    """Compiled inside another module, and called there."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) * 2


@pytest.mark.parametrize("compiled", [False, True])
def test_functions_take_plain_names_whether_a_model_was_compiled(compiled: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
    model = copy.deepcopy(plain)
    if compiled:
        model = torch.compile(model, backend="eager")
    images = torch.rand(2, 3, 9, 9)
    assert not any("_orig_mod" in name for name, _ in unwrap_compiled(model).named_modules())
    assert [layer.name for layer in uc.trace(model, (3, 9, 9)).layers] == ["0", "1", "2"]
    assert uc.audit(model, (3, 9, 9)).macs == uc.audit(plain, (3, 9, 9)).macs
    ours, expected = (uc.project(one, images, "2", unit=1).image for one in (model, plain))
    torch.testing.assert_close(ours, expected, rtol=0, atol=0)
    found, right = (uc.scan(one, images, ["0", "2"], top=2) for one in (model, plain))
    assert all(torch.equal(found.values[layer], right.values[layer]) for layer in ("0", "2"))


def test_a_wrapper_that_is_no_compiled_module_is_left_alone() -> None:
    inner = torch.compile(nn.ReLU(), backend="eager")
    outer = Doubled(inner)
    assert unwrap_compiled(outer) is outer

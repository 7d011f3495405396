"""What ``audit --fix`` changes: equal where it says so, without a pattern where it does not, and loadable."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from unconv.cli.main import app
from unconv.errors import UnconvError
from unconv.models.load.resolve import load_model
from unconv.network.audit.audit import Audit, audit
from unconv.network.audit.finding import Finding
from unconv.operators.checkerboard import checkerboard_score, stride_pattern
from unconv.upsample.change.patch import patch

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(16, 3, 3, stride=2, padding=1, output_padding=1)
    )
"""


def found_in(model: nn.Module, *rules: tuple[str, str]) -> Audit:
    """An audit with findings that do not depend on the machine."""
    graph = audit(model, (3, 16, 16), measure=False).graph
    return Audit(graph, tuple(Finding(rule, layer, "told", "fix") for rule, layer in rules), model)


def test_another_form_is_equal_and_the_model_given_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.ConvTranspose2d(8, 3, 4, stride=2)))
    patched = patch(found_in(model, ("faster-form", "1.0")))
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(patched.model(x), model(x), rtol=1e-5, atol=1e-5)
    assert patched.changes[0].equal
    assert patched.difference is not None
    assert patched.difference < 1e-5
    assert "equal outputs" in patched.changes[0].told
    assert isinstance(model[1][0], nn.ConvTranspose2d)
    assert not isinstance(patched.model[1][0], nn.ConvTranspose2d)


def test_a_model_that_returns_something_else_is_refused() -> None:
    class Asks(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = super().forward(x)
            # Depends on what its layer is, and not only on what that returns.
            return y if isinstance(self[0], nn.ConvTranspose2d) else 2 * y

    with pytest.raises(UnconvError, match=r"returns something else, by .* --ignore faster-form"):
        patch(found_in(Asks(nn.ConvTranspose2d(3, 3, 4, stride=2)), ("faster-form", "0")))


def test_phases_are_made_equal_and_the_change_is_told() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 3, 3, stride=2))
    before = model[1].weight.clone()
    patched = patch(found_in(model, ("faster-form", "1"), ("uneven-overlap", "1")))
    assert [change.equal for change in patched.changes] == [False, True]
    assert "before" in patched.changes[0].told
    assert torch.equal(model[1].weight, before)
    assert checkerboard_score(patch(found_in(model, ("uneven-overlap", "1"))).model[1].weight, 2) < 1e-6


def test_phases_of_a_pixel_shuffle_are_made_equal() -> None:
    model = nn.Sequential(nn.Conv2d(3, 12, 3), nn.PixelShuffle(2))
    patched = patch(audit(model, (3, 16, 16), measure=False))
    assert [change.finding.rule for change in patched.changes] == ["unequal-phases"]
    constant = torch.ones(1, 3, 16, 16)
    assert stride_pattern(model(constant) - model[0].bias.reshape(3, 4).mean(), 2) > 0.1
    with torch.no_grad():
        assert stride_pattern(patched.model(constant), 2) < 1e-6
        # The nearest: what a phase passes beside a constant is as it was.
        detail = model[0].weight - model[0].weight.mean((2, 3), keepdim=True)
        kept = patched.model[0].weight - patched.model[0].weight.mean((2, 3), keepdim=True)
    torch.testing.assert_close(kept, detail)


def test_what_needs_a_decision_is_left() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1, stride=2), nn.ConvTranspose2d(8, 3, 1, stride=2))
    patched = patch(found_in(model, ("skipped-cells", "0"), ("unequal-phases", "1")))
    assert patched.changes == ()
    assert [finding.rule for finding in patched.left] == ["skipped-cells", "unequal-phases"]


def test_the_command_writes_a_model_that_loads(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    source, target = f"{tmp_path / 'net.py'}:build", tmp_path / "patched.py"
    run = CliRunner().invoke(app, ["audit", source, "--input-size", "3x16x16", "--no-table", "--fix", str(target)])
    assert run.exit_code == 0, run.output
    assert "pattern score" in run.stdout
    assert target.with_suffix(".safetensors").exists()
    patched = load_model(f"{target}:build").module
    up = [one for one in patched.modules() if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)][-1]
    x = torch.randn(1, 3, 16, 16)
    found = audit(patched, (3, 16, 16), measure=False)
    assert up is not None
    assert patched(x).shape == (1, 3, 32, 32)
    assert not [finding for finding in found.findings if finding.rule in ("uneven-overlap", "unequal-phases")]


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3))
    with pytest.raises(UnconvError, match=r"ends in \.py"):
        patch(found_in(model)).save(tmp_path / "patched.pt", "net.py:build")

"""What ``audit --fix`` changes: equal where it says so, without a pattern where it does not, and loadable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import unconv as uc
from tests.network.audit.test_checks import FAULTS
from tests.network.run.test_computed_weights import WAYS
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


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("orthogonal", "pruned")])
def test_weights_that_are_computed_are_mended_through_others_and_saved(way: str, shuffled: bool) -> None:
    torch.manual_seed(0)
    layer = WAYS[way](nn.Conv2d(3, 12, 3) if shuffled else nn.ConvTranspose2d(3, 4, 3, stride=2))
    model = nn.Sequential(layer, nn.PixelShuffle(2) if shuffled else nn.Identity())
    names = set(model.state_dict())
    found = audit(model, (3, 12, 12), measure=False)
    rule = "unequal-phases" if shuffled else "uneven-overlap"
    found = found.without(["misses-multiple"])
    assert [(one.rule, one.layer) for one in found.findings] == [(rule, "0")]
    patched = patch(found)
    assert [change.finding.rule for change in patched.changes] == [rule]
    assert patched.audit.without(["misses-multiple"]).findings == patched.left == patched.refused == ()
    assert set(patched.model.state_dict()) == names
    # What it says holds for the weights as they are saved, and for what a pass returns.
    fresh = nn.Conv2d(3, 12, 3) if shuffled else nn.ConvTranspose2d(3, 4, 3, stride=2)
    twin = nn.Sequential(WAYS[way](fresh), model[1])
    twin.load_state_dict(patched.model.state_dict())
    assert rule not in {one.rule for one in audit(twin, (3, 12, 12), measure=False).findings}
    ones = torch.ones(1, 3, 12, 12)
    with torch.no_grad():
        assert stride_pattern(twin.eval()(ones)[..., 4:-4, 4:-4], 2) < 1e-3


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_fixes_mend_layers_whose_weights_are_computed(way: str, shuffled: bool) -> None:
    torch.manual_seed(0)
    layer = WAYS[way](nn.Conv2d(3, 12, 3) if shuffled else nn.ConvTranspose2d(3, 4, 4, stride=2))
    model = nn.Sequential(layer, nn.PixelShuffle(2) if shuffled else nn.Identity())
    (finding,) = audit(model, (3, 12, 12), measure=False).findings
    line = finding.fix.removesuffix(" after it").rpartition(" before training, or ")[2]
    if way in ("orthogonal", "pruned"):
        assert patch(audit(model, (3, 12, 12), measure=False)).refused[0].reason
        return
    exec(line, {"model": model, "uc": uc})
    assert audit(model, (3, 12, 12), measure=False).findings == ()


class Tied(nn.Module):
    """A decoder with the weights of its encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2)
        self.up = nn.ConvTranspose2d(8, 3, 3, stride=2)
        self.up.weight = self.down.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.up(self.down(x))
        return y


class Functional(nn.Module):
    """A transposed convolution without a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(3, 3, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv_transpose2d(x, self.kernel, stride=2)


def test_a_layer_that_shares_its_weight_is_put_into_no_other_form() -> None:
    patched = patch(found_in(Tied(), ("faster-form", "up")))
    assert patched.changes == ()
    assert patched.refused[0].reason == "its weight is that of down, too, which would have its own"
    assert [one.layer for one in patched.again.unmeasured] == ["up"]
    assert "not measured again: up [faster-form]" in str(patched.again)


# Rules whose findings need a decision; those of transposed layers stand beside the patterns below.
DECISIONS = sorted({*FAULTS} - {"uneven-overlap", "unequal-phases", "sizes-do-not-meet"})


@pytest.mark.parametrize("rule", DECISIONS)
def test_the_second_audit_says_what_is_as_before_by_every_rule(rule: str) -> None:
    torch.manual_seed(0)
    make, size, _ = FAULTS[rule][-1]
    up = nn.ConvTranspose1d if len(size) == 2 else nn.ConvTranspose2d

    class Before(nn.Module):
        """An upsampling layer, whose pattern is taken out, beside a network with a fault."""

        def __init__(self) -> None:
            super().__init__()
            self.fault, self.up = make(), up(3, 3, 3, stride=2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, object]:
            return self.up(x), self.fault(x)

    found = audit(Before(), size, measure=False)
    patched = patch(found)
    assert rule in {one.rule for one in patched.again.same}
    assert {(one.rule, one.layer) for one in patched.again.gone} >= {("uneven-overlap", "up")}
    assert patched.again.new == ()
    told = patched.to_dict()["audited_again"]
    assert {"layer": patched.again.same[0].layer, "rule": patched.again.same[0].rule} in told["same"]
    assert {"layer": "up", "rule": "uneven-overlap"} in told["gone"]
    assert str(patched.again).endswith("; none new")
    assert "audited again" in repr(patched)


def test_what_a_change_brings_about_elsewhere_is_told() -> None:
    first, second = nn.ConvTranspose2d(1, 2, 3, stride=2, bias=False), nn.ConvTranspose2d(2, 1, 2, stride=2)
    with torch.no_grad():
        # As much of a constant in both channels, by the tap in the middle and by those at the corners.
        first.weight.zero_()
        first.weight[0, 0, 1, 1], first.weight[0, 1, ::2, ::2] = 1.0, 0.25
        # The patterns of both channels cancel, for what comes in now.
        one, two = first(torch.ones(1, 1, 16, 16)).mean((0, 2, 3))
        second.weight[1] = (1 - one * second.weight[0]) / two
    found = audit(nn.Sequential(first, second), (1, 16, 16), measure=False).without(["misses-multiple"])
    assert [(one.rule, one.layer) for one in found.findings] == [("uneven-overlap", "0")]
    patched = patch(found)
    assert [change.finding.layer for change in patched.changes] == ["0"]
    assert [(one.rule, one.layer) for one in patched.again.new] == [("unequal-phases", "1")]
    assert str(patched.again) == "1 finding gone; new: 1 [unequal-phases]"
    assert patched.audit.findings == patched.again.new


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Tied, "its weight is that of down, too"),
        (Functional, "no weight that is known"),
        (lambda: nn.Sequential(WAYS["orthogonal"](nn.ConvTranspose2d(3, 3, 3, stride=2))), "orthogonal computes"),
        (lambda: nn.Sequential(WAYS["pruned"](nn.ConvTranspose2d(3, 3, 3, stride=2))), "L1Unstructured computes"),
        (lambda: nn.Sequential(nn.ConvTranspose2d(3, 3, 3, stride=2)).to("meta"), "meta"),
    ],
)
def test_what_cannot_be_changed_is_left_with_the_reason(make: Callable[[], nn.Module], reason: str) -> None:
    torch.manual_seed(0)
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    patched = patch(audit(model, (3, 17, 17), measure=False))
    assert patched.changes == ()
    assert [one.finding.rule for one in patched.refused] == ["uneven-overlap"]
    assert reason in patched.refused[0].reason
    assert "\n" not in patched.refused[0].reason
    for name, value in patched.model.state_dict().items():
        assert value.is_meta or torch.equal(value, before[name])


def test_models_of_one_layer_and_layers_that_run_twice_are_mended_once() -> None:
    torch.manual_seed(0)
    patched = patch(audit(nn.ConvTranspose2d(3, 3, 3, stride=2), (3, 9, 9), measure=False))
    assert [change.code for change in patched.changes] == ["uc.upsample.equalised_(model)"]
    up = nn.ConvTranspose2d(3, 3, 3, stride=2)
    twice = patch(audit(nn.Sequential(up, up), (3, 9, 9), measure=False))
    assert len(twice.changes) == 1
    assert {one.rule for one in (*twice.left, *twice.audit.findings)} == {"misses-multiple"}


def test_whole_numbers_that_come_in_stay_such() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(4, 3)
            self.up = nn.ConvTranspose1d(3, 3, 4, stride=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.up(self.embed(x).transpose(1, 2))
            return y

    model = Tokens()
    found = audit(model, (9,), dtype=torch.int64, measure=False)
    asked = Audit(found.graph, (Finding("faster-form", "up", "told", "fix"),), model, torch.int64)
    patched = patch(asked)
    assert [change.equal for change in patched.changes] == [True]


def test_a_model_that_takes_no_two_inputs_is_left_with_the_reason() -> None:
    class Single(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = super().forward(x).reshape(3, 34, 34)
            return y

    patched = patch(found_in(Single(nn.ConvTranspose2d(3, 3, 4, stride=2)), ("faster-form", "0")))
    assert patched.changes == ()
    assert "does not run on random inputs" in patched.refused[0].reason

"""Limits of a projection: what it can and cannot show, said next to it."""

from __future__ import annotations

from unconv.visualize.reverse.coverage import Coverage
from unconv.visualize.reverse.rules import GUIDED, find_rule

SWITCHLESS = (
    "Without max-pooling a {rule} image carries nothing of the forward pass but the position: every picture gives "
    f"the same image for this unit and place. The {GUIDED.name} rule keeps the rectifiers' states."
)
GATED = (
    "Without max-pooling a {rule} image carries little of the forward pass but the position: only what the "
    f"operations without a rule let through. The {GUIDED.name} rule keeps the rectifiers' states."
)
UNREACHED = (
    "{missed} of {total} rectifiers ran where the rule cannot reach (scripted code) and kept their own gradient."
)
PLAIN = "No rectifier lies between this layer and the pixels: all rules give its linear response, Cᵀ."


def limits(coverage: Coverage) -> str:
    """A sentence or two on what this projection can and cannot show.

    >>> limits(Coverage("gradient", {"relu": 1}, reversed=1, switches=0, passed={}))
    "The derivative is local: it tells which pixels would change the unit's value, not what the unit looks for."
    """
    if coverage.total == 0 and not coverage.passed and coverage.switches == 0:
        return PLAIN
    rule = find_rule(coverage.rule)
    missed = coverage.total - coverage.reversed
    said = [UNREACHED.format(missed=missed, total=coverage.total)] if missed else []
    if rule.asks is not None or coverage.switches:
        said.append(rule.caveat)
    else:
        said.append((GATED if coverage.passed or missed else SWITCHLESS).format(rule=rule.name))
    return " ".join(said)

"""What a projection can and cannot show, said next to it."""

from __future__ import annotations

from unconv.visualize.reverse.coverage import Coverage

GUIDED = (
    "Guided images show which edges inside the field the unit can have used. Much of that is the picture itself, and "
    "stays when the weights of upper layers are randomised (Nie et al. 2018; Adebayo et al. 2018; Sixt et al. 2020)."
)
GRADIENT = "The derivative is local: it tells which pixels would change the unit's value, not what the unit looks for."
SWITCHED = (
    "A deconvnet image owes its likeness to the picture to the switches of the max-poolings and depends little on the "
    "unit (Mahendran & Vedaldi 2016)."
)
SWITCHLESS = (
    "Without max-pooling a deconvnet image carries nothing of the forward pass but the position: every picture gives "
    "the same image for this unit and place. The guided rule keeps the rectifiers' states."
)
GATED = (
    "Without max-pooling a deconvnet image carries little of the forward pass but the position: only what the "
    "operations without a rule let through. The guided rule keeps the rectifiers' states."
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
    missed = coverage.total - coverage.reversed
    said = [UNREACHED.format(missed=missed, total=coverage.total)] if missed else []
    if coverage.rule == "deconvnet":
        said.append(SWITCHED if coverage.switches else GATED if coverage.passed or missed else SWITCHLESS)
    else:
        said.append({"guided": GUIDED, "gradient": GRADIENT}[coverage.rule])
    return " ".join(said)


def choose_rule(coverage: Coverage) -> tuple[str, str]:
    """The rule for a network, from the coverage of its deepest layer, and the reason in words.

    Deconvnet where there are switches, which are all that a deconvnet image keeps of the forward pass; else guided
    (Springenberg et al. 2014, section 3.4).

    >>> choose_rule(Coverage("guided", {"relu": 13}, reversed=13, switches=5, passed={}))
    ('deconvnet', 'chosen because 5 max-poolings lie on the way, whose switches a deconvnet image needs')
    """
    count = coverage.switches
    if count:
        pools = "1 max-pooling lies" if count == 1 else f"{count} max-poolings lie"
        return "deconvnet", f"chosen because {pools} on the way, whose switches a deconvnet image needs"
    return "guided", "chosen because no max-pooling lies on the way, and so no switches for a deconvnet image"

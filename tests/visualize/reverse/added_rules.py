"""Two reverse rules that are not in the house: one asks for the forward pass, one does not."""

from unconv.visualize.reverse.rules import Rule

POSITIVE = Rule(
    name="positive",
    formula="max(f′(x) · g, 0)",
    paper="Nobody 2031",
    reference="N. Nobody. On Positive Derivatives. 2031",
    back=lambda signal, pull: pull(signal).clamp(min=0),
    asks=lambda signal: signal != 0,
    caveat="Positive images show <what> would raise the unit's value.",
)
ABSOLUTE = Rule(
    name="absolute",
    formula="|g|",
    paper="Somebody 2032",
    reference="S. Somebody. On Magnitudes. 2032",
    back=lambda signal, _pull: signal.abs(),
    asks=None,
    caveat="Absolute images show how much may have come from where.",
)
ADDED = (POSITIVE, ABSOLUTE)

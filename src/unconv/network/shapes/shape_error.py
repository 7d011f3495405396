"""Shape errors: what is said where shapes do not fit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ShapeAnswer:
    """What does not fit, how that came about, and what mends it.

    Attributes:
        what: in a sentence.
        story: lines of arithmetic.
        layers: whose sizes they are.
        fix: what to write instead.
        by_input: whether another input size may help.
    """

    what: str
    story: tuple[str, ...]
    layers: tuple[str, ...]
    fix: str
    by_input: bool = True

"""Learning-rate schedule: one cycle, from the first step to the last."""

from __future__ import annotations

from math import cos, pi

WARM = 0.25
START, END = 1 / 25, 1 / 250_000


def one_cycle(step: int, steps: int, peak: float) -> float:
    """The learning rate of one step of a training: up to the peak in the first quarter, then down to almost nothing.

    L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates"
    (2018, section 2), with halves of a cosine from peak/25 to the peak and on to peak/250,000, as torch's
    ``OneCycleLR`` has it.

    >>> [round(one_cycle(step, steps=9, peak=0.1), 6) for step in (0, 1, 4, 8)]
    [0.004, 0.090833, 0.06434, 0.0]
    """
    top, last = WARM * steps - 1, steps - 1
    if step <= top:
        return _between(START * peak, peak, step / top if top else 1.0)
    return _between(peak, END * peak, (step - top) / (last - top))


def _between(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + cos(pi * part)) / 2

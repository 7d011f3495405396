"""Which rectifier a function of one number is, by its values.

A function rectifies if it passes the positive side and holds back the negative one. Either it comes to grow in
proportion to its argument, and on the other side less than half as steeply, to nothing or below; or it is zero where
its argument is not positive, and does not fall where it is. σ and tanh hold back both sides alike, |x| neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_SIDE = (0.125, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 40.0)
# Where a function is looked at: 0 in the middle, the far ends where powers and exponentials are still numbers.
GRID = (*(-x for x in reversed(_SIDE)), 0.0, *_SIDE)
# Where it is looked at for its slope alone: exponentials are no numbers there any more.
FAR = 1e6
# How far from the values of torch's function a spelling of it may lie: constants are written out to some digits.
_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Curve:
    """A function as a multiple of a rectifier, whose slope far to the right is 1.

    Attributes:
        name: torch's name of the rectifier; empty where torch has none of these values.
        scale: the factor, as of a scaling behind it; one a channel, where constants differ between channels.
    """

    name: str
    scale: float | Tensor = 1.0


def recognise_curve(values: Float[Tensor, points * rest], far: Float[Tensor, "*rest"]) -> Curve | None:
    """The rectifier with these values on the grid, and this one far to the right; None for what is no rectifier.

    >>> x = torch.tensor(GRID, dtype=torch.float64)
    >>> recognise_curve(3 * x * x.sigmoid(), torch.tensor(3 * FAR))
    Curve(name='silu', scale=3.0)
    >>> recognise_curve(x.tanh(), torch.tensor(1.0)) is None
    True
    """
    rest = values.shape[1:]
    y = values.double().reshape(len(GRID), -1)
    if not y.isfinite().all():
        return None
    x = torch.tensor(GRID, dtype=torch.float64, device=y.device)[:, None]
    middle = len(_SIDE)
    slope, before = (y[-1] - y[-2]) / 20, (y[-2] - y[-3]) / 10
    left = (y[1] - y[0]) / 20
    if bool(((slope > 0) & ((slope - before).abs() <= 0.1 * slope)).all()):
        held = (left.abs() < slope / 2) & (y[0] <= (0.75 * y[1]).clamp(min=0))
        if held.double().mean() <= 0.5 or (len(held) == 1 and not held.all()):
            return None
        ends = far.double().reshape(-1) / FAR
        curve = _match(x, y, torch.where((ends - slope).abs() <= 0.1 * slope, ends, slope))
    elif bool((y[: middle + 1] == 0).all() and (y.diff(dim=0) >= 0).all() and (y[-1] > 0).all()):
        curve = _match_clipped(x, y)
    else:
        return None
    if isinstance(curve.scale, float):
        return curve
    return Curve(curve.name, curve.scale.reshape(1, *rest[1:]) if rest else curve.scale)


_Family = Callable[[Tensor, Tensor], Tensor]
# Torch's functions, of x and the values to be matched, which say what their parameters must be.
_LIBRARY: tuple[tuple[str, _Family], ...] = (
    ("relu", lambda x, _y: x.clamp(min=0)),
    ("silu", lambda x, _y: F.silu(x)),
    ("gelu", lambda x, _y: F.gelu(x)),
    ("gelu", lambda x, _y: F.gelu(x, approximate="tanh")),
    ("hardswish", lambda x, _y: F.hardswish(x)),
    ("mish", lambda x, _y: F.mish(x)),
    ("elu", lambda x, _y: F.elu(x)),
    ("selu", lambda x, _y: F.selu(x)),
    ("leaky_relu", lambda x, y: torch.where(x > 0, x, y[0] / x[0] * x)),
    ("softplus", lambda x, y: F.softplus(x * log(2) / y[len(_SIDE)]) * y[len(_SIDE)] / log(2)),
    ("elu", lambda x, y: torch.where(x > 0, x, -y[0] * x.clamp(max=0).expm1())),
    ("celu", lambda x, y: torch.where(x > 0, x, -y[0] * (x.clamp(max=0) / -y[0]).expm1())),
)


def _match(x: Tensor, y: Tensor, slope: Tensor) -> Curve:
    # What is added behind a rectifier has no part in the way back.
    for moved in (y, y - y[len(_SIDE)]):
        for name, family in _LIBRARY:
            plain = family(x, moved / slope)
            # SELU has a factor of its own.
            factor = slope / 1.0507009873554805 if name == "selu" else slope
            if bool(((moved / factor - plain).abs() <= _TOLERANCE * x.abs().clamp(min=1)).all()):
                several = name == "leaky_relu" and y.shape[1] > 1
                return Curve("prelu" if several else name, _simple(factor))
    return Curve("", _simple(slope))


def _match_clipped(x: Tensor, y: Tensor) -> Curve:
    first = len(_SIDE) + 1
    slope = y[first] / x[first]
    top = y[-1] / slope
    if bool((slope > 0).all()) and bool((y / slope - x.clamp(min=0).minimum(top)).abs().max() <= _TOLERANCE):
        return Curve("relu6" if bool(((top - 6).abs() < _TOLERANCE).all()) else "clamp", _simple(slope))
    return Curve("")


def _simple(factor: Tensor) -> float | Tensor:
    """One number where there is but one, and 1 where only rounding is between."""
    first = float(factor[0])
    if bool(((factor - first).abs() <= 1e-6 * abs(first)).all()):
        return 1.0 if abs(first - 1) <= 1e-6 else first
    return factor

"""Axes of an input: which of them are places, and which units (channels, features)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from unconv.describe import listed
from unconv.errors import ModelError

UNITS = "c"
BATCH = frozenset({"b", "n", "batch"})
# Other words for what is no place.
UNIT_WORDS = frozenset({"c", "channel", "channels", "feature", "features"})
MOST_PLACES = 3
# What is said of fields where a network takes for places what nobody said to be one.
UNTOLD = (
    "upper bounds: windows step along an axis of the input that counts as channels; axes='t c', say, tells what each is"
)
# How torch names the places of (channels, *places), the last ones where there are fewer.
USUAL = ("d", "h", "w")


@dataclass(frozen=True)
class InputAxes:
    """What the axes of an input are, the batch left out.

    Attributes:
        names: of each axis; ``"c"`` is units (channels, features), all others are places.
        told: whether someone said so; else they are (channels, *places) by custom.

    >>> axes = InputAxes(("h", "w", "c"))
    >>> axes.places, axes.sizes((224, 192, 3)), str(axes)
    ((0, 1), (224, 192), 'h w c')
    """

    names: tuple[str, ...]
    told: bool = True

    @property
    def places(self) -> tuple[int, ...]:
        """The axes that are places, by number."""
        return tuple(n for n, name in enumerate(self.names) if name != UNITS)

    @property
    def usual(self) -> bool:
        """Whether the order is (channels, *places)."""
        return self.names[0] == UNITS and self.places == tuple(range(1, len(self.names)))

    def sizes(self, size: Sequence[int]) -> tuple[int, ...]:
        """Of an input's size, that along its places."""
        return tuple(size[n] for n in self.places)

    def __str__(self) -> str:
        return " ".join(self.names)


# What may be given; see read_axes.
Axes: TypeAlias = str | Sequence[str | InputAxes] | None


def usual_axes(size: Sequence[int]) -> InputAxes:
    """(channels, *places), as torch's convolutions take it.

    >>> [str(usual_axes((3,) * axes)) for axes in (1, 2, 3, 4, 5)], usual_axes((3, 224, 224)).told
    (['c', 'c l', 'c h w', 'c d h w', 'c d1 d h w'], False)
    """
    count = len(size) - 1
    far = tuple(f"d{n}" for n in range(count - len(USUAL), 0, -1))
    places = ("l",) if count == 1 else (*far, *USUAL[max(len(USUAL) - count, 0) :])
    return InputAxes((UNITS, *places), told=False)


def read_axes(axes: Axes, operation: str = "trace") -> tuple[InputAxes, ...]:
    """What is said of the axes of each input; nothing where nothing is.

    Args:
        axes: a name for each axis of an input, as einops writes them (``"h w c"``) or, one letter each, torch
            (``"HWC"``); for several inputs a sequence, or joined by commas. ``c`` (``channels``, ``features``) is no
            place, any other name is one: ``"t"`` for waveforms, ``"t c"`` for frames of features. The batch comes
            first, and may be named (``b``, ``n``) or not.
        operation: who asks; messages begin with it.

    Raises :class:`~unconv.errors.ModelError` for what cannot be read so.

    >>> [axes.names for axes in read_axes("NHWC, t c")]
    [('h', 'w', 'c'), ('t', 'c')]
    >>> read_axes("time features")[0].places
    (0,)
    """
    if axes is None:
        return ()
    texts = axes.split(",") if isinstance(axes, str) else axes if isinstance(axes, Sequence) else [axes]
    return tuple(text if isinstance(text, InputAxes) else _read(text, axes, operation) for text in texts)


def _read(text: str, axes: Axes, operation: str) -> InputAxes:
    words = text.split() if isinstance(text, str) else []
    parts = [word.lower() for word in (words[0] if len(words) == 1 else words)]
    if not parts or not all(re.fullmatch(r"[a-z][a-z0-9_]*", part) for part in parts):
        raise ModelError(
            f"{operation}: axes {axes!r} must name each axis of an input, c for channels or features and any other "
            "name for a place, as 'h w c', 'HWC' or 't'; several inputs are joined by commas"
        )
    names = [UNITS if part in UNIT_WORDS else part for part in (parts[1:] if parts[0] in BATCH else parts)]
    if any(name in BATCH for name in names):
        raise ModelError(f"{operation}: axes {text!r}: the batch is the first axis, or is left out")
    places = [name for name in names if name != UNITS]
    twice = sorted({name for name in places if places.count(name) > 1})
    if not names or twice or len(places) > MOST_PLACES:
        wrong = f"names {listed(twice)} twice" if twice else f"has {len(places)} places of {len(names)} axes"
        raise ModelError(
            f"{operation}: axes {text!r} {wrong}; there are at most {MOST_PLACES} places, each of its own name "
            "(words are set apart by spaces)"
        )
    return InputAxes(tuple(names))

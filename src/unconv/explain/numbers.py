"""Numbers in the cells: an input, a kernel, and what the operation makes of them, in exact arithmetic."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

from unconv.errors import GeometryError
from unconv.operators.geometry.base import Geometry
from unconv.operators.geometry.sizes import effective_kernel_size

if TYPE_CHECKING:
    from typing_extensions import Self

Position: TypeAlias = tuple[int, ...]
NumbersSpec: TypeAlias = str | int | Sequence[Any] | None
_LARGEST_INPUT, _LARGEST_WEIGHT = 4, 2
_MOST_TERMS, _LONGEST_SUM = 9, 76
_LARGEST_NUMBER = 10**6


@dataclass(frozen=True)
class Numbers:
    """An input and a kernel (empty for a pooling), by position.

    >>> from unconv.operators.geometry.conv import ConvGeometry
    >>> geometry = ConvGeometry(input_size=3, kernel_size=2)
    >>> numbers = Numbers.of(geometry, ([1, 2, 3], [10, 1]))
    >>> numbers.result(geometry, (1,)), numbers.sum_text(geometry, (1,))
    (Fraction(23, 1), '2·10 + 3·1 = 23')
    """

    inputs: Mapping[Position, Fraction]
    weights: Mapping[Position, Fraction]

    @classmethod
    def of(cls, geometry: Geometry, spec: NumbersSpec) -> Self:
        """Numbers from ``"random"`` or a seed (small whole numbers), or from given arrays.

        Given are (input, kernel), or for a pooling the input alone, each a nested list, array or tensor of the
        geometry's sizes. Raises :class:`~unconv.errors.GeometryError` for other shapes and values that are not finite.
        """
        pooled = not geometry.kind.weighted
        if spec == "random" or (isinstance(spec, int) and not isinstance(spec, bool)):
            chance = random.Random(0 if spec == "random" else spec)
            inputs = {p: Fraction(chance.randint(1, _LARGEST_INPUT)) for p in _positions(geometry.input_size)}
            if pooled:
                return cls(inputs, {})
            return cls(
                inputs, {p: Fraction(chance.randint(0, _LARGEST_WEIGHT)) for p in _positions(geometry.kernel_size)}
            )
        if spec is None or isinstance(spec, (str, bool)):
            raise GeometryError(f"draw: numbers {spec!r} is not known; use 'random', a seed, or (input, kernel) arrays")
        if pooled:
            return cls(_values("input", spec, geometry.input_size), {})
        if len(spec) != 2:
            raise GeometryError(f"draw: numbers must be (input, kernel), two arrays; got {len(spec)}")
        return cls(_values("input", spec[0], geometry.input_size), _values("kernel", spec[1], geometry.kernel_size))

    def terms(self, geometry: Geometry, output: Position) -> list[tuple[Fraction, Fraction, Position, Position]]:
        """(input, weight, tap, cell) of everything that meets in one output cell; padding is left out."""
        found = []
        for pairs in product(*geometry.taps_of(output)):
            tap = tuple(t for t, _ in pairs)
            cell = tuple(i for _, i in pairs)
            found.append((self.inputs[cell], self.weights.get(tap, Fraction(1)), tap, cell))
        return found

    def result(self, geometry: Geometry, output: Position) -> Fraction:
        """The value of one output cell."""
        terms, kind = self.terms(geometry, output), geometry.kind
        if kind.of_padding and not terms:
            raise GeometryError(
                f"draw: the window of output {output} sees padding only, {kind.of_padding}; leave out numbers"
            )
        return kind.value([value * weight for value, weight, *_ in terms], mean_size(geometry, output))

    def sum_text(self, geometry: Geometry, output: Position) -> str:
        """How one output cell comes about, its value last; of long sums the middle is left out."""
        terms, kind = self.terms(geometry, output), geometry.kind
        value = self.result(geometry, output)
        exact = value == round(value, 2) and all(x == round(x, 2) and w == round(w, 2) for x, w, *_ in terms)
        end = f"{'=' if exact else '≈'} {number_text(value)}"
        parts = [kind.term.format(value=number_text(x), factor=_factor(x), weight=_factor(w)) for x, w, *_ in terms]
        joined = _shortened(parts, kind.joint) or "0"
        return f"{kind.calculation.format(terms=joined, count=mean_size(geometry, output))} {end}"


def mean_size(geometry: Geometry, output: Position) -> int:
    """What torch's average pooling divides by: the window without the part that hangs over the padding.

    Without ``count_include_pad``, the cells inside the input only (torch.nn.AvgPool2d).
    """
    if not getattr(geometry, "count_include_pad", True):
        return math.prod(len(axis) for axis in geometry.taps_of(output))
    count = 1
    for n, index in enumerate(output):
        before, after = geometry.padding[n]
        start = index * geometry.stride[n] - before
        span = effective_kernel_size(geometry.kernel_size[n], geometry.dilation[n])
        count *= min(start + span, geometry.input_size[n] + after) - start
    return count


def number_text(value: Fraction) -> str:
    """A number with two decimals at most.

    >>> number_text(Fraction(5, 3)), number_text(Fraction(-4)), number_text(Fraction(1, 2))
    ('1.67', '−4', '0.5')
    """
    rounded = f"{float(value):.2f}".rstrip("0").rstrip(".")
    return "0" if rounded in ("0", "-0") else rounded.replace("-", "−")


def _factor(value: Fraction) -> str:
    return f"({number_text(value)})" if value < 0 else number_text(value)


def _shortened(parts: list[str], joint: str) -> str:
    """As many terms as fit into a line, the last one always."""
    most = len(parts)
    while most > 2 and (most > _MOST_TERMS or len(joint.join(parts[:most])) > _LONGEST_SUM):
        most -= 1
    return joint.join(parts if most == len(parts) else [*parts[: most - 1], "…", parts[-1]])


def _positions(size: Sequence[int]) -> Iterable[Position]:
    return product(*map(range, size))


def _values(name: str, array: Any, size: Position) -> dict[Position, Fraction]:
    nested = array.tolist() if hasattr(array, "tolist") else array
    shape: list[int] = []
    level = nested
    while isinstance(level, Sequence) and not isinstance(level, str):
        shape.append(len(level))
        level = level[0] if len(level) else None
    if tuple(shape) != size:
        raise GeometryError(f"draw: the {name}'s numbers have shape {tuple(shape)}, the geometry's {name} is {size}")
    found = {}
    for position in _positions(size):
        value = _entry(name, nested, position)
        if not isinstance(value, (int, float, Fraction)) or not math.isfinite(value):
            raise GeometryError(f"draw: {value!r} in the {name} at {position} is not a finite number")
        if not -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:
            raise GeometryError(
                f"draw: {value!r} in the {name} at {position} is larger than the {_LARGEST_NUMBER:,} that fits a cell"
            )
        found[position] = Fraction(value)
    return found


def _entry(name: str, nested: Any, position: Position) -> Any:
    for index in position:
        if not isinstance(nested, Sequence) or index >= len(nested):
            raise GeometryError(f"draw: the {name}'s numbers are ragged; give every row the same length")
        nested = nested[index]
    return nested

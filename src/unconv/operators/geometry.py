"""Geometries: convolution, transposed convolution and pooling as values, validated where they are made.

A geometry knows sizes and connections and nothing of weights or channels; operators, traces and drawings receive one
instead of a bag of integers. Only the standard library is needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from unconv.errors import GeometryError
from unconv.operators import relations, sizes
from unconv.operators.padding import transpose_padding, window_padding
from unconv.operators.receptive import ReceptiveField, transpose_field, window_field
from unconv.operators.relations import Relation
from unconv.operators.sizes import Padding, Pairs, Size
from unconv.operators.walk import Walk


class Geometry(ABC):
    """What convolution, transposed convolution and pooling have in common: sizes, relations and connections."""

    operation: ClassVar[str]
    transposed: ClassVar[bool]
    """Whether the walk goes over the output (a transposed convolution) instead of the input."""

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]

    @property
    @abstractmethod
    def output_size(self) -> tuple[int, ...]:
        """Output size per axis."""

    @property
    @abstractmethod
    def relations(self) -> tuple[Relation, ...]:
        """Per axis: the relation that holds, its formula, and its numbers."""

    @property
    @abstractmethod
    def receptive_field(self) -> ReceptiveField:
        """What each output cell sees of the input."""

    @property
    def dimensions(self) -> int:
        """Number of spatial axes: 1, 2 or 3."""
        return len(self.input_size)

    @property
    def effective_kernel_size(self) -> tuple[int, ...]:
        """Span of the dilated kernel per axis, d(k − 1) + 1."""
        pairs = zip(self.kernel_size, self.dilation, strict=True)
        return tuple(sizes.effective_kernel_size(k, d) for k, d in pairs)

    @property
    def relation(self) -> tuple[int | None, ...]:
        """Per axis, the number of the most specific relation that applies; None outside the guide."""
        return tuple(relation.number for relation in self.relations)

    @property
    def formula(self) -> tuple[str, ...]:
        """Per axis, the output size's formula in symbols."""
        return tuple(relation.formula for relation in self.relations)

    @property
    def working(self) -> tuple[str, ...]:
        """Per axis, the formula with its numbers put in."""
        return tuple(relation.working for relation in self.relations)

    @property
    def walks(self) -> tuple[Walk, ...]:
        """Per axis, the walk of the window: over the input, or over the output where :attr:`transposed`."""
        small, large = (self.input_size, self.output_size) if self.transposed else (self.output_size, self.input_size)
        return tuple(
            Walk(large[n], small[n], self.kernel_size[n], self.stride[n], self.padding[n][0], self.dilation[n])
            for n in range(self.dimensions)
        )

    def taps_of(self, output: Sequence[int]) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Per axis, the (tap, input) pairs that feed one output cell; cells of the padding are left out.

        >>> ConvGeometry(input_size=(5, 5), kernel_size=3, stride=2, padding=1).taps_of((0, 1))
        (((1, 0), (2, 1)), ((0, 1), (1, 2), (2, 3)))
        """
        self._check_position("output", output, self.output_size)
        pairs = zip(self.walks, output, strict=True)
        return tuple(walk.touching(o) if self.transposed else walk.touched(o) for walk, o in pairs)

    def inputs_of(self, output: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Per axis, the input indices that feed one output cell; the cells are their product.

        >>> ConvTransposeGeometry(input_size=(3, 3), kernel_size=3, stride=2).inputs_of((2, 1))
        ((0, 1), (0,))
        """
        return tuple(tuple(sorted(cell for _, cell in axis)) for axis in self.taps_of(output))

    def outputs_of(self, cell: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Per axis, the output indices that one input cell feeds.

        >>> ConvGeometry(input_size=(5, 5), kernel_size=3, stride=2, padding=1).outputs_of((1, 4))
        ((0, 1), (2,))
        """
        self._check_position("input", cell, self.input_size)
        pairs = zip(self.walks, cell, strict=True)
        met = (walk.touched(i) if self.transposed else walk.touching(i) for walk, i in pairs)
        return tuple(tuple(sorted(index for _, index in axis)) for axis in met)

    def _check_position(self, side: str, position: Sequence[int], size: tuple[int, ...]) -> None:
        inside = len(position) == len(size) and all(0 <= p < s for p, s in zip(position, size, strict=True))
        if not inside:
            raise GeometryError(
                f"{self.operation}: {side} position {tuple(position)} is outside the {side} of size {size}"
            )

    def _set(self, **values: object) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, values[field.name])

    def axis_name(self, axis: int) -> str:
        """How an error names an axis: not at all where there is only one."""
        return f" on axis {axis}" if self.dimensions > 1 else ""

    def check_kernel_fits(self) -> None:
        """Refuse a kernel that is larger than the padded input."""
        for n, (span, size, pads) in enumerate(
            zip(self.effective_kernel_size, self.input_size, self.padding, strict=True)
        ):
            padded = size + sum(pads)
            if span > padded:
                dilated = f" ({span} with dilation {self.dilation[n]})" if self.dilation[n] > 1 else ""
                way_out = "increase padding" + (" or reduce dilation" if dilated else " or the input size")
                raise GeometryError(
                    f"{self.operation}: kernel {self.kernel_size[n]}{dilated} is larger than the padded input "
                    f"{padded}{self.axis_name(n)}; {way_out}"
                )


Axis = tuple[int, int, int, tuple[int, int], int]


def axes_of(geometry: Geometry) -> tuple[Axis, ...]:
    """(input, kernel, stride, padding, dilation) of each axis."""
    return tuple(
        zip(
            geometry.input_size,
            geometry.kernel_size,
            geometry.stride,
            geometry.padding,
            geometry.dilation,
            strict=True,
        )
    )


def window_fields(geometry: Geometry) -> ReceptiveField:
    """Receptive field of a window that steps over the input."""
    spans = zip(geometry.effective_kernel_size, geometry.stride, geometry.padding, strict=True)
    return ReceptiveField(tuple(window_field(span, step, pads[0]) for span, step, pads in spans))


def symbols(axis: Axis) -> dict[str, int]:
    """The quantities of one axis under the names that the guide gives them."""
    size, kernel, step, pads, holes = axis
    values = {"i": size, "i′": size, "k": kernel, "s": step, "d": holes}
    return values | {"p": pads[0], "p₁": pads[0], "p₂": pads[1]}


@dataclass(frozen=True, init=False)
class ConvGeometry(Geometry):
    """A convolution: o = ⌊(i + p₁ + p₂ − d(k − 1) − 1)/s⌋ + 1 (Dumoulin & Visin 2016, relations 1–6 and 15).

    Every argument is an int for all axes or one int per axis; an ``input_size`` that is an int means one axis, unless
    another argument names more. ``padding`` may also be (before, after) pairs per axis, ``"valid"``, ``"same"`` (as
    torch: stride 1 only, the odd row after), or ``"same_upper"``/``"same_lower"`` (as ONNX: o = ⌈i/s⌉, the odd row
    after / before). Raises :class:`~unconv.errors.GeometryError` where no output is left.

    >>> geometry = ConvGeometry(input_size=(5, 5), kernel_size=3, stride=2, padding=1)
    >>> geometry.output_size, geometry.relation, geometry.remainder
    ((3, 3), (6, 6), (0, 0))
    >>> geometry.working[0]
    'o = ⌊(5 + 2·1 − 3)/2⌋ + 1 = 3'
    """

    operation: ClassVar[str] = "conv"
    transposed: ClassVar[bool] = False

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]

    def __init__(
        self, input_size: Size, kernel_size: Size, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
    ) -> None:
        count = sizes.dimensions(self.operation, input_size, kernel_size, stride, padding, dilation)
        size = sizes.per_axis(self.operation, "input size", input_size, count, least=1)
        kernel = sizes.per_axis(self.operation, "kernel", kernel_size, count, least=1)
        step = sizes.per_axis(self.operation, "stride", stride, count, least=1)
        holes = sizes.per_axis(self.operation, "dilation", dilation, count, least=1)
        pads = window_padding(self.operation, padding, size, kernel, step, holes)
        self._set(input_size=size, kernel_size=kernel, stride=step, padding=pads, dilation=holes)
        self.check_kernel_fits()

    @property
    def output_size(self) -> tuple[int, ...]:
        """Output size per axis."""
        return tuple(sizes.conv_output_size(*axis) for axis in axes_of(self))

    @property
    def remainder(self) -> tuple[int, ...]:
        """Per axis, the rows at the end that no window reaches: the output padding of the transpose."""
        return tuple(sizes.remainder(*axis) for axis in axes_of(self))

    @property
    def relations(self) -> tuple[Relation, ...]:
        """Per axis: the relation that holds (1–6, 15), its formula, and its numbers."""
        found = []
        for axis, output in zip(axes_of(self), self.output_size, strict=True):
            number = relations.conv_relation(*axis[1:])
            template = relations.FORMULAS[number] if number else relations.CONV_GENERAL
            found.append(Relation(number, template, symbols(axis), output))
        return tuple(found)

    @property
    def receptive_field(self) -> ReceptiveField:
        """What each output cell sees of the input."""
        return window_fields(self)

    def transpose(self) -> ConvTransposeGeometry:
        """The transposed convolution with the same connections: from this one's output back to its input size.

        >>> ConvGeometry(input_size=6, kernel_size=3, stride=2, padding=1).transpose().output_size
        (6,)
        """
        return ConvTransposeGeometry(
            self.output_size, self.kernel_size, self.stride, self.padding, self.remainder, self.dilation
        )


@dataclass(frozen=True, init=False)
class ConvTransposeGeometry(Geometry):
    """A transposed convolution: o′ = s(i′ − 1) + d(k − 1) + 1 − p₁ − p₂ + a (Dumoulin & Visin 2016, relations 8–14).

    ``padding`` is that of the convolution whose transpose it is, as in torch: it *removes* rows from the output.
    ``output_padding`` a adds rows at the end that the stride has left open; a < max(s, d) as in torch. ``padding`` may
    be ``"same_upper"``/``"same_lower"`` (as ONNX: o′ = s·i′; where the kernel is smaller than the stride the missing
    rows become output padding) or, with stride 1, ``"same"``.

    >>> geometry = ConvTransposeGeometry(input_size=(3, 3), kernel_size=3, stride=2, padding=1, output_padding=1)
    >>> geometry.output_size, geometry.relation
    ((6, 6), (14, 14))
    """

    operation: ClassVar[str] = "transpose"
    transposed: ClassVar[bool] = True

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def __init__(
        self,
        input_size: Size,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        output_padding: Size = 0,
        dilation: Size = 1,
    ) -> None:
        name = self.operation
        count = sizes.dimensions(name, input_size, kernel_size, stride, padding, output_padding, dilation)
        size = sizes.per_axis(name, "input size", input_size, count, least=1)
        kernel = sizes.per_axis(name, "kernel", kernel_size, count, least=1)
        step = sizes.per_axis(name, "stride", stride, count, least=1)
        holes = sizes.per_axis(name, "dilation", dilation, count, least=1)
        extra = sizes.per_axis(name, "output padding", output_padding, count, least=0)
        pads, extra = transpose_padding(padding, size, kernel, step, holes, extra)
        self._set(
            input_size=size,
            kernel_size=kernel,
            stride=step,
            padding=pads,
            output_padding=extra,
            dilation=holes,
        )
        self._check_output()

    def _check_output(self) -> None:
        for n, (extra, output) in enumerate(zip(self.output_padding, self.output_size, strict=True)):
            limit = max(self.stride[n], self.dilation[n])
            if extra >= limit:
                raise GeometryError(
                    f"transpose: output padding {extra}{self.axis_name(n)} must be smaller than the stride or the "
                    f"dilation, here {limit}; it only chooses among the sizes that the convolution maps to "
                    f"{self.input_size[n]}"
                )
            if output < 1:
                raise GeometryError(
                    f"transpose: padding {self.padding[n]} removes the whole output{self.axis_name(n)} "
                    f"({output + sum(self.padding[n])} before padding); reduce padding"
                )

    @property
    def output_size(self) -> tuple[int, ...]:
        """Output size per axis."""
        rows = zip(axes_of(self), self.output_padding, strict=True)
        return tuple(sizes.transpose_output_size(i, k, s, p, extra, d) for (i, k, s, p, d), extra in rows)

    @property
    def relations(self) -> tuple[Relation, ...]:
        """Per axis: the relation that holds (8–14), its formula, and its numbers."""
        found = []
        for axis, extra, output in zip(axes_of(self), self.output_padding, self.output_size, strict=True):
            _, kernel, step, pads, holes = axis
            number = relations.transpose_relation(kernel, step, pads, extra, holes)
            template = relations.FORMULAS[number] if number else relations.TRANSPOSE_GENERAL
            found.append(Relation(number, template, symbols(axis) | {"a": extra}, output))
        return tuple(found)

    @property
    def receptive_field(self) -> ReceptiveField:
        """What each output cell sees of the input: phases of the stride may see different amounts."""
        return ReceptiveField(
            tuple(transpose_field(kernel, step, pads[0], holes) for _, kernel, step, pads, holes in axes_of(self))
        )

    @property
    def uneven_overlap(self) -> tuple[bool, ...]:
        """Per axis, whether output cells are fed by unequal numbers of taps: s does not divide k.

        The cause of checkerboard artifacts that geometry alone decides (Odena, Dumoulin & Olah 2016).

        >>> ConvTransposeGeometry(input_size=4, kernel_size=3, stride=2).uneven_overlap
        (True,)
        """
        return tuple(
            len({sum((tap * d - phase) % s == 0 for tap in range(k)) for phase in range(s)}) > 1
            for k, s, d in zip(self.kernel_size, self.stride, self.dilation, strict=True)
        )

    def transpose(self) -> ConvGeometry:
        """The convolution with the same connections: from this one's output back to its input size.

        >>> ConvTransposeGeometry(input_size=3, kernel_size=3, stride=2, padding=1, output_padding=1).transpose()
        ConvGeometry(input_size=(6,), kernel_size=(3,), stride=(2,), padding=((1, 1),), dilation=(1,))
        """
        back = ConvGeometry(self.output_size, self.kernel_size, self.stride, self.padding, self.dilation)
        if back.output_size != self.input_size:
            raise GeometryError(
                f"transpose: output padding {self.output_padding} goes a whole stride past the kernel, so that the "
                f"convolution back gives {back.output_size} for {self.input_size}; keep output padding below the "
                f"stride {self.stride}"
            )
        return back

"""Convolution and transposed convolution as values, validated where they are made.

A geometry knows sizes and connections and nothing of weights or channels; operators, traces and drawings receive one
instead of a bag of integers. Only the standard library is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.geometry import relations, sizes
from unconv.operators.geometry.base import Geometry, axes_of, symbols, window_fields
from unconv.operators.geometry.operation import Operation, total
from unconv.operators.geometry.padding import transpose_padding, window_padding
from unconv.operators.geometry.receptive import ReceptiveField, transpose_field
from unconv.operators.geometry.relations import Relation
from unconv.operators.geometry.sizes import Padding, Pairs, Size


@tell_wrong_arguments
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

    kind: ClassVar[Operation] = Operation(
        "conv", "Convolution", "C", value=total, weighted=True, term="{factor}·{weight}"
    )
    operation: ClassVar[str] = kind.name
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


@tell_wrong_arguments
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

    kind: ClassVar[Operation] = Operation(
        "transpose", "Transposed convolution", "Cᵀ", value=total, weighted=True, term="{factor}·{weight}"
    )
    operation: ClassVar[str] = kind.name
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

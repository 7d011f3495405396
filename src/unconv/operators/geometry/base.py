"""Geometry: sizes, the relation of each axis, and the connections along which values flow."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from html import escape
from inspect import signature
from math import prod
from typing import Any, ClassVar

from unconv.describe import by_size
from unconv.errors import GeometryError
from unconv.operators.geometry import sizes
from unconv.operators.geometry.operation import Operation
from unconv.operators.geometry.receptive import ReceptiveField, window_field
from unconv.operators.geometry.relations import Relation
from unconv.operators.geometry.sizes import Pairs
from unconv.operators.geometry.walk import Walk
from unconv.results import draw_with, image_html

# A notebook shows the moving picture of a geometry with so many cells, input and output together.
PICTURED = 160


class Geometry(ABC):
    """What convolution, transposed convolution and pooling have in common: sizes, relations and connections."""

    kind: ClassVar[Operation]
    """What is made of the cells under the window, and its words."""
    operation: ClassVar[str]
    """The name of :attr:`kind`."""
    transposed: ClassVar[bool]
    """Whether the walk goes over the output (a transposed convolution) instead of the input."""

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """What a geometry of this kind can be told behind size, kernel, stride and padding, and the defaults.

        >>> from unconv.operators.geometry.pool import AvgPoolGeometry
        >>> AvgPoolGeometry.settings()
        {'ceil_mode': False, 'count_include_pad': True}
        """
        parameters = list(signature(cls).parameters.values())
        return {parameter.name: parameter.default for parameter in parameters[4:]}

    @classmethod
    def of(cls, layer: Any, size: Any) -> Any:
        """The geometry of one of torch's layers, of its own kind, whichever geometry is asked.

        ``nn.Conv1d`` to 3d give a ``ConvGeometry``, ``nn.ConvTranspose1d`` to 3d a ``ConvTransposeGeometry``, max and
        average poolings theirs. ``size`` is that of the input: an int, one per axis, (channels, *size), with a batch in
        front, or a tensor. See :func:`unconv.operators.layers.geometry_of`.

        >>> from torch import nn
        >>> from unconv.operators.geometry.conv import ConvGeometry
        >>> ConvGeometry.of(nn.Conv2d(3, 8, 3, stride=2, padding=1), 224).output_size
        (112, 112)
        """
        return _layers().geometry_of(layer, size)

    def to_torch(
        self,
        in_channels: int | None = None,
        out_channels: int | None = None,
        *,
        groups: int = 1,
        bias: bool = True,
        dim: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> Any:
        """A layer of torch whose outputs have this geometry's sizes; a pooling needs no channels.

        ``groups``, ``bias``, ``device`` and ``dtype`` are torch's; ``dim`` makes a layer of 2 or 3 axes of a geometry
        that has one. Where the two paddings of an axis differ, it is an ``nn.Sequential`` with one layer that pads, or
        crops. See :func:`unconv.operators.layers.layer_of`.

        >>> from unconv.operators.geometry.conv import ConvTransposeGeometry
        >>> ConvTransposeGeometry(input_size=13, kernel_size=4, stride=4, padding=1).to_torch(8, 3, dim=2)
        ConvTranspose2d(8, 3, kernel_size=(4, 4), stride=(4, 4), padding=(1, 1))
        """
        settings = {"groups": groups, "bias": bias, "dim": dim, "device": device, "dtype": dtype}
        return _layers().layer_of(self, in_channels, out_channels, **settings)

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

        >>> from unconv.operators.geometry.conv import ConvGeometry
        >>> ConvGeometry(input_size=(5, 5), kernel_size=3, stride=2, padding=1).taps_of((0, 1))
        (((1, 0), (2, 1)), ((0, 1), (1, 2), (2, 3)))
        """
        self._check_position("output", output, self.output_size)
        pairs = zip(self.walks, output, strict=True)
        return tuple(walk.touching(o) if self.transposed else walk.touched(o) for walk, o in pairs)

    def inputs_of(self, output: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Per axis, the input indices that feed one output cell; the cells are their product.

        >>> from unconv.operators.geometry.conv import ConvTransposeGeometry
        >>> ConvTransposeGeometry(input_size=(3, 3), kernel_size=3, stride=2).inputs_of((2, 1))
        ((0, 1), (0,))
        """
        return tuple(tuple(sorted(cell for _, cell in axis)) for axis in self.taps_of(output))

    def outputs_of(self, cell: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Per axis, the output indices that one input cell feeds.

        >>> from unconv.operators.geometry.conv import ConvGeometry
        >>> ConvGeometry(input_size=(5, 5), kernel_size=3, stride=2, padding=1).outputs_of((1, 4))
        ((0, 1), (2,))
        """
        self._check_position("input", cell, self.input_size)
        pairs = zip(self.walks, cell, strict=True)
        met = (walk.touched(i) if self.transposed else walk.touching(i) for walk, i in pairs)
        return tuple(tuple(sorted(index for _, index in axis)) for axis in met)

    def settings_text(self) -> str:
        """Kernel, stride and padding, and what else is not as usual, in a line.

        >>> from unconv.operators.geometry.conv import ConvGeometry
        >>> ConvGeometry(input_size=(9, 9), kernel_size=3, stride=(2, 1), padding=1).settings_text()
        'kernel 3, stride 2×1, padding 1'
        """
        pads = tuple(before if before == after else (before, after) for before, after in self.padding)
        told: dict[str, tuple[object, ...]] = {"kernel": self.kernel_size, "stride": self.stride, "padding": pads}
        if max(self.dilation) > 1:
            told["dilation"] = self.dilation
        extra = getattr(self, "output_padding", ())
        if any(extra):
            told["output padding"] = extra
        sizes = {name: values[:1] if len(set(values)) == 1 else values for name, values in told.items()}
        return ", ".join(f"{name} {by_size(values)}" for name, values in sizes.items())

    def _heading(self) -> str:
        return f"{self.operation} {by_size(self.input_size)} → {by_size(self.output_size)}, {self.settings_text()}"

    def __str__(self) -> str:
        return str(draw_with("unconv.explain.report:summary", self))

    def _repr_html_(self) -> str:
        picture = ""
        if prod(self.input_size) + prod(self.output_size) <= PICTURED:
            drawing = draw_with("unconv.explain.drawing:draw", self)
            picture = image_html(drawing.svg().encode(), "svg+xml", drawing.scene.title)
        return f'<div>{picture}<pre style="white-space:pre-wrap">{escape(str(self))}</pre></div>'

    def _check_position(self, side: str, position: Sequence[int], size: tuple[int, ...]) -> None:
        whole = isinstance(position, Sequence) and all(isinstance(p, int) for p in position)
        if not whole or len(position) != len(size):
            raise GeometryError(f"{self.operation}: {side} position {position!r} must be {len(size)} whole numbers")
        if not all(0 <= p < s for p, s in zip(position, size, strict=True)):
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


def _layers() -> Any:
    """What knows torch lies beside the geometries, which need the standard library alone."""
    return importlib.import_module("unconv.operators.layers")


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

"""Pooling geometries: windows like a convolution's, with the rules that torch has for pooling."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from unconv.arguments import tell_wrong_arguments
from unconv.errors import GeometryError
from unconv.operators.geometry import relations, sizes
from unconv.operators.geometry.base import Geometry, axes_of, symbols, window_fields
from unconv.operators.geometry.operation import Operation, total
from unconv.operators.geometry.padding import window_padding
from unconv.operators.geometry.receptive import ReceptiveField
from unconv.operators.geometry.relations import Relation
from unconv.operators.geometry.sizes import Padding, Pairs, Size


class PoolGeometry(Geometry):
    """What poolings have in common; a new one says in :attr:`kind` what it is, and is listed in :data:`POOLINGS`."""

    transposed: ClassVar[bool] = False

    ceil_mode: bool

    @abstractmethod
    def __init__(
        self, input_size: Size, kernel_size: Size, stride: Size | None = None, padding: Padding = 0, **settings: Any
    ) -> None: ...

    @property
    def output_size(self) -> tuple[int, ...]:
        """Output size per axis."""
        return tuple(sizes.pool_output_size(*axis, self.ceil_mode) for axis in axes_of(self))

    @property
    def relations(self) -> tuple[Relation, ...]:
        """Per axis: relation 7 where it holds, the formula, and its numbers."""
        return _pool_relations(self)

    @property
    def receptive_field(self) -> ReceptiveField:
        """What each output cell sees of the input."""
        return window_fields(self)


@tell_wrong_arguments
@dataclass(frozen=True, init=False)
class MaxPoolGeometry(PoolGeometry):
    """A max pooling: a window like a convolution's, stride = kernel unless given (relation 7; ``ceil_mode`` as torch).

    >>> MaxPoolGeometry(input_size=(110, 110), kernel_size=3, stride=2, ceil_mode=True).output_size
    (55, 55)
    """

    kind: ClassVar[Operation] = Operation(
        "maxpool",
        "Max pooling",
        "S",
        value=lambda terms, _: max(terms),
        calculation="max({terms})",
        term="{value}",
        joint=", ",
        entry="s{tap}",
        picks="the largest input",
        of_padding="its maximum is −∞",
        torch="max_pool",
    )
    operation: ClassVar[str] = kind.name

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    ceil_mode: bool

    def __init__(
        self,
        input_size: Size,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Padding = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> None:
        self._set(**_pool_fields(self.operation, input_size, kernel_size, stride, padding, dilation, ceil_mode))
        _check_pool(self)


@tell_wrong_arguments
@dataclass(frozen=True, init=False)
class AvgPoolGeometry(PoolGeometry):
    """An average pooling; ``count_include_pad`` as in torch: whether padded zeros count in the mean.

    >>> AvgPoolGeometry(input_size=(5, 5), kernel_size=3, stride=1).relation
    (7, 7)
    """

    kind: ClassVar[Operation] = Operation(
        "avgpool",
        "Average pooling",
        "A",
        value=lambda terms, count: total(terms, count) / count,
        calculation="({terms}) / {count}",
        entry="1/{count}",
        torch="avg_pool",
    )
    operation: ClassVar[str] = kind.name

    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...] = field(init=False, repr=False)
    ceil_mode: bool
    count_include_pad: bool

    def __init__(
        self,
        input_size: Size,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        values = _pool_fields(self.operation, input_size, kernel_size, stride, padding, 1, ceil_mode)
        self._set(**values, count_include_pad=count_include_pad)
        _check_pool(self)


# Every pooling: what the command line offers, and what a trace knows.
POOLINGS: tuple[type[PoolGeometry], ...] = (MaxPoolGeometry, AvgPoolGeometry)


def _pool_fields(
    operation: str,
    input_size: Size,
    kernel_size: Size,
    stride: Size | None,
    padding: Padding,
    dilation: Size,
    ceil_mode: bool,
) -> dict[str, Any]:
    step = kernel_size if stride is None else stride
    count = sizes.dimensions(operation, input_size, kernel_size, step, padding, dilation)
    size = sizes.per_axis(operation, "input size", input_size, count, least=1)
    kernel = sizes.per_axis(operation, "kernel", kernel_size, count, least=1)
    steps = sizes.per_axis(operation, "stride", step, count, least=1)
    holes = sizes.per_axis(operation, "dilation", dilation, count, least=1)
    pads = window_padding(operation, padding, size, kernel, steps, holes)
    names = ("input_size", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    return dict(zip(names, (size, kernel, steps, pads, holes, ceil_mode), strict=True))


def _check_pool(geometry: PoolGeometry) -> None:
    if not geometry.ceil_mode or min(geometry.output_size) < 1:  # rounded up, one window may hang over the end
        geometry.check_kernel_fits()
    for n, (pads, span) in enumerate(zip(geometry.padding, geometry.effective_kernel_size, strict=True)):
        if max(pads) > span // 2:
            raise GeometryError(
                f"{geometry.operation}: padding {max(pads)}{geometry.axis_name(n)} is more than half the kernel "
                f"{span}, so that windows would see padding only; reduce padding"
            )


def _pool_relations(geometry: PoolGeometry) -> tuple[Relation, ...]:
    found = []
    for axis, output in zip(axes_of(geometry), geometry.output_size, strict=True):
        *_, pads, holes = axis
        number = relations.pool_relation(pads, holes, geometry.ceil_mode)
        template = relations.FORMULAS[number] if number else relations.POOL_GENERAL
        if geometry.ceil_mode:
            cut = sizes.pool_output_size(*axis, ceil_mode=True) < _uncut_size(axis)
            template = relations.POOL_CEIL_CUT if cut else relations.POOL_CEIL
        found.append(Relation(number, template, symbols(axis), output))
    return tuple(found)


def _uncut_size(axis: tuple[int, int, int, tuple[int, int], int]) -> int:
    """Output size rounded up, before a window that starts past the input is dropped."""
    size, kernel, step, pads, holes = axis
    return -(-(size + sum(pads) - sizes.effective_kernel_size(kernel, holes)) // step) + 1

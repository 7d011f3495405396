"""Zero-insertion: a transposed convolution as a convolution of stride 1 over the stretched, padded input."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from unconv.explain.boards import Board, Position, beams
from unconv.explain.captions import counted, position_text, relation_lines, settings, short_text, size_text
from unconv.explain.numbers import Numbers, number_text
from unconv.explain.scene import Frame, Role, Scene, Stack, Text
from unconv.explain.views import parts
from unconv.operators.geometry.base import Geometry


@dataclass(frozen=True)
class Stretched:
    """The input with s − 1 zeros between its cells and d(k − 1) − p around them (Dumoulin & Visin 2016, §4.5).

    Where p > d(k − 1) the padding is negative, and cuts cells off the stretched input instead. Output padding adds
    rows at the end.

    >>> from unconv.operators.geometry.conv import ConvTransposeGeometry
    >>> stretched = Stretched(ConvTransposeGeometry(input_size=3, kernel_size=3, stride=2, padding=1))
    >>> stretched.size, stretched.low, stretched.high, stretched.window((0,))
    ((5,), (-1,), (6,), [((2,), (-1,)), ((1,), (0,)), ((0,), (1,))])
    """

    geometry: Geometry

    @property
    def size(self) -> Position:
        """s(i′ − 1) + 1 per axis."""
        return tuple(s * (i - 1) + 1 for i, s in zip(self.geometry.input_size, self.geometry.stride, strict=True))

    @property
    def pads(self) -> Position:
        """p′ = d(k − 1) − p in front, per axis."""
        rows = zip(self.geometry.effective_kernel_size, self.geometry.padding, strict=True)
        return tuple(span - 1 - before for span, (before, _) in rows)

    @property
    def low(self) -> Position:
        """First cell that is drawn."""
        return tuple(min(0, -pad) for pad in self.pads)

    @property
    def high(self) -> Position:
        """One past the last cell that is drawn."""
        rows = zip(self.size, self.pads, self.geometry.output_size, self.geometry.effective_kernel_size, strict=True)
        return tuple(max(size, output - 1 - pad + span) for size, pad, output, span in rows)

    def role(self, cell: Position) -> Role:
        """What a stretched cell holds."""
        rows = zip(cell, self.pads, self.geometry.output_size, self.geometry.effective_kernel_size, strict=True)
        if any(not -pad <= index < output - 1 - pad + span for index, pad, output, span in rows):
            return "cut"
        if not parts.inside(cell, self.size):
            return "padding"
        return "input" if self.source(cell) is not None else "zero"

    def source(self, cell: Position) -> Position | None:
        """The input cell that stands here, None where a zero does."""
        pairs = list(zip(cell, self.geometry.stride, strict=True))
        if parts.inside(cell, self.size) and all(index % step == 0 for index, step in pairs):
            return tuple(index // step for index, step in pairs)
        return None

    def window(self, output: Position) -> list[tuple[Position, Position]]:
        """(tap, stretched cell) under the flipped kernel at one output."""
        axes = []
        for n, index in enumerate(output):
            count, holes = self.geometry.kernel_size[n], self.geometry.dilation[n]
            start = index - self.pads[n]
            axes.append([(count - 1 - u, start + holes * u) for u in range(count)])
        return [(tuple(t for t, _ in pairs), tuple(i for _, i in pairs)) for pairs in product(*axes)]


def zeros(geometry: Geometry, numbers: Numbers | None) -> Scene:
    """One frame per output cell: the flipped kernel at stride 1 over the stretched input."""
    stretched = Stretched(geometry)
    source = Board(0, stretched.low, stretched.high)
    target = Board(source.slices, (0,) * geometry.dimensions, geometry.output_size)
    kernel = parts.kernel_board(geometry, source.slices + target.slices) if numbers else None
    parts.check_cells(geometry, numbers, source, target)
    steps, note = parts.thinned(target.positions())
    grids = source.grids(stretched.role, _text(stretched, numbers) if numbers else None)
    grids += target.grids(parts.Roles(geometry).output)
    if kernel and numbers:
        flipped = {
            tuple(k - 1 - t for k, t in zip(geometry.kernel_size, tap, strict=True)): weight
            for tap, weight in numbers.weights.items()
        }
        grids += parts.kernel_grids(kernel, Numbers(numbers.inputs, flipped))
    frames = tuple(
        _frame(stretched, numbers, source, target, steps[: n + 1] if numbers else (step,))
        for n, step in enumerate(steps)
    )
    return Scene(
        title=geometry.kind.title,
        subtitle=settings(geometry),
        grids=grids,
        rows=_arrangement(geometry, stretched, source, target, kernel),
        frames=frames,
        captions=(*relation_lines(geometry), convolution_line(stretched)),
        legend=_legend(geometry, stretched, parts.legend(geometry, grids)),
        view="zeros",
        note=note,
        seconds=parts.seconds_per_frame(len(frames), numbers),
    )


def convolution_line(stretched: Stretched) -> str:
    """The equivalent convolution in words."""
    return f"Convolution of stride 1 with the flipped kernel, p′ = d(k − 1) − p = {short_text(stretched.pads)}"


def _text(stretched: Stretched, numbers: Numbers):  # type: ignore[no-untyped-def]
    def text(cell: Position) -> str:
        source = stretched.source(cell)
        return "0" if source is None else number_text(numbers.inputs[source])

    return text


def _legend(geometry: Geometry, stretched: Stretched, entries: tuple) -> tuple:  # type: ignore[type-arg]
    texts = {"window": f"flipped kernel {size_text(geometry.kernel_size)}", "cut": "cut away by padding"}
    texts["zero"] = f"s − 1 = {short_text(tuple(step - 1 for step in geometry.stride))} zeros between the inputs"
    texts["padding"] = f"padding p′ = {short_text(stretched.pads)}"
    return tuple(type(entry)(entry.style, texts.get(entry.style, entry.text)) for entry in entries)


def _arrangement(
    geometry: Geometry, stretched: Stretched, source: Board, target: Board, kernel: Board | None
) -> tuple[tuple[Stack, ...], ...]:
    detail = f"{size_text(geometry.input_size)} → {size_text(stretched.size)}"
    groups = [parts.stacks_of(source, "Stretched input", detail)]
    if kernel:
        groups.append(parts.stacks_of(kernel, "Flipped kernel", size_text(geometry.kernel_size), "∗"))
    groups.append(parts.stacks_of(target, "Output", size_text(geometry.output_size), "=" if kernel else "→"))
    return parts.arranged(geometry, groups)


def _frame(
    stretched: Stretched, numbers: Numbers | None, source: Board, target: Board, done: tuple[Position, ...]
) -> Frame:
    geometry, step = stretched.geometry, done[-1]
    window = stretched.window(step)
    real = sum(stretched.source(cell) is not None for _, cell in window)
    marks = [source.mark(cell, "blank" if stretched.source(cell) is None else "window") for _, cell in window]
    texts: list[Text] = []
    line = f"Output {position_text(step)} sees {counted(real, 'input')} and {counted(len(window) - real, 'zero')}"
    if numbers:
        texts = [Text(*target.place(o), number_text(numbers.result(geometry, o))) for o in done]
        texts += [
            Text(*source.place(cell), f"×{number_text(numbers.weights[tap])}", corner=True) for tap, cell in window
        ]
        line = f"Output {position_text(step)}:  {numbers.sum_text(geometry, step)}"
    return Frame(
        position=step,
        marks=(*marks, target.mark(step, "target")),
        texts=tuple(texts),
        beams=() if numbers else beams(source, [cell for _, cell in window], target, [step]),
        line=line,
    )

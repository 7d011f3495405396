"""``explain_shapes``: torch's errors about sizes, with the layers, the arithmetic and the way out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.network.audit.finding import by_size
from unconv.network.shapes.module_answers import Sizes, answer_shapes
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.trace.build_graph import build_graph
from unconv.network.trace.trace import replay
from unconv.network.working_sizes import deepest_stride, working_sizes


class ShapeError(UnconvError, RuntimeError):
    """Shapes in a model that do not fit; also a RuntimeError, as torch's own, which is its cause.

    Attributes:
        layers: whose sizes do not fit.
        story: how the sizes came about, line by line.
        input_sizes: (channels, *size) for which the model works, the nearest first; several inputs in a tuple each.
        fix: what to write instead.
    """

    def __init__(self, found: ShapeAnswer, input_sizes: Sequence[Sizes]) -> None:
        self.layers = found.layers
        self.story = found.story
        self.input_sizes = tuple(input_sizes)
        self.fix = found.fix
        lines = [found.what, *(f"    {line}" for line in found.story)]
        if self.input_sizes:
            sizes = " and ".join(" with ".join(by_size(size) for size in sizes) for sizes in self.input_sizes)
            lines.append(f"  inputs that work: {sizes}")
        lines.append(f"  or: {found.fix}" if self.input_sizes else f"  fix: {found.fix}")
        super().__init__("\n".join(lines))


class explain_shapes(AbstractContextManager[None]):  # noqa: N801
    """A context in which a model's errors about sizes say what is wrong, where, and what mends it.

    Costs nothing as long as there is no error; then the call that failed is made again with shapes only. Errors that
    are not about shapes pass as they are.

    >>> model = nn.Sequential(nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 14 * 14, 10))
    >>> import torch
    >>> with explain_shapes():
    ...     model(torch.zeros(1, 1, 28, 28))
    Traceback (most recent call last):
    unconv.network.shapes.explain_shapes.ShapeError: 3 takes 1176 features and gets 864: 2 makes them of 6×12×12
    ...
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, RuntimeError | ValueError | TypeError | AssertionError) or isinstance(
            error, UnconvError
        ):
            return
        call = _outermost_call(traceback)
        explained = explain(*call) if call is not None else None
        if explained is not None:
            raise explained from error


def explain(model: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> ShapeError | None:
    """The error that says what does not fit in a call of a model; None if that is not known."""
    try:
        shown = replay(model, *_one_image(args, kwargs))
        if shown is None or shown[2] is None:
            # One image fits where several do not: then it is about their number.
            shown = replay(model, args, kwargs)
        if shown is None:
            return None
        recorder, sizes, error = shown
        if error is None:
            return None
        found = answer_shapes(recorder, sizes, error)
        if found is None:
            return None
        plain = not kwargs and all(isinstance(one, Tensor) for one in args) and len(args) == len(sizes)
        stride = deepest_stride(build_graph(recorder, sizes)) if recorder.records else 1
        works = working_sizes(model, sizes, stride=stride) if found.by_input and plain else ()
        return ShapeError(found, works)
    except UnconvError:
        return None


def _outermost_call(traceback: TracebackType | None) -> tuple[nn.Module, Sequence[Any], dict[str, Any]] | None:
    """The first module on the way to an error, and what it was called with."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name in ("_call_impl", "_wrapped_call_impl"):
            module = frame.f_locals.get("self")
            if isinstance(module, nn.Module):
                return module, frame.f_locals["args"], frame.f_locals["kwargs"]
        traceback = traceback.tb_next
    return None


def _one_image(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
    """The call with the first image of each batch."""

    def first(value: Any) -> Any:
        return value[:1] if isinstance(value, Tensor) and value.ndim >= 2 else value

    return tuple(first(one) for one in args), {name: first(one) for name, one in kwargs.items()}

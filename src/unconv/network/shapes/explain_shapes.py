"""``explain_shapes``: torch's errors about sizes, with the layers, the arithmetic and the way out."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from torch import Tensor, nn

from unconv.errors import UnconvError
from unconv.network.audit.finding import by_size
from unconv.network.near_sizes import Join, deepest_stride, sizes_near
from unconv.network.shapes.batch_answers import answer_batch
from unconv.network.shapes.failing_place import Call, fails_alike, outermost_call
from unconv.network.shapes.index_answers import answer_index
from unconv.network.shapes.module_answers import Sizes, answer_shapes
from unconv.network.shapes.shape_error import ShapeAnswer
from unconv.network.shapes.tape import Program, Tape, gather_modules, steps_of
from unconv.network.trace.build_graph import build_graph
from unconv.network.trace.operation import JOINS
from unconv.network.trace.record import Recorder
from unconv.network.trace.trace import replay

P = ParamSpec("P")
T = TypeVar("T")


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
        # Not through UnconvError, whose messages are one line.
        RuntimeError.__init__(self, "\n".join(lines))


# What torch's errors about sizes speak of.
_ABOUT_SIZES = re.compile(
    r"\b(sizes?|shapes?|dimensions?|channels|broadcast\w*|match|should contain|\d-?D)\b|"
    "class probabilities|multi-target",
    re.IGNORECASE,
)
# What those say that are explained by the values where they came up: without a row or a class, or of no one shape.
_BY_VALUES = (
    (re.compile(r"out of range in self|out of bounds|not in the valid range", re.IGNORECASE), answer_index),
    (re.compile("each tensor to be equal size|storage that is not resizable"), answer_batch),
)
# What those of other kinds speak of: types of numbers, devices, and what a backend has no operation for.
_OF_OTHER_KINDS = re.compile(
    r"dtype|scalar type|Input type|result type|same device|on device|devices?:|not implemented for|Could not run|"
    r"complex|quanti[sz]ed|c10::|torch\.\w+Tensor|is on \w+, |CUDA|out of memory|bool tensor",
    re.IGNORECASE,
)
# Set while a call is made again, so that what is decorated inside of it is silent.
_EXPLAINING: ContextVar[bool] = ContextVar("explaining", default=False)


class explain_shapes(AbstractContextManager[None]):  # noqa: N801
    """A context, or a decorator, in which a model's errors about sizes say what is wrong, where, and what mends it.

    Modules and what stands between and behind them, as a loss, are explained alike. While there is no error, a step
    costs some microseconds for each function of torch; then what failed is made again with shapes only. Errors that
    are not about shapes pass as they are.

    As a decorator, ``@explain_shapes`` does the same for every call of a function or a method, as ``forward`` or
    Lightning's ``training_step``; name, documentation and signature of it stay. Raises UnconvError for what is no
    plain function: a class, a coroutine, a generator. ``explain_shapes(model, *inputs)`` calls a model in a context.

    >>> model = nn.Sequential(nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 14 * 14, 10))
    >>> import torch
    >>> with explain_shapes():
    ...     model(torch.zeros(1, 1, 28, 28))
    Traceback (most recent call last):
    unconv.network.shapes.explain_shapes.ShapeError: 3 takes 1176 features and gets 864: 2 makes them of 6×12×12
    ...
    """

    _tapes: list[Tape]

    def __new__(cls, function: Callable[..., Any] | None = None, *args: Any, **kwargs: Any) -> Any:
        """Also ``@explain_shapes``, without brackets, and the call of a model."""
        made = super().__new__(cls)
        # One may be entered again before it is left.
        made._tapes = []
        if isinstance(function, nn.Module):
            with made:
                return function(*args, **kwargs)
        if args or kwargs:
            raise UnconvError(f"explain_shapes: calls a torch.nn.Module with its inputs, not {_kind(function)}")
        return made if function is None else made(function)

    def __enter__(self) -> None:
        self._tapes.append(Tape())
        self._tapes[-1].__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tape = self._tapes.pop()
        tape.__exit__(kind, error, traceback)
        if isinstance(error, Exception):
            _explain_failure(error, lambda: _taped_call(tape, error, traceback))

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """The function, with its errors about sizes explained."""
        if not _is_plain(function):
            raise UnconvError(
                f"explain_shapes: decorates functions and methods, not {_kind(function)}; inside of it, write "
                "with uc.explain_shapes():"
            )

        @functools.wraps(function)
        def explained(*args: P.args, **kwargs: P.kwargs) -> T:
            if not args or not isinstance(args[0], nn.Module):
                with explain_shapes():
                    return function(*args, **kwargs)
            try:
                return function(*args, **kwargs)
            except Exception as error:
                _explain_failure(error, functools.partial(_find_call, function, args, kwargs, error))
                raise

        return explained


def _explain_failure(error: BaseException | None, find_call: Callable[[], Call | None]) -> None:
    """Raise the explanation of an error, if it is about sizes and its call is found."""
    kinds = RuntimeError | ValueError | TypeError | AssertionError | IndexError
    if not isinstance(error, kinds) or isinstance(error, UnconvError) or _EXPLAINING.get():
        return
    if _OF_OTHER_KINDS.search(str(error)):
        return
    for about, answers in _BY_VALUES:
        told = answers(error) if about.search(str(error)) else None
        if told is not None:
            raise ShapeError(told, ()) from error
    call = find_call()
    before = _EXPLAINING.set(True)
    try:
        explained = explain(*call, error=error) if call is not None else None
    finally:
        _EXPLAINING.reset(before)
    if explained is not None:
        raise explained from error


def _find_call(
    function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], error: Exception
) -> Call | None:
    """What failed in a call of a module's method: its ``forward``, a module that it calls, or the method itself."""
    traceback = error.__traceback__.tb_next if error.__traceback__ is not None else None
    module, *given = args
    its = getattr(type(module), "forward", None)
    if its is not None and inspect.unwrap(its) is inspect.unwrap(function):
        return module, given, kwargs, None
    outer = outermost_call(traceback)
    # A module without weights, as a loss, says little by itself: what came in was made outside of it.
    if outer is not None and next(outer[0].parameters(), None) is not None:
        return outer
    # A method does more than to compute; it is called again only where sizes are to blame.
    return (module, given, kwargs, function) if _ABOUT_SIZES.search(str(error)) else outer


def _taped_call(tape: Tape, error: Exception, traceback: TracebackType | None) -> Call | None:
    """What failed in a context: a module, or a function of what modules made."""
    outer = outermost_call(traceback)
    if outer is not None and next(outer[0].parameters(), None) is not None:
        return outer
    failure = tape.failure
    if outer is not None:
        # A module without weights, as a loss, says little by itself: what came in was made outside of it.
        module, args, kwargs, _ = outer
        failed = tape.step(module, args, kwargs)
    elif failure is not None and failure.error is error:
        failed = failure.step
    else:
        return None
    if not _ABOUT_SIZES.search(str(error)):
        return outer
    program = Program(tuple(steps_of(failed)))
    if not program.modules:
        return outer
    frame = traceback.tb_frame if traceback is not None else None
    names = {**frame.f_globals, **frame.f_locals} if frame is not None else {}
    model = program.modules[0] if len(program.modules) == 1 else gather_modules(program.modules, names)
    return model, program.inputs, {}, lambda _model, *inputs: program.run(*inputs)


def _is_plain(function: object) -> bool:
    """Whether calling it runs it: no class, no coroutine, no generator."""
    later = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return inspect.isfunction(function) and not any(is_kind(function) for is_kind in later)


def _kind(thing: object) -> str:
    if inspect.isclass(thing):
        return f"the class {thing.__name__}"
    if inspect.isfunction(thing):
        return f"the coroutine or generator {thing.__name__}"
    return f"{thing!r}"


def explain(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    method: Callable[..., Any] | None,
    error: Exception,
) -> ShapeError | None:
    """The error that says what does not fit in a call of a model, or of its method; None if that is not known.

    ``error`` is what the call failed by. What the call fails by when it is made again, with shapes only, explains it
    where both come up in the same place.
    """
    try:
        shown = replay(model, args, kwargs, method)
        if shown is None:
            return None
        recorder, sizes, again = shown
        if again is None or not fails_alike(error, again):
            return None
        # A method may fail for reasons of its own when there are only shapes; an operation that failed says enough.
        if method is not None and recorder.failed is None and not recorder.failed_functions:
            return None
        found = answer_shapes(recorder, sizes, again)
        if found is None:
            return None
        alone = len(args) == len(sizes) and all(isinstance(one, Tensor) for one in args)
        plain = alone and method is None and not kwargs
        stride = deepest_stride(build_graph(recorder, sizes)) if recorder.records else 1
        works = sizes_near(model, sizes, stride=stride, join=_join(recorder)) if found.by_input and plain else ()
        return ShapeError(found, works)
    except UnconvError:
        return None


def _join(recorder: Recorder) -> Join | None:
    """The join that failed, if one did."""
    failed = recorder.failed
    if failed is None or failed.operator.rstrip("_") not in JOINS:
        return None
    path, operator = recorder.stack[-1].path if recorder.stack else "", failed.operator.rstrip("_")
    before = [one for one in recorder.records if (one.run.path, one.outcome.operator) == (path, operator)]
    return path, operator, len(before)

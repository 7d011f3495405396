"""Arguments of the wrong kind, told by name: what a public function says in place of an error from its depths.

Nothing is checked before a call: whatever works may be given. Where a call ends in one of Python's own errors, its
arguments are held against the annotations, and the first that is of another kind is named.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import wraps
from operator import index
from os import PathLike
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from unconv.errors import ArgumentError, UnconvError

P = ParamSpec("P")
T = TypeVar("T")

RAW = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError, AssertionError)
# Characters of a value that stand in a message.
SHOWN = 60
# Entries of a list that are looked at.
MOST = 1000
# Entries of a list up to which it is written out.
FEW = 8
# Words of scikit-learn, SPORCO and others, and what they are called here.
ELSEWHERE = {
    "n_components": "n_kernels",
    "n_atoms": "n_kernels",
    "n_iter": "max_iter",
    "alpha": "penalty",
    "lmbda": "penalty",
    "reg": "penalty",
    "verbose": "progress",
    "seed": "random_state",
}
_PLAIN = (str, bytes, int, float, complex)
_LISTS = (Sequence, list, Iterable, Collection)

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    bytes: "bytes",
    dict: "a dict",
    Mapping: "a dict",
    PathLike: "a path",
    Callable: "a function",
}


def tell_wrong_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """A function that names the argument of the wrong kind where a call ends in an error of Python's own.

    >>> @tell_wrong_arguments
    ... def repeat(text: str, times: int = 2) -> str:
    ...     return text * times
    >>> repeat("ab", times="2")
    Traceback (most recent call last):
    unconv.errors.UnconvError: repeat: times is '2' (str); it takes a whole number

    Args:
        function: with annotations; what these do not tell is not looked at. Of a class it is what makes an instance.

    Raises :class:`~unconv.errors.UnconvError` for such an argument, :class:`~unconv.errors.ArgumentError`, a TypeError
    too, for one that the function has not; errors of any other origin pass.
    """

    if isinstance(function, type):
        made: Any = function
        made.__init__ = tell_wrong_arguments(made.__init__)
        return function

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except UnconvError:
            raise
        except RAW as error:
            wrong = find_wrong(function, args, kwargs)
            if wrong is None:
                raise
            raise (UnconvError if _binds(function, args, kwargs) else ArgumentError)(wrong) from error

    return call


def find_wrong(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """What is to be said of the first argument that its annotation does not allow; None where all are allowed.

    >>> def repeat(text: str, times: int = 2) -> str: ...
    >>> find_wrong(repeat, ["ab"], {"times": None})
    'repeat: times is None; it takes a whole number'
    """
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        return f"{_named(function)}: {error}; {_place_of(function, signature, kwargs)}"
    wrong = _first_wrong(function, signature, bound.arguments, _named(function))
    owner = bound.arguments.get("self")
    if wrong is None and hasattr(owner, "get_params"):
        # An estimator keeps what it is made of as it is, and works with it later.
        made: Any = vars(type(owner)).get("__init__", object.__init__)
        wrong = _first_wrong(made, inspect.signature(made), vars(owner), type(owner).__name__)
    return wrong


def _binds(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _place_of(function: Callable[..., Any], signature: inspect.Signature, kwargs: Mapping[str, Any]) -> str:
    """Where an argument belongs that is none: a field of another one, or one of nearly that name; else all names."""
    unknown = next((name for name in kwargs if name not in signature.parameters), None)
    every = ", ".join(name for name in signature.parameters if name != "self")
    if unknown is None:
        return f"its arguments are {every}"
    for name, parameter in signature.parameters.items():
        hint = _resolve(parameter.annotation, function)
        for kind in (hint, *get_args(hint)):
            if is_dataclass(kind) and isinstance(kind, type) and unknown in {one.name for one in fields(kind)}:
                return f"it is in {name}={kind.__name__}({unknown}=...)"
    here = ELSEWHERE.get(unknown)
    near = [here] if here in signature.parameters else get_close_matches(unknown, signature.parameters, 1)
    return f"its arguments are {every}" + (f"; the nearest name is {near[0]}" if near else "")


def _first_wrong(
    function: Callable[..., Any], signature: inspect.Signature, given: Mapping[str, Any], operation: str
) -> str | None:
    for name, parameter in signature.parameters.items():
        many = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if many or name not in given or name in ("self", "cls"):
            continue
        hint = _resolve(parameter.annotation, function)
        if not fits(given[name], hint):
            return f"{operation}: {name} is {show_value(given[name])}; it takes {describe(hint)}"
    return None


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind that an annotation tells; True where it tells none that can be looked at.

    >>> fits(3, int | None), fits("3", int | None), fits([1, "2"], Sequence[int]), fits("ab", Sequence[str])
    (True, False, False, False)
    """
    origin, inside = get_origin(hint), get_args(hint)
    if hint in (Any, object, inspect.Parameter.empty) or isinstance(hint, (str, TypeVar)):
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inside)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inside)
    if origin in _LISTS:
        # A text is one value, never a list of letters.
        return not isinstance(value, (str, bytes)) and _in_order(value, origin) and _all_fit(value, inside[:1])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, origin) and _all_fit([*value.values()], inside[1:])
    if origin is tuple:
        kinds = inside[:1] if inside[1:] == (...,) else inside
        long_enough = isinstance(value, (tuple, list)) and len(kinds) in (1, len(value))
        return long_enough and _all_fit(value, kinds)
    return _fits_class(value, origin or hint)


def _in_order(value: Any, kind: Any) -> bool:
    """Whether what stands for a list has an order, where that is asked for."""
    if kind in (Iterable, Collection):
        return isinstance(value, kind)
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, Mapping)


def _all_fit(values: Any, kinds: Sequence[Any]) -> bool:
    if not kinds or not hasattr(values, "__len__") or getattr(values, "shape", None) == ():
        return True
    return all(fits(one, kinds[min(n, len(kinds) - 1)]) for n, one in zip(range(MOST), values, strict=False))


def _fits_class(value: Any, cls: Any) -> bool:
    # Of jaxtyping: what is annotated beside the shape.
    cls = getattr(cls, "array_type", cls)
    if cls is Callable:
        return callable(value)
    if cls is bool:
        return isinstance(value, bool) or type(value).__name__ == "bool_"
    if cls in (int, float):
        return not isinstance(value, (bool, str, bytes)) and _converts(value, index if cls is int else float)
    try:
        return isinstance(value, cls)
    except TypeError:
        return True


def _converts(value: Any, convert: Callable[[Any], Any]) -> bool:
    try:
        convert(value)
    except Exception:
        return False
    return True


def describe(hint: Any) -> str:
    """The kind of value that an annotation tells, in words.

    >>> describe(int | Sequence[int] | None), describe(Literal["crop", "valid"])
    ('a whole number, a list of whole numbers, or None', 'crop or valid')
    """
    origin, inside = get_origin(hint), get_args(hint)
    if hint is None or hint is type(None):
        return "None"
    if origin in (Union, types.UnionType):
        *most, last = dict.fromkeys(map(describe, inside))
        return f"{', '.join(most)}{',' if len(most) > 1 else ''} or {last}" if most else last
    if origin is Literal:
        *names, last = map(str, inside)
        return f"{', '.join(names)} or {last}" if names else last
    if origin in _LISTS or origin is tuple:
        of = _plural(describe(inside[0])) if inside and inside[0] is not Any else ""
        return f"a list{of and ' of '}{of}"
    cls = getattr(hint, "array_type", origin or hint)
    if cls in _WORDS:
        return _WORDS[cls]
    module = getattr(cls, "__module__", "").split(".")[0]
    name = getattr(cls, "__name__", str(cls))
    return {"Tensor": "a tensor", "Module": "a module of torch", "Path": "a path"}.get(name, f"a {module}.{name}")


def _plural(words: str) -> str:
    return " or ".join(one.removeprefix("a ").removeprefix("an ") + "s" for one in words.split(" or "))


def show_value(value: Any) -> str:
    """A value as it stands in a message: short ones written out, with their type unless that is plain.

    >>> show_value("x"), show_value(None), show_value([1] * 90), show_value(print)
    ("'x' (str)", 'None', 'a list of 90', 'print (builtin_function_or_method)')
    """
    kind = type(value).__name__
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}, not an instance of it"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} of shape {tuple(shape)}"
    if isinstance(value, _PLAIN) or (isinstance(value, (list, tuple, dict, set)) and len(value) <= FEW):
        text = repr(value)
        return f"{text if len(text) <= SHOWN else text[:SHOWN] + '…'} ({kind})".replace("\n", " ")
    if isinstance(value, (list, tuple, dict, set)):
        return f"a {kind} of {len(value)}"
    name = getattr(value, "__name__", None)
    return f"{name} ({kind})" if isinstance(name, str) else f"a {kind}"


def _named(function: Callable[..., Any]) -> str:
    name = getattr(function, "__qualname__", str(function)).removesuffix(".__init__")
    return name.rpartition("<locals>.")[2]


def _resolve(annotation: Any, function: Callable[..., Any]) -> Any:
    """An annotation that was written as text, as what it means; itself where its names are not known here."""
    if not isinstance(annotation, str):
        return annotation
    names = {**vars(sys.modules.get("typing", types)), **getattr(inspect.unwrap(function), "__globals__", {})}
    try:
        return eval(annotation, names)
    except Exception:
        # Names that are imported for type checkers alone.
        return Any

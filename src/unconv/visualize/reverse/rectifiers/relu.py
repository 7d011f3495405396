"""ReLU with a rule for its way back, as cheap as torch's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import ref

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.visualize.reverse.rectifiers.calls import Call, Slot
from unconv.visualize.reverse.rules import Back

# As torch spells it: by identity, for others have the same name.
RELUS = frozenset({F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_})


_CALL = Call("relu", torch.relu, (Slot(0),), {})
_OWN: ContextVar[bool] = ContextVar("own way back", default=False)


def goes_own_way() -> bool:
    """Whether rectifiers go back by their own gradient just now: they are parts of one that is reversed as a whole."""
    return _OWN.get()


@contextmanager
def own_way() -> Iterator[None]:
    """In here rectifiers go back by their own gradient."""
    token = _OWN.set(True)
    try:
        yield
    finally:
        _OWN.reset(token)


class ReversedReLU(torch.autograd.Function):
    """ReLU, which most rectifiers are: nothing is copied to rectify in place, and no graph is kept inside the graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, back: Back, in_place: bool) -> Tensor:
        ctx.back, ctx.rectifier, ctx.spelled, ctx.source = back, "relu", _CALL, ref(x)
        y = x.relu_() if in_place else x.relu()
        if in_place:
            ctx.mark_dirty(x)
        ctx.save_for_backward(y)
        ctx.copy = None
        return y

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        y = ctx.saved_tensors[0] if ctx.copy is None else ctx.copy

        def pull(signal: Tensor) -> Tensor:
            passed: Tensor = torch.ops.aten.threshold_backward(signal, y, 0)
            return passed

        return pull(signals[0]) if goes_own_way() else ctx.back(signals[0], pull), None, None


def keep_before(changed: Tensor) -> None:
    """What a ReLU returned is needed on the way back: keep a copy before it is overwritten."""
    node: Any = changed.grad_fn
    backward_of_relu: Any = ReversedReLU._backward_cls
    if node is not None and node.__class__ == backward_of_relu and node.copy is None:
        node.copy = changed.detach().clone()


def changes_in_place(func: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a torch function overwrites its first argument.

    >>> [changes_in_place(func, {}) for func in (Tensor.add_, Tensor.__iadd__, Tensor.__setitem__, Tensor.__add__)]
    [True, True, True, False]
    """
    name = getattr(func, "__name__", "")
    return name in _IN_PLACE or (name.endswith("_") and not name.endswith("__")) or bool(kwargs.get("inplace"))


# x += y, and so on; x[...] = y.
_IN_PLACE = frozenset(
    {"__setitem__"}
    | {f"__i{name}__" for name in ("add", "sub", "mul", "div", "truediv", "floordiv", "mod", "pow")}
    | {f"__i{name}__" for name in ("and", "or", "xor", "lshift", "rshift")}
)

"""A mode of torch in which every rectifier goes back by a reverse rule, however it is written.

One place applies the rule to all of them: a mode that sees every call of a torch function, not a hook on ``nn.ReLU``.
Convolutions and batch norm are recognised here, too, and given a way back that is equal to autograd's and quicker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.autograd.graph import get_gradient_edge
from torch.overrides import TorchFunctionMode

from unconv.visualize.cone.convolution import convolve_on_cone
from unconv.visualize.cone.kernels import CONVOLUTIONS
from unconv.visualize.reverse.batch_norm import LatestConvolution, normalise
from unconv.visualize.reverse.rectifiers.calls import Call, Slot
from unconv.visualize.reverse.rectifiers.detached import put_back, tensors_in
from unconv.visualize.reverse.rectifiers.follow import Composite, Follower
from unconv.visualize.reverse.rectifiers.relu import (
    RELUS,
    ReversedReLU,
    changes_in_place,
    goes_own_way,
    keep_before,
    own_way,
)
from unconv.visualize.reverse.rectifiers.spellings import recognise
from unconv.visualize.reverse.rules import Back, Pull, find_rule


class Reversed(torch.autograd.Function):
    """A rectifier whose forward pass is its own and whose way back is a rule."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: tuple[Tensor], pull: Pull, back: Back, rectifier: str, spelled: Call | None = None
    ) -> Tensor:
        ctx.pull, ctx.back, ctx.rectifier, ctx.spelled, ctx.source = pull, back, rectifier, spelled, ref(x)
        # No argument of its own: that would be given back as a view, which nothing may overwrite.
        return y[0]

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        signal = signals[0]
        return ctx.pull(signal) if goes_own_way() else ctx.back(signal, ctx.pull), *(None,) * 5


class RuleMode(TorchFunctionMode):
    """While active, every rectifier that is called on a tensor with gradient goes back by the rule of that name.

    >>> x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    >>> with RuleMode("deconvnet"):
    ...     y = torch.relu(x)
    >>> y.backward(torch.tensor([5.0, -5.0, 5.0]))
    >>> x.grad
    tensor([5., 0., 5.])
    """

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = find_rule(rule)
        self._latest: LatestConvolution | None = None
        self._follower = Follower(self._reverse)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        changes = changes_in_place(func, kwargs)
        if changes and args and isinstance(args[0], Tensor):
            keep_before(args[0])
        if torch.is_grad_enabled():
            if func in CONVOLUTIONS:
                return self._convolve(func, args, kwargs)
            if func is F.batch_norm:
                return self._normalise(func, args, kwargs)
            rectifier = recognise(func, args, kwargs)
            if rectifier is not None:
                return self._rectify(func, args, kwargs, rectifier, changes)
        return self._follower.call(func, args, kwargs)

    def _convolve(self, func: Any, args: Any, kwargs: Any) -> Any:
        self._follower.settle(args)
        result = convolve_on_cone(args, kwargs)
        x = args[0] if args else kwargs["input"]
        self._latest = None if result is None else LatestConvolution(x, x._version, result)
        result = func(*args, **kwargs) if result is None else result
        self._follower.note_mixed(result, func, args, kwargs)
        return result

    def _normalise(self, func: Any, args: Any, kwargs: Any) -> Any:
        self._follower.settle(args)
        named = {"x" if name == "input" else name: value for name, value in kwargs.items()}
        result = normalise(*args, latest=self._latest, **named)
        self._latest = None
        result = func(*args, **kwargs) if result is None else result
        self._follower.note_mixed(result, func, args, kwargs)
        return result

    def _rectify(self, func: Any, args: Any, kwargs: Any, rectifier: tuple[str, int], changes: bool) -> Any:
        name, index = rectifier
        x = args[index] if args else kwargs["input"]
        if not x.requires_grad:
            return self._follower.call(func, args, kwargs)
        self._follower.settle(args)
        in_place = changes or (func is F.relu and len(args) > 1 and bool(args[1]))
        if func in RELUS and not (in_place and (x.is_leaf or x._is_view())):
            return ReversedReLU.apply(x, self.rule.back_of_relu or self.rule.back, in_place)

        def rectify(x: Tensor) -> Tensor:
            copy = x.clone() if in_place else x
            result = (
                func(*args[:index], copy, *args[index + 1 :], **kwargs) if args else func(**kwargs | {"input": copy})
            )
            return result if isinstance(result, Tensor) else copy

        y, pull = value_and_pull(rectify, x.detach())
        if y.shape != x.shape:
            # Not element by element: a bound that broadcasts.
            return self._follower.call(func, args, kwargs)
        slotted = (*args[:index], Slot(0), *args[index + 1 :]) if args else ()
        named = kwargs if args else kwargs | {"input": Slot(0)}
        call = Call(name, func, slotted, named, in_place, tuple(tensors_in((slotted, named))))
        result: Tensor = Reversed.apply(x, (y,), pull, self.rule.back, name, call)
        if not in_place:
            return result
        overwrite(x, result)
        if not x._is_view():
            self._follower.stand_for(x, result)
        return x

    def _reverse(self, composite: Composite) -> Tensor:
        """A rectifier that the model composes of several operations: what these return goes back by the rule."""
        place, raw, curve = composite.place, composite.result, composite.curve
        assert place is not None
        inside, outside = get_gradient_edge(raw), place.edge

        def pull(signal: Tensor) -> Tensor:
            with own_way():
                return torch.autograd.grad((inside,), (outside,), (signal,), retain_graph=True)[0]

        result: Tensor = Reversed.apply(
            place.tensor, (raw.detach(),), pull, scale_back(self.rule.back, curve.scale), curve.name
        )
        return overwrite(raw, result) if composite.in_place else result


def overwrite(x: Tensor, result: Tensor) -> Tensor:
    """Make x itself the result of an in-place function: the caller may ignore what the function returns."""
    if x._is_view():
        return put_back(x, result)
    # Else autograd sends zeros back to what is overwritten; the result holds the history already.
    x.detach_()
    if x.data_ptr() != result.data_ptr():
        return x.copy_(result)
    # The same numbers: what was kept of them for the way back is still true.
    with _unsafe_preserve_version_counter(x):
        return x.copy_(result)


def scale_back(back: Back, scale: float | Tensor) -> Back:
    """What becomes of the signal at a multiple of a rectifier: that of the rectifier, behind a scaling.

    >>> scale_back(find_rule("deconvnet").back, 3.0)(torch.tensor([-1.0, 2.0]), lambda signal: signal)
    tensor([0., 6.])
    """
    if isinstance(scale, float) and scale == 1:
        return back

    def scaled(signal: Tensor, pull: Pull) -> Tensor:
        factor = scale if isinstance(scale, float) else scale.to(signal)
        return back(signal * factor, lambda one: pull(one / factor))

    return scaled


def value_and_pull(
    rectify: Callable[[Tensor], Tensor], x: Float[Tensor, "*shape"]
) -> tuple[Float[Tensor, "*out_shape"], Pull]:
    """f(x), and g ↦ f′(x)·g as torch has it: no rectifier's formula is written here a second time.

    >>> y, pull = value_and_pull(torch.relu, torch.tensor([-1.0, 2.0]))
    >>> y, pull(torch.tensor([5.0, 5.0]))
    (tensor([0., 2.]), tensor([0., 5.]))
    """
    with torch.enable_grad():
        y = rectify(x.requires_grad_())

    def pull(signal: Tensor) -> Tensor:
        return torch.autograd.grad(y, x, signal, retain_graph=True)[0]

    return y.detach(), pull

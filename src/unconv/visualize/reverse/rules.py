"""Reverse rules: what a rectifier does to the signal that walks back from a unit to the pixels.

Everything else on the way back is autograd, or equal to it and quicker (``cone``, ``norm``): a convolution gives Cᵀ,
max pooling gives unpooling with its switches, batch norm in evaluation gives its scale. Only the rectifiers differ
between the methods, and one place applies the rule to all of them, however they are written: a mode that sees every
call of a torch function, not a hook on ``nn.ReLU``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from unconv.errors import UnconvError
from unconv.visualize.cone.convolution import convolved
from unconv.visualize.cone.kernels import CONVOLUTIONS
from unconv.visualize.reverse.batch_norm import Latest, normed
from unconv.visualize.reverse.relu import RELUS, Pull, ReversedReLU, Rule, changes_in_place, keep_before


def deconvnet(signal: Float[Tensor, "*shape"], _pull: Pull) -> Float[Tensor, "*shape"]:
    """Rectify the signal and forget the forward pass: g ↦ max(g, 0) (Zeiler & Fergus 2013, section 2.1).

    >>> deconvnet(torch.tensor([-2.0, 3.0]), lambda signal: 0 * signal)
    tensor([0., 3.])
    """
    return signal.clamp(min=0)


def guided(signal: Float[Tensor, "*shape"], pull: Pull) -> Float[Tensor, "*shape"]:
    """Rectify the signal and keep the forward pass: g ↦ f′(x)·max(g, 0) (Springenberg et al. 2014, section 3.4).

    >>> guided(torch.tensor([-2.0, 3.0, 3.0]), lambda signal: torch.tensor([1.0, 1.0, 0.0]) * signal)
    tensor([0., 3., 0.])
    """
    return pull(signal.clamp(min=0))


def gradient(signal: Float[Tensor, "*shape"], pull: Pull) -> Float[Tensor, "*shape"]:
    """Follow the derivative of the forward pass: g ↦ f′(x)·g (Simonyan et al. 2013, section 3).

    >>> gradient(torch.tensor([-2.0, 3.0]), lambda signal: torch.tensor([1.0, 0.0]) * signal)
    tensor([-2., 0.])
    """
    return pull(signal)


def _guided_relu(signal: Tensor, pull: Pull) -> Tensor:
    # f′ is 0 or 1, so that its product may come first: it is a tensor of its own, to be rectified in place.
    return pull(signal).clamp_(min=0)


REVERSE_RULES: Mapping[str, Rule] = {"deconvnet": deconvnet, "guided": guided, "gradient": gradient}

RECTIFIERS = frozenset(
    {
        "relu",
        "relu6",
        "leaky_relu",
        "prelu",
        "rrelu",
        "elu",
        "selu",
        "celu",
        "silu",
        "gelu",
        "hardswish",
        "mish",
        "softplus",
    }
)


def find_rule(name: str) -> Rule:
    """The rule of that name.

    >>> find_rule("guided") is guided
    True
    """
    try:
        return REVERSE_RULES[name]
    except (KeyError, TypeError):
        raise UnconvError(f"rule: {name!r} is not one of {', '.join(REVERSE_RULES)}") from None


class Reversed(torch.autograd.Function):
    """A rectifier whose forward pass is its own and whose way back is a rule."""

    @staticmethod
    def forward(ctx: Any, _x: Tensor, y: Tensor, pull: Pull, rule: Rule, rectifier: str) -> Tensor:
        ctx.pull, ctx.rule, ctx.rectifier = pull, rule, rectifier
        return y

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        return ctx.rule(signals[0], ctx.pull), None, None, None, None


class ReverseRule(TorchFunctionMode):
    """While active, every rectifier that is called on a tensor with gradient goes back by the rule of that name.

    >>> x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    >>> with ReverseRule("deconvnet"):
    ...     y = torch.relu(x)
    >>> y.backward(torch.tensor([5.0, -5.0, 5.0]))
    >>> x.grad
    tensor([5., 0., 5.])
    """

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = find_rule(rule)
        self._latest: Latest | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        changes = changes_in_place(func, kwargs)
        if changes and args and isinstance(args[0], Tensor):
            keep_before(args[0])
        if func in CONVOLUTIONS and torch.is_grad_enabled():
            result = convolved(args, kwargs)
            x = args[0] if args else kwargs["input"]
            self._latest = None if result is None else Latest(x, x._version, result)
            return func(*args, **kwargs) if result is None else result
        if func is F.batch_norm and torch.is_grad_enabled():
            named = {"x" if name == "input" else name: value for name, value in kwargs.items()}
            result = normed(*args, latest=self._latest, **named)
            self._latest = None
            return func(*args, **kwargs) if result is None else result
        rectifier = recognise(func, args, kwargs)
        if rectifier is None or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        name, index = rectifier
        x = args[index] if args else kwargs["input"]
        if not x.requires_grad:
            return func(*args, **kwargs)
        in_place = changes or (func is F.relu and len(args) > 1 and bool(args[1]))
        if func in RELUS and not (in_place and (x.is_leaf or x._is_view())):
            return ReversedReLU.apply(x, _guided_relu if self.rule is guided else self.rule, in_place)

        def rectify(x: Tensor) -> Tensor:
            copy = x.clone() if in_place else x
            result = (
                func(*args[:index], copy, *args[index + 1 :], **kwargs) if args else func(**kwargs | {"input": copy})
            )
            return result if isinstance(result, Tensor) else copy

        y, pull = value_and_pull(rectify, x.detach())
        if y.shape != x.shape:
            # Not element by element: a bound that broadcasts.
            return func(*args, **kwargs)
        result = Reversed.apply(x, y, pull, self.rule, name)
        return become(x, result) if in_place else result


def become(x: Tensor, result: Tensor) -> Tensor:
    """Make x itself the result of an in-place function: the caller may ignore what the function returns."""
    if not x._is_view():
        # Else autograd sends zeros back to what is overwritten; the result holds the history already.
        x.detach_()
    return x.copy_(result)


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


def recognise(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, int] | None:
    """Which rectifier a call of a torch function is, and which argument it rectifies; None for everything else.

    torch spells one rectifier in many ways (``nn.ReLU``, ``F.relu``, ``x.relu_()``, ``x.clamp(min=0)``), but all
    arrive here under the name of the function. Bounds decide the rest: ``hardtanh`` from 0 to 6 is ReLU6, from −1 to 1
    it squashes and is no rectifier.

    >>> recognise(torch.clamp, (torch.ones(2),), {"min": 0}), recognise(torch.clamp, (torch.ones(2), -1, 1), {})
    (('relu', 0), None)
    """
    name = getattr(func, "__name__", "").strip("_")
    if name in RECTIFIERS:
        return name, 0
    if name in _BOUNDS:
        return _clamped(*(_argument(args, kwargs, *bound) for bound in _BOUNDS[name]))
    if name == "threshold":
        keeps_zero = _is_zero(_argument(args, kwargs, 2, "value", None))
        return ("threshold", 0) if keeps_zero else None
    if name in ("maximum", "max", "fmax"):
        return _maximum(args, kwargs)
    return None


# For each clipping function: where its lower and its upper bound stand, and what they are when left out.
_BOUNDS: Mapping[str, tuple[tuple[int, str, Any], ...]] = {
    "clamp": ((1, "min", None), (2, "max", None)),
    "clip": ((1, "min", None), (2, "max", None)),
    "clamp_min": ((1, "min", None),),
    "hardtanh": ((1, "min_val", -1.0), (2, "max_val", 1.0)),
}


def _clamped(lower: Any, upper: Any = None) -> tuple[str, int] | None:
    if not _is_zero(lower):
        return None
    if upper is None:
        return "relu", 0
    return ("relu6" if _equals(upper, 6.0) else "clamp"), 0


def _maximum(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, int] | None:
    if len(args) != 2 or kwargs or not all(isinstance(argument, Tensor) for argument in args):
        return None
    if _is_zero(args[1]):
        return "relu", 0
    if _is_zero(args[0]):
        return "relu", 1
    return None


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], index: int, name: str, default: Any) -> Any:
    return args[index] if len(args) > index else kwargs.get(name, default)


def _is_zero(value: Any) -> bool:
    return _equals(value, 0.0)


def _equals(value: Any, number: float) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad and value.numel() > 0 and bool((value == number).all())
    return isinstance(value, Real) and float(value) == number

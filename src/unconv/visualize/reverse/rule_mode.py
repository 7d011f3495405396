"""A mode of torch in which every rectifier goes back by a reverse rule, however it is written.

One place applies the rule to all of them: a mode that sees every call of a torch function, not a hook on ``nn.ReLU``.
Convolutions and batch norm are recognised here, too, and given a way back that is equal to autograd's and quicker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from unconv.visualize.cone.convolution import convolve_on_cone
from unconv.visualize.cone.kernels import CONVOLUTIONS
from unconv.visualize.reverse.batch_norm import LatestConvolution, normalise
from unconv.visualize.reverse.rectifiers import recognise
from unconv.visualize.reverse.relu import RELUS, ReversedReLU, changes_in_place, keep_before
from unconv.visualize.reverse.rules import Back, Pull, find_rule


class Reversed(torch.autograd.Function):
    """A rectifier whose forward pass is its own and whose way back is a rule."""

    @staticmethod
    def forward(ctx: Any, _x: Tensor, y: Tensor, pull: Pull, back: Back, rectifier: str) -> Tensor:
        ctx.pull, ctx.back, ctx.rectifier = pull, back, rectifier
        return y

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        return ctx.back(signals[0], ctx.pull), None, None, None, None


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

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        changes = changes_in_place(func, kwargs)
        if changes and args and isinstance(args[0], Tensor):
            keep_before(args[0])
        if func in CONVOLUTIONS and torch.is_grad_enabled():
            result = convolve_on_cone(args, kwargs)
            x = args[0] if args else kwargs["input"]
            self._latest = None if result is None else LatestConvolution(x, x._version, result)
            return func(*args, **kwargs) if result is None else result
        if func is F.batch_norm and torch.is_grad_enabled():
            named = {"x" if name == "input" else name: value for name, value in kwargs.items()}
            result = normalise(*args, latest=self._latest, **named)
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
            return func(*args, **kwargs)
        result = Reversed.apply(x, y, pull, self.rule.back, name)
        return overwrite(x, result) if in_place else result


def overwrite(x: Tensor, result: Tensor) -> Tensor:
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

"""Weights that a layer computes of others: parametrisations, weight and spectral normalisation by hooks, pruning."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from unconv.errors import UnconvError, one_line
from unconv.network.run.model_state import at_rest

# Steps of the power iteration after which the norm of a changed weight is known to about a thousandth.
STEPS = 50


# The part of torch's quantised linear layers that holds their weights.
_PACKED = "LinearPackedParams"


def has_parts(module: nn.Module) -> bool:
    """Whether a module is made of others; what computes, or packs, its weights is none of these.

    >>> has_parts(nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))), has_parts(nn.Sequential(nn.ReLU()))
    (False, True)
    """
    own = getattr(module, "parametrizations", None) if is_parametrized(module) else None
    return any(child is not own and type(child).__name__ != _PACKED for child in module.children())


def class_name(module: nn.Module) -> str:
    """The name of a module's class, as it was before parametrisations changed it.

    >>> class_name(nn.utils.parametrizations.weight_norm(nn.Linear(2, 3)))
    'Linear'
    """
    return type_before_parametrizations(module).__name__


def computed_by(module: nn.Module) -> str:
    """What computes a module's ``weight``, in a few words; "" where it is a parameter of its own, or there is none.

    >>> computed_by(nn.utils.parametrizations.spectral_norm(nn.Linear(2, 3))), computed_by(nn.Linear(2, 3))
    ('spectral_norm', '')
    """
    if is_parametrized(module, "weight"):
        parts: Any = module.parametrizations
        return " and ".join(_NAMES.get(type(part).__name__, type(part).__name__) for part in parts["weight"])
    if "weight" in module._parameters or not isinstance(vars(module).get("weight"), Tensor):
        return ""
    hooks = _hooks(module)
    return " and ".join(_NAMES.get(type(hook).__name__, type(hook).__name__) for hook in hooks) or "code of its own"


def weight_of(module: nn.Module | None) -> Tensor | None:
    """The weight with which a module computes in evaluation mode; None where it has none, or how is not known.

    One that is computed of others is computed anew: an attribute that a hook has set may be that of an earlier pass.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> weight_of(layer).shape, weight_of(nn.ReLU())
    (torch.Size([3, 2]), None)
    """
    if module is None or not computed_by(module):
        weight = getattr(module, "weight", None)
        return weight if isinstance(weight, Tensor) else None
    hooks = _hooks(module)
    with at_rest(module, frozen=False), torch.no_grad():
        if is_parametrized(module, "weight"):
            computed: Any = module.weight
        elif len(hooks) == 1:
            computed = _compute(hooks[0], module)
        else:
            return None
        return computed.clone() if isinstance(computed, Tensor) else None


def set_weight(module: nn.Module, weight: Tensor) -> None:
    """Give a module a weight, through what that is computed of: what computes it is the same as before.

    Spectral normalisation divides the weight by its norm again.

    Raises :class:`~unconv.errors.UnconvError` where the weight cannot be reached, in one line with the reason.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> set_weight(layer, torch.ones(3, 2)); layer.weight
    tensor([[1., 1.],
            [1., 1.],
            [1., 1.]], grad_fn=<WeightNormInterfaceBackward0>)
    """
    by = computed_by(module)
    hooks = _hooks(module)
    layer: Any = module
    with torch.no_grad():
        if not by:
            layer.weight.copy_(weight)
        elif is_parametrized(module, "weight"):
            try:
                layer.weight = weight
            except Exception as error:
                raise UnconvError(f"weight: {by} computes it, and cannot be given one: {one_line(error)}") from error
            _settle(module)
        elif len(hooks) == 1 and isinstance(hooks[0], WeightNorm):
            layer.weight_v.copy_(weight)
            layer.weight_g.copy_(torch.norm_except_dim(weight, 2, hooks[0].dim))
            layer.weight = hooks[0].compute_weight(module)
        elif len(hooks) == 1 and isinstance(hooks[0], SpectralNorm):
            layer.weight_orig.copy_(weight)
            for _ in range(STEPS):
                layer.weight = hooks[0].compute_weight(module, do_power_iteration=True)
        else:
            raise UnconvError(f"weight: {by} computes it, and cannot be given one")


def detached_weights(model: nn.Module) -> dict[int, Any]:
    """A memo for :func:`copy.deepcopy`, which takes no tensors that were computed: detached copies of these.

    >>> import copy
    >>> class Keeps(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = nn.Parameter(torch.ones(3))
    ...         self.weight = 2 * self.scale
    >>> model = Keeps()
    >>> copy.deepcopy(model, detached_weights(model)).weight
    tensor([2., 2., 2.])
    """
    held = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return {id(one): one.detach().clone() for one in held if not one.is_leaf}


_NAMES = {
    "_WeightNorm": "weight_norm",
    "_SpectralNorm": "spectral_norm",
    "_Orthogonal": "orthogonal",
    "WeightNorm": "weight_norm",
    "SpectralNorm": "spectral_norm",
}


def _hooks(module: nn.Module) -> list[Any]:
    """The hooks that compute the weight before each pass."""
    names = [(hook, getattr(hook, "name", getattr(hook, "_tensor_name", None))) for hook in _before(module)]
    return [hook for hook, name in names if name == "weight"]


def _before(module: nn.Module) -> list[Any]:
    return list(module._forward_pre_hooks.values())


def _compute(hook: Any, module: nn.Module) -> Any:
    if isinstance(hook, WeightNorm):
        return hook.compute_weight(module)
    if isinstance(hook, SpectralNorm):
        return hook.compute_weight(module, do_power_iteration=False)
    return hook.apply_mask(module) if isinstance(hook, BasePruningMethod) else None  # type: ignore[no-untyped-call]


def _settle(module: nn.Module) -> None:
    """Run what a parametrisation does in each step of training, as power iterations, until it has come to an end."""
    parts: Any = module.parametrizations
    if not any(type(part).__name__ == "_SpectralNorm" for part in parts["weight"]):
        return
    modes = [(part, part.training) for part in parts["weight"]]
    for part, _ in modes:
        part.training = True
    for _ in range(STEPS):
        _ = module.weight
    for part, training in modes:
        part.training = training

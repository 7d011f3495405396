"""Names of parametrised weights: of torch's older weight_norm and spectral_norm, and of the newer ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

# The older name and the newer one of each tensor, behind the name of its layer.
_NAMES = (
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
    ("weight_orig", "parametrizations.weight.original"),
    ("weight_u", "parametrizations.weight.0._u"),
    ("weight_v", "parametrizations.weight.0._v"),
)


def rename_parametrised(state: Mapping[str, Tensor], own: Collection[str]) -> dict[str, Tensor]:
    """The tensors by the names that a network has for them, be they torch's older or newer ones.

    >>> list(rename_parametrised({"fc.weight_g": Tensor()}, {"fc.parametrizations.weight.original0"}))
    ['fc.parametrizations.weight.original0']
    """
    return {_own_name(name, own): tensor for name, tensor in state.items()}


def _own_name(name: str, own: Collection[str]) -> str:
    if name in own:
        return name
    for pair in _NAMES:
        for there, here in (pair, pair[::-1]):
            layer = f".{name}".removesuffix(f".{there}")
            if layer != f".{name}" and (other := f"{layer}.{here}".removeprefix(".")) in own:
                return other
    return name

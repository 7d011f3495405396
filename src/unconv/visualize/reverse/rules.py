"""Reverse rules: what a rectifier does to the signal that walks back from a unit to the pixels.

Everything else on the way back is autograd, or equal to it and quicker: a convolution gives Cᵀ, max pooling gives
unpooling with its switches, batch norm in evaluation gives its scale. Only the rectifiers differ between the methods.

A rule is one value, and all that is known of it stands in it; a new one is written here and listed in
``REVERSE_RULES``. Torch is not needed for that, so that the command line can list the rules at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from unconv.errors import UnconvError

if TYPE_CHECKING:
    from torch import Tensor

# The way back of a rectifier itself: g ↦ f′(x)·g.
Pull: TypeAlias = "Callable[[Tensor], Tensor]"
# What becomes of the signal g, given that.
Back: TypeAlias = "Callable[[Tensor, Pull], Tensor]"


@dataclass(frozen=True)
class Rule:
    """A reverse rule, for a rectifier f with input x and the signal g that comes back to it.

    Attributes:
        name: by which it is asked for.
        formula: what becomes of g, as people write it.
        paper: where it is from, in short.
        reference: the same in full.
        back: what becomes of g, as code: one statement.
        asks: for which values of g it asks for f′(x), and so for the picture; None where it never does, so that the
            switches of max-poolings are all that it keeps of the forward pass.
        caveat: what its images can and cannot show, in a sentence or two with the papers that say so.
        back_of_relu: the same as ``back`` for ReLU alone, where that is quicker.

    >>> import torch
    >>> GUIDED.back(torch.tensor([-2.0, 3.0, 3.0]), lambda signal: torch.tensor([1.0, 1.0, 0.0]) * signal)
    tensor([0., 3., 0.])
    """

    name: str
    formula: str
    paper: str
    reference: str
    back: Back
    asks: Callable[[Tensor], Tensor] | None
    caveat: str
    back_of_relu: Back | None = None


# Rectify the signal and forget the forward pass: section 2.1.
DECONVNET = Rule(
    name="deconvnet",
    formula="max(g, 0)",
    paper="Zeiler & Fergus 2013",
    reference="M. D. Zeiler, R. Fergus. Visualizing and Understanding Convolutional Networks. 2013. arXiv:1311.2901",
    back=lambda signal, _pull: signal.clamp(min=0),
    asks=None,
    caveat="A deconvnet image owes its likeness to the picture to the switches of the max-poolings and depends little "
    "on the unit (Mahendran & Vedaldi 2016).",
)
# Rectify the signal and keep the forward pass: section 3.4.
GUIDED = Rule(
    name="guided",
    formula="f′(x) · max(g, 0)",
    paper="Springenberg et al. 2014",
    reference="J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller. Striving for Simplicity: The All "
    "Convolutional Net. 2014. arXiv:1412.6806",
    back=lambda signal, pull: pull(signal.clamp(min=0)),
    asks=lambda signal: signal > 0,
    caveat="Guided images show which edges inside the field the unit can have used. Much of that is the picture "
    "itself, and stays when the weights of upper layers are randomised (Nie et al. 2018; Adebayo et al. 2018; Sixt et "
    "al. 2020).",
    # f′ is 0 or 1, so that its product may come first: it is a tensor of its own, to be rectified in place.
    back_of_relu=lambda signal, pull: pull(signal).clamp_(min=0),
)
# Follow the derivative of the forward pass: section 3.
GRADIENT = Rule(
    name="gradient",
    formula="f′(x) · g",
    paper="Simonyan et al. 2013",
    reference="K. Simonyan, A. Vedaldi, A. Zisserman. Deep Inside Convolutional Networks. 2013. arXiv:1312.6034",
    back=lambda signal, pull: pull(signal),
    asks=lambda signal: signal != 0,
    caveat="The derivative is local: it tells which pixels would change the unit's value, not what the unit looks for.",
)

REVERSE_RULES: Mapping[str, Rule] = {rule.name: rule for rule in (DECONVNET, GUIDED, GRADIENT)}
# In place of a name, where a rule can be chosen for a network.
AUTO = "auto"


def find_rule(name: Any, *others: str) -> Rule:
    """The rule of that name; ``others`` is what else could have been said, for the message.

    >>> find_rule("guided") is GUIDED
    True
    """
    try:
        return REVERSE_RULES[name]
    except (KeyError, TypeError):
        raise UnconvError(f"rule: {name!r} is not one of {', '.join([*others, *REVERSE_RULES])}") from None


def choose_rule(switches: int) -> tuple[str, str]:
    """The rule for a network with so many max-poolings on the way to its deepest layer, and the reason in words.

    Deconvnet where there are switches, which are all that a deconvnet image keeps of the forward pass; else guided
    (Springenberg et al. 2014, section 3.4).

    >>> choose_rule(5)
    ('deconvnet', 'chosen because 5 max-poolings lie on the way, whose switches a deconvnet image needs')
    """
    if switches:
        pools = "1 max-pooling lies" if switches == 1 else f"{switches} max-poolings lie"
        return DECONVNET.name, f"chosen because {pools} on the way, whose switches a {DECONVNET.name} image needs"
    return (
        GUIDED.name,
        f"chosen because no max-pooling lies on the way, and so no switches for a {DECONVNET.name} image",
    )


def rule_help(auto: bool = False) -> str:
    """The names of the rules as a help text lists them.

    >>> rule_help(auto=True)
    'deconvnet, guided, gradient...; auto: deconvnet where max-pooling is, else guided.'
    """
    names = ", ".join(REVERSE_RULES)
    return f"{names}; {AUTO}: {DECONVNET.name} where max-pooling is, else {GUIDED.name}." if auto else f"{names}."

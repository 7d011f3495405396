"""The numbered relations of Dumoulin & Visin (2016), *A guide to convolution arithmetic for deep learning*.

One axis in, and out comes the number of the most specific relation that holds, its formula, and the formula with the
numbers put in. What the guide has no relation for (uneven padding, ``ceil_mode``, padded pooling, dilated transposed
convolution) has no number, and a formula of the same form.
"""

from __future__ import annotations

from dataclasses import dataclass

FORMULAS = {
    1: "o = {i} − {k} + 1",
    2: "o = {i} − {k} + 2·{p} + 1",
    3: "o = {i}",
    4: "o = {i} + {k} − 1",
    5: "o = ⌊({i} − {k})/{s}⌋ + 1",
    6: "o = ⌊({i} + 2·{p} − {k})/{s}⌋ + 1",
    7: "o = ⌊({i} − {k})/{s}⌋ + 1",
    8: "o′ = {i′} + {k} − 1",
    9: "o′ = {i′} + ({k} − 1) − 2·{p}",
    10: "o′ = {i′}",
    11: "o′ = {i′} − ({k} − 1)",
    12: "o′ = {s}·({i′} − 1) + {k}",
    13: "o′ = {s}·({i′} − 1) + {k} − 2·{p}",
    14: "o′ = {s}·({i′} − 1) + {a} + {k} − 2·{p}",
    15: "o = ⌊({i} + 2·{p} − {k} − ({k} − 1)·({d} − 1))/{s}⌋ + 1",
}
"""Relation number → formula; ``{x}`` is a quantity, and ``·`` is written only between numbers."""

CONV_GENERAL = "o = ⌊({i} + {p₁} + {p₂} − {d}·({k} − 1) − 1)/{s}⌋ + 1"
TRANSPOSE_GENERAL = "o′ = {s}·({i′} − 1) + {d}·({k} − 1) + 1 − {p₁} − {p₂} + {a}"
POOL_GENERAL = "o = ⌊({i} + {p₁} + {p₂} − {d}·({k} − 1) − 1)/{s}⌋ + 1"
POOL_CEIL = "o = ⌈({i} + {p₁} + {p₂} − {d}·({k} − 1) − 1)/{s}⌉ + 1"
POOL_CEIL_CUT = POOL_CEIL + " − 1"


@dataclass(frozen=True)
class Relation:
    """A relation that holds on one axis.

    >>> relation = Relation(6, FORMULAS[6], {"i": 5, "p": 1, "k": 3, "s": 2}, output_size=3)
    >>> relation.formula
    'o = ⌊(i + 2p − k)/s⌋ + 1'
    >>> relation.working
    'o = ⌊(5 + 2·1 − 3)/2⌋ + 1 = 3'
    """

    number: int | None
    template: str
    values: dict[str, int]
    output_size: int

    @property
    def formula(self) -> str:
        """The formula in symbols."""
        return self.template.replace("·", "").replace("{", "").replace("}", "")

    @property
    def working(self) -> str:
        """The formula with its numbers and its result."""
        filled = self.template
        for name, value in self.values.items():
            filled = filled.replace("{" + name + "}", str(value))
        result = f" = {self.output_size}"
        return filled if filled.endswith(result) else filled + result


def conv_relation(kernel_size: int, stride: int, padding: tuple[int, int], dilation: int) -> int | None:
    """Number of the most specific relation for one axis of a convolution: 1–6, 15, or None.

    >>> conv_relation(3, stride=1, padding=(1, 1), dilation=1)
    3
    """
    if padding[0] != padding[1]:
        return None
    if dilation > 1:
        return 15
    if stride > 1:
        return 6 if padding[0] else 5
    if padding[0] == 0:
        return 1
    if kernel_size % 2 and padding[0] == kernel_size // 2:
        return 3
    return 4 if padding[0] == kernel_size - 1 else 2


def transpose_relation(
    kernel_size: int, stride: int, padding: tuple[int, int], output_padding: int, dilation: int
) -> int | None:
    """Number of the most specific relation for one axis of a transposed convolution: 8–14, or None.

    >>> transpose_relation(3, stride=2, padding=(1, 1), output_padding=1, dilation=1)
    14
    """
    if padding[0] != padding[1] or dilation > 1:
        return None
    if stride > 1:
        if output_padding:
            return 14
        return 13 if padding[0] else 12
    if padding[0] == 0:
        return 8
    if kernel_size % 2 and padding[0] == kernel_size // 2:
        return 10
    return 11 if padding[0] == kernel_size - 1 else 9


def pool_relation(padding: tuple[int, int], dilation: int, ceil_mode: bool) -> int | None:
    """7 for a pooling as the guide has it: no padding, no dilation, rounded down; else None.

    >>> pool_relation((0, 0), dilation=1, ceil_mode=False)
    7
    """
    return 7 if padding == (0, 0) and dilation == 1 and not ceil_mode else None

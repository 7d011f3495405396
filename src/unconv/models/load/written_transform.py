"""Picture transforms written down as text, as scans and reports keep them, read back."""

from __future__ import annotations

import ast

from unconv.errors import ModelError
from unconv.models.load.preprocess import Preprocess


def read_transform(text: str) -> Preprocess | None:
    """The transform that a text of its values stands for; None for a transform of the user's own, and for other texts.

    Nothing is executed: the values are literals.

    >>> read_transform(repr(Preprocess(size=(96, 96), resize=(96, 96)))).size
    (96, 96)
    >>> read_transform("none") is None
    True
    """
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Preprocess":
            return None
        values = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg is not None}
        return Preprocess(**values)
    except (SyntaxError, ValueError, TypeError, ModelError):
        return None

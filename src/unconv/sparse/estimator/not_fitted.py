"""The error of an estimator that was not fitted yet: unconv's, and scikit-learn's where that is in use."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from unconv.errors import SparseError


class NotFittedError(SparseError, AttributeError):
    """Something was asked of an estimator that only a fitted one can do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return not_fitted, (str(self),)


def not_fitted(message: str) -> NotFittedError:
    """The error to raise; where scikit-learn is imported it is a ``sklearn.exceptions.NotFittedError`` as well.

    >>> from sklearn.exceptions import NotFittedError as ScikitLearns
    >>> error = not_fitted("transform: nothing is learned yet; call fit first")
    >>> isinstance(error, SparseError), isinstance(error, ScikitLearns)
    (True, True)
    """
    theirs = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", None)
    return (NotFittedError if theirs is None else _joined(theirs))(message)


@lru_cache(maxsize=1)
def _joined(theirs: type[Exception]) -> type[NotFittedError]:
    return type("NotFittedError", (NotFittedError, theirs), {"__doc__": NotFittedError.__doc__})

"""Estimator protocol of scikit-learn, without scikit-learn."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from html import escape
from importlib import import_module
from typing import Any, Literal

import numpy as np
from typing_extensions import Self

from unconv.errors import MissingExtraError, SparseError

CONTAINERS = ("default", "pandas", "polars")
# Of a parameter that has another name now, as scikit-learn marks them.
DEPRECATED: Literal["deprecated"] = "deprecated"


class Estimator:
    """Parameters are the arguments of ``__init__``, kept untouched under their names."""

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        arguments = inspect.signature(cls).parameters.values()
        return {argument.name: argument.default for argument in arguments}

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's protocol
        """The parameters by name; none of them has parameters of its own, so ``deep`` changes nothing."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; raises :class:`~unconv.errors.SparseError` for a name that is none."""
        known = self._defaults()
        for name, value in params.items():
            if name not in known:
                raise SparseError(
                    f"{type(self).__name__}: has no parameter {name!r}; it has {', '.join(sorted(known))}"
                )
            setattr(self, name, value)
        return self

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self:
        """What holds the features that ``transform`` returns: "pandas" or "polars" data frames, "default" arrays.

        None changes nothing. Raises :class:`~unconv.errors.SparseError` for another word.
        """
        if transform is not None and transform not in CONTAINERS:
            raise SparseError(
                f"set_output: transform {transform!r:.60} is not known; use {', '.join(map(repr, CONTAINERS))} or None"
            )
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def __repr__(self) -> str:
        """The parameters that are not the defaults."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r:.60}' for name, value in self._changed().items())})"

    def _repr_html_(self) -> str:
        """The diagram of scikit-learn where it is installed, else a table of the parameters that are no defaults."""
        try:
            from sklearn.utils import estimator_html_repr
        except ImportError:
            rows = "".join(
                f"<tr><td>{escape(name)}</td><td>{escape(f'{value!r:.60}')}</td></tr>"
                for name, value in self._changed().items()
            )
            return f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"
        return str(estimator_html_repr(self))

    def _changed(self) -> dict[str, Any]:
        defaults = self._defaults()
        return {
            name: value
            for name, value in self.get_params().items()
            if not (value is defaults[name] or (isinstance(value, str | int | float) and value == defaults[name]))
        }

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is something learned."""
        return hasattr(self, "dictionary_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: it transforms rows and stacks of images, and needs no target."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(two_d_array=True, three_d_array=True),
        )


def container_of(estimator: Estimator) -> str:
    """What holds the estimator's features: as ``set_output`` says, else as ``sklearn.set_config`` does."""
    own = getattr(estimator, "_sklearn_output_config", {}).get("transform")
    sklearn = sys.modules.get("sklearn")
    if own is None and sklearn is not None:
        own = sklearn.get_config().get("transform_output")
    return own or "default"


def in_container(features: np.ndarray[Any, Any], names: Iterable[str], container: str, index: object = None) -> Any:
    """Features (N, F) as an array or as a data frame with their names.

    >>> in_container(np.ones((1, 2)), ["a", "b"], "default")
    array([[1., 1.]])

    Raises :class:`~unconv.errors.MissingExtraError` where pandas or polars is not installed.
    """
    if container == "default":
        return features
    try:
        if container == "pandas":
            return import_module(container).DataFrame(features, columns=list(names), index=index)
        return import_module(container).DataFrame(features, schema=list(names), orient="row")
    except ImportError:
        raise MissingExtraError(f"set_output(transform={container!r})", container, "demo") from None


def index_of(images: object) -> object:
    """The index of a data frame; None of all else."""
    return getattr(images, "index", None) if hasattr(images, "columns") else None

"""Estimator protocol of scikit-learn, without scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any

from typing_extensions import Self

from unconv.errors import SparseError


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

    def __repr__(self) -> str:
        """The parameters that are not the defaults."""
        defaults = self._defaults()
        changed = [
            f"{name}={value!r:.60}"
            for name, value in self.get_params().items()
            if not (value is defaults[name] or (isinstance(value, str | int | float) and value == defaults[name]))
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is something learned."""
        return hasattr(self, "dictionary_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: one that transforms, needs no target, and takes stacks of images."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(two_d_array=False, three_d_array=True),
            no_validation=True,
        )

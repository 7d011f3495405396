"""Modules and names under the paths that they had in 0.1: from there they still come, with a DeprecationWarning.

The tables name what documents named; they go with version 0.3.
"""

from __future__ import annotations

import importlib
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "unconv.models.carry": "unconv.models.transfer_weights",
    "unconv.models.preprocess": "unconv.models.load.preprocess",
    "unconv.models.resolve": "unconv.models.load.resolve",
    "unconv.sparse.dictionaries": "unconv.sparse.learn.dictionaries",
    "unconv.sparse.learn.learner": "unconv.sparse.estimator.learner",
    "unconv.sparse.lowpass": "unconv.sparse.restore.lowpass",
    "unconv.train.classify": "unconv.train.tasks.classify",
    "unconv.train.examples": "unconv.train.data.examples",
    "unconv.train.generate": "unconv.train.tasks.generate",
    "unconv.train.segment": "unconv.train.tasks.segment",
    "unconv.upsample.patch": "unconv.upsample.change.patch",
}

# Names that stood at the top of the package, and the part in which they are now.
MOVED_NAMES = {
    "GeometryError": "unconv.errors",
    "AdjointError": "unconv.errors",
    "ImageError": "unconv.errors",
    "ModelError": "unconv.errors",
    "MissingExtraError": "unconv.errors",
    "SparseError": "unconv.errors",
    "JobError": "unconv.errors",
    "MaxPoolGeometry": "unconv.operators",
    "AvgPoolGeometry": "unconv.operators",
    "ReceptiveField": "unconv.operators",
    "LinearOperator": "unconv.operators",
    "transpose_operator": "unconv.operators",
    "MaxPoolOperator": "unconv.operators",
    "AvgPoolOperator": "unconv.operators",
    "MatrixStructure": "unconv.operators",
    "matrix_structure": "unconv.operators",
    "Encoding": "unconv.sparse",
    "InverseCorrelation": "unconv.sparse",
    "Drawing": "unconv.explain",
    "Projection": "unconv.visualize",
    "project_units": "unconv.visualize",
    "Pick": "unconv.visualize",
    "windows_of": "unconv.network",
    "Fidelity": "unconv.visualize",
    "TopActivations": "unconv.visualize",
    "Audit": "unconv.network",
    "Finding": "unconv.network",
    "ShapeError": "unconv.network",
    "Graph": "unconv.network",
    "Layer": "unconv.network",
}


class MovedFinder:
    """Finds a module under its old path: the module itself, not a copy."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """The specification of a module that moved; None for every other name."""
        if fullname not in MOVED:
            return None
        warnings.warn(f"{fullname} is {MOVED[fullname]} now", DeprecationWarning, stacklevel=2)
        return ModuleSpec(fullname, _MovedLoader(importlib.import_module(MOVED[fullname])))  # type: ignore[arg-type]


class _MovedLoader:
    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, _: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        # Python has written the old path's specification into it.
        module.__spec__ = self._spec

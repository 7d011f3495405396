"""unconv: everything that deep learning calls deconvolution.

A convolution is a matrix C, and its transpose Cᵀ walks the same connections backwards. The public names are
imported when they are first used, so that ``import unconv`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "UnconvError": "unconv.errors",
    "GeometryError": "unconv.errors",
    "AdjointError": "unconv.errors",
    "ImageError": "unconv.errors",
    "ModelError": "unconv.errors",
    "MissingExtraError": "unconv.errors",
    "SparseError": "unconv.errors",
    "JobError": "unconv.jobs.errors",
    "ConvGeometry": "unconv.operators.geometry",
    "ConvTransposeGeometry": "unconv.operators.geometry",
    "MaxPoolGeometry": "unconv.operators.pool_geometry",
    "AvgPoolGeometry": "unconv.operators.pool_geometry",
    "ReceptiveField": "unconv.operators.receptive",
    "solve_transpose": "unconv.operators.solve",
    "LinearOperator": "unconv.operators.linear",
    "ConvOperator": "unconv.operators.conv",
    "transpose_operator": "unconv.operators.conv",
    "MaxPoolOperator": "unconv.operators.pool",
    "AvgPoolOperator": "unconv.operators.pool",
    "MatrixStructure": "unconv.operators.structure",
    "matrix_structure": "unconv.operators.structure",
    "dot_test": "unconv.operators.dottest",
    "conv_transpose": "unconv.operators.transpose",
    "read_images": "unconv.data.images",
    "load_model": "unconv.models.resolve",
    "encode": "unconv.sparse.encode",
    "penalty_max": "unconv.sparse.encode",
    "Encoding": "unconv.sparse.encoding",
    "InverseCorrelation": "unconv.sparse.penalty",
    "fista": "unconv.sparse.fista",
    "DictionaryLearner": "unconv.sparse.learner",
    "denoise": "unconv.sparse.denoise",
    "inpaint": "unconv.sparse.inpaint",
    "draw": "unconv.explain.drawing",
    "Drawing": "unconv.explain.drawing",
    "project": "unconv.visualize.project",
    "Projection": "unconv.visualize.project",
    "project_units": "unconv.visualize.windows",
    "Pick": "unconv.visualize.windows",
    "windows_of": "unconv.network.windows",
    "fidelity": "unconv.visualize.fidelity",
    "Fidelity": "unconv.visualize.verdict",
    "scan": "unconv.visualize.scan",
    "TopActivations": "unconv.visualize.top_activations",
    "see": "unconv.visualize.see",
    "trace": "unconv.network.trace",
    "audit": "unconv.network.audit",
    "Audit": "unconv.network.audit",
    "Finding": "unconv.network.finding",
    "explain_shapes": "unconv.network.explain_shapes",
    "ShapeError": "unconv.network.explain_shapes",
    "Graph": "unconv.network.graph",
    "Layer": "unconv.network.graph",
}

_MODULES = ("upsample",)

__all__ = ["__version__", *_HOME, *_MODULES]

if TYPE_CHECKING:
    from unconv import upsample as upsample
    from unconv.data.images import read_images as read_images
    from unconv.errors import (
        AdjointError as AdjointError,
        GeometryError as GeometryError,
        ImageError as ImageError,
        MissingExtraError as MissingExtraError,
        ModelError as ModelError,
        SparseError as SparseError,
        UnconvError as UnconvError,
    )
    from unconv.explain.drawing import Drawing as Drawing, draw as draw
    from unconv.jobs.errors import JobError as JobError
    from unconv.models.resolve import load_model as load_model
    from unconv.network.audit import Audit as Audit, audit as audit
    from unconv.network.explain_shapes import ShapeError as ShapeError, explain_shapes as explain_shapes
    from unconv.network.finding import Finding as Finding
    from unconv.network.graph import Graph as Graph, Layer as Layer
    from unconv.network.trace import trace as trace
    from unconv.network.windows import windows_of as windows_of
    from unconv.operators.conv import ConvOperator as ConvOperator, transpose_operator as transpose_operator
    from unconv.operators.dottest import dot_test as dot_test
    from unconv.operators.geometry import ConvGeometry as ConvGeometry, ConvTransposeGeometry as ConvTransposeGeometry
    from unconv.operators.linear import LinearOperator as LinearOperator
    from unconv.operators.pool import AvgPoolOperator as AvgPoolOperator, MaxPoolOperator as MaxPoolOperator
    from unconv.operators.pool_geometry import AvgPoolGeometry as AvgPoolGeometry, MaxPoolGeometry as MaxPoolGeometry
    from unconv.operators.receptive import ReceptiveField as ReceptiveField
    from unconv.operators.solve import solve_transpose as solve_transpose
    from unconv.operators.structure import MatrixStructure as MatrixStructure, matrix_structure as matrix_structure
    from unconv.operators.transpose import conv_transpose as conv_transpose
    from unconv.sparse.denoise import denoise as denoise
    from unconv.sparse.encode import encode as encode, penalty_max as penalty_max
    from unconv.sparse.encoding import Encoding as Encoding
    from unconv.sparse.fista import fista as fista
    from unconv.sparse.inpaint import inpaint as inpaint
    from unconv.sparse.learner import DictionaryLearner as DictionaryLearner
    from unconv.sparse.penalty import InverseCorrelation as InverseCorrelation
    from unconv.visualize.fidelity import fidelity as fidelity
    from unconv.visualize.project import Projection as Projection, project as project
    from unconv.visualize.scan import scan as scan
    from unconv.visualize.see import see as see
    from unconv.visualize.top_activations import TopActivations as TopActivations
    from unconv.visualize.verdict import Fidelity as Fidelity
    from unconv.visualize.windows import Pick as Pick, project_units as project_units


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"unconv.{name}")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'unconv' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})

"""unconv: everything that deep learning calls deconvolution.

A convolution is a matrix C, and its transpose Cᵀ walks the same connections backwards. The public names are
imported when they are first used, so that ``import unconv`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from unconv._moved import MovedFinder
from unconv._version import __version__

_HOME = {
    "UnconvError": "unconv.errors",
    "GeometryError": "unconv.errors",
    "AdjointError": "unconv.errors",
    "ImageError": "unconv.errors",
    "ModelError": "unconv.errors",
    "MissingExtraError": "unconv.errors",
    "SparseError": "unconv.errors",
    "JobError": "unconv.errors",
    "ConvGeometry": "unconv.operators.geometry.conv",
    "ConvTransposeGeometry": "unconv.operators.geometry.conv",
    "MaxPoolGeometry": "unconv.operators.geometry.pool",
    "AvgPoolGeometry": "unconv.operators.geometry.pool",
    "ReceptiveField": "unconv.operators.geometry.receptive",
    "solve_transpose": "unconv.operators.geometry.solve",
    "LinearOperator": "unconv.operators.linear",
    "ConvOperator": "unconv.operators.conv",
    "transpose_operator": "unconv.operators.conv",
    "MaxPoolOperator": "unconv.operators.pool",
    "AvgPoolOperator": "unconv.operators.pool",
    "MatrixStructure": "unconv.operators.geometry.structure",
    "matrix_structure": "unconv.operators.geometry.structure",
    "dot_test": "unconv.operators.dottest",
    "conv_transpose": "unconv.operators.transpose.conv_transpose",
    "read_images": "unconv.data.images",
    "load_model": "unconv.models.load.resolve",
    "encode": "unconv.sparse.code.encode",
    "penalty_max": "unconv.sparse.code.encode",
    "Encoding": "unconv.sparse.code.encoding",
    "InverseCorrelation": "unconv.sparse.code.penalty",
    "fista": "unconv.sparse.code.fista",
    "DictionaryLearner": "unconv.sparse.learn.learner",
    "denoise": "unconv.sparse.restore.denoise",
    "inpaint": "unconv.sparse.restore.inpaint",
    "draw": "unconv.explain.drawing",
    "Drawing": "unconv.explain.drawing",
    "project": "unconv.visualize.reverse.project",
    "Projection": "unconv.visualize.reverse.project",
    "project_units": "unconv.visualize.reverse.project_units",
    "Pick": "unconv.visualize.reverse.project_units",
    "windows_of": "unconv.network.windows",
    "fidelity": "unconv.visualize.fidelity.measure",
    "Fidelity": "unconv.visualize.fidelity.verdict",
    "scan": "unconv.visualize.scan.scan",
    "TopActivations": "unconv.visualize.scan.top_activations",
    "see": "unconv.visualize.report.see",
    "trace": "unconv.network.trace.trace",
    "audit": "unconv.network.audit.audit",
    "Audit": "unconv.network.audit.audit",
    "Finding": "unconv.network.audit.finding",
    "explain_shapes": "unconv.network.shapes.explain_shapes",
    "ShapeError": "unconv.network.shapes.explain_shapes",
    "Graph": "unconv.network.trace.graph",
    "Layer": "unconv.network.trace.graph",
}

sys.meta_path.append(MovedFinder())

_MODULES = ("upsample",)

__all__ = ["__version__", *_HOME, *_MODULES]

if TYPE_CHECKING:
    from unconv import upsample as upsample
    from unconv.data.images import read_images as read_images
    from unconv.errors import (
        AdjointError as AdjointError,
        GeometryError as GeometryError,
        ImageError as ImageError,
        JobError as JobError,
        MissingExtraError as MissingExtraError,
        ModelError as ModelError,
        SparseError as SparseError,
        UnconvError as UnconvError,
    )
    from unconv.explain.drawing import Drawing as Drawing, draw as draw
    from unconv.models.load.resolve import load_model as load_model
    from unconv.network.audit.audit import Audit as Audit, audit as audit
    from unconv.network.audit.finding import Finding as Finding
    from unconv.network.shapes.explain_shapes import ShapeError as ShapeError, explain_shapes as explain_shapes
    from unconv.network.trace.graph import Graph as Graph, Layer as Layer
    from unconv.network.trace.trace import trace as trace
    from unconv.network.windows import windows_of as windows_of
    from unconv.operators.conv import ConvOperator as ConvOperator, transpose_operator as transpose_operator
    from unconv.operators.dottest import dot_test as dot_test
    from unconv.operators.geometry.conv import (
        ConvGeometry as ConvGeometry,
        ConvTransposeGeometry as ConvTransposeGeometry,
    )
    from unconv.operators.geometry.pool import AvgPoolGeometry as AvgPoolGeometry, MaxPoolGeometry as MaxPoolGeometry
    from unconv.operators.geometry.receptive import ReceptiveField as ReceptiveField
    from unconv.operators.geometry.solve import solve_transpose as solve_transpose
    from unconv.operators.geometry.structure import (
        MatrixStructure as MatrixStructure,
        matrix_structure as matrix_structure,
    )
    from unconv.operators.linear import LinearOperator as LinearOperator
    from unconv.operators.pool import AvgPoolOperator as AvgPoolOperator, MaxPoolOperator as MaxPoolOperator
    from unconv.operators.transpose.conv_transpose import conv_transpose as conv_transpose
    from unconv.sparse.code.encode import encode as encode, penalty_max as penalty_max
    from unconv.sparse.code.encoding import Encoding as Encoding
    from unconv.sparse.code.fista import fista as fista
    from unconv.sparse.code.penalty import InverseCorrelation as InverseCorrelation
    from unconv.sparse.learn.learner import DictionaryLearner as DictionaryLearner
    from unconv.sparse.restore.denoise import denoise as denoise
    from unconv.sparse.restore.inpaint import inpaint as inpaint
    from unconv.visualize.fidelity.measure import fidelity as fidelity
    from unconv.visualize.fidelity.verdict import Fidelity as Fidelity
    from unconv.visualize.report.see import see as see
    from unconv.visualize.reverse.project import Projection as Projection, project as project
    from unconv.visualize.reverse.project_units import Pick as Pick, project_units as project_units
    from unconv.visualize.scan.scan import scan as scan
    from unconv.visualize.scan.top_activations import TopActivations as TopActivations


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

"""unconv: everything that deep learning calls deconvolution.

A convolution is a matrix C, and its transpose Cᵀ walks the same connections backwards. Here are the names that the
first lines of a script need; the rest is under its part, as ``uc.operators``, ``uc.sparse`` or ``uc.errors``. All are
imported when they are first used, so that ``import unconv`` costs nothing.
"""

from __future__ import annotations

import sys

from unconv._lazy import lazy_names
from unconv._moved import MOVED_NAMES, MovedFinder
from unconv._version import __version__ as __version__

# For type checkers, which know the name; the module typing would be half of this import's time.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from unconv import (
        errors as errors,
        experiments as experiments,
        explain as explain,
        models as models,
        network as network,
        operators as operators,
        sparse as sparse,
        train as train,
        upsample as upsample,
        visualize as visualize,
    )
    from unconv.data.images import read_images as read_images
    from unconv.errors import UnconvError as UnconvError
    from unconv.explain.drawing import draw as draw
    from unconv.models.load.preprocess import Preprocess as Preprocess
    from unconv.models.load.resolve import list_models as list_models, load_model as load_model
    from unconv.models.structure.audit import audit as audit
    from unconv.models.structure.list_layers import list_layers as list_layers
    from unconv.models.structure.trace import trace as trace
    from unconv.models.structure.working_sizes import working_sizes as working_sizes
    from unconv.network.shapes.explain_shapes import explain_shapes as explain_shapes
    from unconv.operators.conv import ConvOperator as ConvOperator
    from unconv.operators.dottest import dot_test as dot_test
    from unconv.operators.geometry.conv import (
        ConvGeometry as ConvGeometry,
        ConvTransposeGeometry as ConvTransposeGeometry,
    )
    from unconv.operators.geometry.solve import solve_conv as solve_conv, solve_transpose as solve_transpose
    from unconv.operators.transpose.conv_transpose import conv_transpose as conv_transpose
    from unconv.sparse.code.encode import encode as encode, penalty_max as penalty_max
    from unconv.sparse.code.fista import fista as fista
    from unconv.sparse.estimator.learner import DictionaryLearner as DictionaryLearner
    from unconv.sparse.restore.denoise import denoise as denoise
    from unconv.sparse.restore.inpaint import inpaint as inpaint
    from unconv.visualize.fidelity.measure import fidelity as fidelity
    from unconv.visualize.report.see import see as see
    from unconv.visualize.reverse.project import project as project
    from unconv.visualize.scan.scan import scan as scan

_HOME = {
    "UnconvError": "unconv.errors",
    "ConvGeometry": "unconv.operators.geometry.conv",
    "ConvTransposeGeometry": "unconv.operators.geometry.conv",
    "solve_conv": "unconv.operators.geometry.solve",
    "solve_transpose": "unconv.operators.geometry.solve",
    "ConvOperator": "unconv.operators.conv",
    "conv_transpose": "unconv.operators.transpose.conv_transpose",
    "dot_test": "unconv.operators.dottest",
    "draw": "unconv.explain.drawing",
    "read_images": "unconv.data.images",
    "load_model": "unconv.models.load.resolve",
    "list_models": "unconv.models.load.resolve",
    "list_layers": "unconv.models.structure.list_layers",
    "Preprocess": "unconv.models.load.preprocess",
    "see": "unconv.visualize.report.see",
    "scan": "unconv.visualize.scan.scan",
    "project": "unconv.visualize.reverse.project",
    "fidelity": "unconv.visualize.fidelity.measure",
    "trace": "unconv.models.structure.trace",
    "audit": "unconv.models.structure.audit",
    "working_sizes": "unconv.models.structure.working_sizes",
    "explain_shapes": "unconv.network.shapes.explain_shapes",
    "encode": "unconv.sparse.code.encode",
    "penalty_max": "unconv.sparse.code.encode",
    "fista": "unconv.sparse.code.fista",
    "DictionaryLearner": "unconv.sparse.estimator.learner",
    "denoise": "unconv.sparse.restore.denoise",
    "inpaint": "unconv.sparse.restore.inpaint",
}
_PARTS = (
    "errors",
    "experiments",
    "explain",
    "models",
    "network",
    "operators",
    "sparse",
    "train",
    "upsample",
    "visualize",
)

sys.meta_path.append(MovedFinder())

__getattr__, _, _names = lazy_names(__name__, _HOME, _PARTS, MOVED_NAMES)
__all__ = ["__version__", *_names]


def __dir__() -> list[str]:
    return __all__

"""Sparse coding and dictionary learning: kernels D and sparse feature maps Z with D·Z close to the image."""

from typing import TYPE_CHECKING

from unconv._lazy import lazy_names

if TYPE_CHECKING:
    from unconv.sparse.code.encode import encode as encode, penalty_max as penalty_max
    from unconv.sparse.code.encoding import Encoding as Encoding
    from unconv.sparse.code.fista import fista as fista
    from unconv.sparse.code.penalty import (
        FromCorrelation as FromCorrelation,
        InverseCorrelation as InverseCorrelation,
        Penalty as Penalty,
        PerKernel as PerKernel,
        PerPosition as PerPosition,
    )
    from unconv.sparse.estimator.learner import DictionaryLearner as DictionaryLearner
    from unconv.sparse.learn.dictionaries import load_dictionary as load_dictionary, save_dictionary as save_dictionary
    from unconv.sparse.restore.denoise import Denoised as Denoised, denoise as denoise
    from unconv.sparse.restore.inpaint import Inpainted as Inpainted, inpaint as inpaint

_HOME = {
    "encode": "unconv.sparse.code.encode",
    "penalty_max": "unconv.sparse.code.encode",
    "Encoding": "unconv.sparse.code.encoding",
    "fista": "unconv.sparse.code.fista",
    "Penalty": "unconv.sparse.code.penalty",
    "PerKernel": "unconv.sparse.code.penalty",
    "PerPosition": "unconv.sparse.code.penalty",
    "InverseCorrelation": "unconv.sparse.code.penalty",
    "FromCorrelation": "unconv.sparse.code.penalty",
    "DictionaryLearner": "unconv.sparse.estimator.learner",
    "load_dictionary": "unconv.sparse.learn.dictionaries",
    "save_dictionary": "unconv.sparse.learn.dictionaries",
    "Denoised": "unconv.sparse.restore.denoise",
    "denoise": "unconv.sparse.restore.denoise",
    "Inpainted": "unconv.sparse.restore.inpaint",
    "inpaint": "unconv.sparse.restore.inpaint",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _HOME)

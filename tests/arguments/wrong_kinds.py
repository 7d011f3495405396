"""Every public function with each wrong kind of thing as each of its arguments: ``python wrong_kinds.py [NAME ...]``.

Prints a line for every call that ended in an error of Python's own, or in a message that is not one line or does not
name the argument. Run in a process of its own, in which no type checker is at work.
"""

from __future__ import annotations

import inspect
import io
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))

import unconv as uc
from unconv.errors import UnconvError

WRONG: dict[str, Any] = {
    "nothing": None,
    "yes": True,
    "a number": -7,
    "a fraction": 0.37,
    "not a number": float("nan"),
    "text": "no such thing",
    "no text": "",
    "bytes": b"bytes",
    "an empty list": [],
    "a list of objects": [object(), object()],
    "a list of texts": ["a", "b"],
    "a dict": {"a": 1},
    "an object": object(),
    "a class": nn.ReLU,
    "a function": len,
    "a module": nn.ReLU(),
    "an array": np.zeros((2, 2)),
    "an array of texts": np.array(["a", "b"]),
    "a tensor": torch.zeros(2, 2),
    "a complex tensor": torch.zeros(2, 2, dtype=torch.complex64),
    "a path": Path("no/such/place"),
    "a set": {1, 2},
}


# Functions of the user's: what goes wrong inside is theirs.
FUNCTIONS = ("watch", "callback")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU()).eval()


def good_calls() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """The public functions and classes, with arguments that each takes."""
    images = torch.rand(2, 3, 16, 16)
    grey = torch.rand(1, 1, 10, 10)
    kernels = torch.rand(2, 1, 3, 3)
    conv = uc.ConvGeometry(5, 3)
    square = {"images": images, "model": network()}
    pool = uc.operators.MaxPoolGeometry(4, 2)
    return {
        "ConvGeometry": (uc.ConvGeometry, {"input_size": 5, "kernel_size": 3}),
        "ConvTransposeGeometry": (uc.ConvTransposeGeometry, {"input_size": 5, "kernel_size": 3}),
        "MaxPoolGeometry": (uc.operators.MaxPoolGeometry, {"input_size": 4, "kernel_size": 2}),
        "AvgPoolGeometry": (uc.operators.AvgPoolGeometry, {"input_size": 4, "kernel_size": 2}),
        "solve_transpose": (uc.solve_transpose, {"input_size": 4, "output_size": 8}),
        "ConvOperator": (uc.ConvOperator, {"weight": torch.rand(2, 1, 3), "input_size": 5}),
        "MaxPoolOperator": (uc.operators.MaxPoolOperator.of, {"x": torch.rand(1, 4, 4), "geometry": pool}),
        "AvgPoolOperator": (
            uc.operators.AvgPoolOperator,
            {"geometry": uc.operators.AvgPoolGeometry(4, 2), "channels": 1},
        ),
        "matrix_structure": (uc.operators.matrix_structure, {"geometry": conv}),
        "dot_test": (uc.dot_test, {"operator": uc.ConvOperator(torch.rand(2, 1, 3), 5)}),
        "conv_transpose": (uc.conv_transpose, {"x": torch.rand(1, 2, 5), "weight": torch.rand(2, 1, 3)}),
        "draw": (uc.draw, {"geometry": conv}),
        "read_images": (uc.read_images, {"inputs": images}),
        "load_model": (uc.load_model, {"model": "lenet5", "random_weights": True}),
        "see": (uc.see, dict(square, layers=["3"], out="report", top_units=1, fidelity=0, force=True)),
        "scan": (uc.scan, dict(square, layers=["3"], top=2)),
        "project": (uc.project, dict(square, layer="3", unit=0)),
        "fidelity": (uc.fidelity, dict(square, layer="3", picks=[uc.visualize.Pick(0, 1, (1, 1))])),
        "trace": (uc.trace, {"model": network(), "input_size": (3, 16, 16)}),
        "audit": (uc.audit, {"model": network(), "input_size": (3, 16, 16), "measure": False}),
        "windows_of": (uc.network.windows_of, {"model": uc.trace(network(), (3, 16, 16)), "layer": "3"}),
        "project_units": (
            uc.visualize.project_units,
            dict(
                square,
                windows=uc.network.windows_of(uc.trace(network(), (3, 16, 16)), "3"),
                picks=[uc.visualize.Pick(0, 1, (1, 1))],
            ),
        ),
        "encode": (uc.encode, {"images": grey, "dictionary": kernels, "penalty": 0.3}),
        "penalty_max": (uc.penalty_max, {"images": grey, "dictionary": kernels}),
        "fista": (uc.fista, {"images": grey, "dictionary": kernels, "penalty": 0.3, "steps": 2}),
        "denoise": (uc.denoise, {"image": grey[0], "sigma": 0.1, "dictionary": kernels}),
        "inpaint": (uc.inpaint, {"image": grey[0], "mask": torch.ones(10, 10), "dictionary": kernels}),
        "DictionaryLearner": (
            lambda images=grey, **given: uc.DictionaryLearner(
                **{"n_kernels": 2, "kernel_size": 3, "max_iter": 1, **given}
            ).fit(images),
            {"images": grey},
        ),
        "occlusion": (uc.experiments.occlusion, {"model": classifier(), "image": images[0]}),
        "invariance": (uc.experiments.invariance, {"model": classifier(), "images": images}),
        "first_layer": (uc.experiments.first_layer, {"model": network()}),
        "Preprocess": (uc.Preprocess, {}),
    }


def classifier() -> nn.Module:
    return nn.Sequential(network(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)).eval()


def parameters_of(function: Callable[..., Any]) -> Iterator[str]:
    if function.__name__ == "<lambda>":
        yield "images"
        function = uc.DictionaryLearner
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) and name not in FUNCTIONS:
            yield name


def faults_of(title: str, function: Callable[..., Any], good: dict[str, Any]) -> Iterator[str]:
    """What is to be said of the calls of one function, the good one first."""
    try:
        with redirect_stdout(io.StringIO()):
            function(**good)
    except Exception as error:
        yield f"{title}: the call that is right: {error!r}"
    for name in parameters_of(function):
        for kind, value in WRONG.items():
            try:
                with redirect_stdout(io.StringIO()), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = function(**{**good, name: value})
                    if isinstance(found, AbstractContextManager):
                        found.__enter__()
            except UnconvError as error:
                if "\n" in str(error) or not str(error):
                    yield f"{title}({name}={kind}): not one line: {str(error)!r}"
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(place.filename).name}:{place.lineno}"
                yield f"{title}({name}={kind}): {type(error).__name__}: {str(error).splitlines()[:1]} at {where}"


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for title, (function, good) in good_calls().items():
            if not names or title in names:
                for fault in faults_of(title, function, good):
                    print(fault, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

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
        "working_sizes": (uc.working_sizes, {"model": network(), "input_size": (3, 16, 16), "seconds": 1.0}),
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
        **more_experiments(images),
        **upsampling(),
        "solve_conv": (uc.solve_conv, {"input_size": 8, "output_size": 4}),
        "list_layers": (uc.list_layers, {"model": network(), "input_size": (3, 16, 16)}),
        "list_models": (uc.list_models, {"pattern": "res*", "source": "torchvision"}),
        "open_model": (uc.models.open_model, {"model": network()}),
        "transpose_operator": (uc.operators.transpose_operator, {"weight": torch.rand(2, 1, 3), "input_size": 5}),
        "stride_pattern": (uc.operators.stride_pattern, {"values": torch.rand(1, 2, 8, 8), "stride": 2}),
        "load_dictionary": (uc.sparse.load_dictionary, {"name": "grey-8x8x64"}),
        "sample": (uc.train.sample, {"generator": uc.load_model("dcgan-32", random_weights=True), "count": 2}),
        "save_dictionary": (uc.sparse.save_dictionary, {"dictionary": kernels, "path": "kernels.safetensors"}),
    }


def more_experiments(images: torch.Tensor) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Zeiler & Fergus' others, and the figures of all."""
    module, many = network(), torch.rand(8, 3, 16, 16)
    state = module.state_dict()
    calls: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "correspondence": (
            uc.experiments.correspondence,
            {"model": module, "images": images, "parts": {"eye": [(2, 3, 6, 6)] * 2}, "layers": ["3"], "draws": 2},
        ),
        "evolution": (
            uc.experiments.evolution,
            {"model": module, "checkpoints": {"a": state, "b": state}, "images": images, "layer": "1", "units": [0, 2]},
        ),
        "transfer": (
            uc.experiments.transfer,
            {"model": module, "images": many, "labels": torch.arange(8) % 2, "layers": ["1"], "folds": 2},
        ),
    }
    shown = {name: function(**good) for name, (function, good) in calls.items()}
    shown["first_layer"] = uc.experiments.first_layer(module)
    shown["invariance"] = uc.experiments.invariance(classifier(), images)
    for name, found in shown.items():
        calls[f"plot_{name}"] = getattr(uc.experiments, f"plot_{name}"), {"found": found}
    maps = uc.experiments.occlusion(classifier(), images[0])
    calls["plot_occlusion"] = uc.experiments.plot_occlusion, {"maps": maps}
    return calls


def upsampling() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """What is below ``uc.upsample``."""
    up = uc.upsample
    weight = torch.rand(2, 3, 4, 4)
    layer = nn.ConvTranspose2d(2, 3, 4, 2, 1)
    model = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), layer)
    channels = {"in_channels": 2, "out_channels": 3}
    return {
        "checkerboard_score": (up.checkerboard_score, {"layer": weight, "stride": 2}),
        "overlap": (up.overlap, {"geometry": layer, "size": 5}),
        "equalised": (up.equalised, {"weight": weight, "stride": 2}),
        "equalised_": (up.equalised_, {"layer": layer}),
        "phase_gains": (up.phase_gains, {"weight": weight, "stride": 2}),
        "bilinear_": (up.bilinear_, {"weight": torch.rand(2, 2, 4, 4)}),
        "bilinear_geometry": (up.bilinear_geometry, {"stride": 2}),
        "icnr_": (up.icnr_, {"weight": torch.rand(8, 3, 3, 3), "scale_factor": 2}),
        "equalised_phases_": (up.equalised_phases_, {"weight": torch.rand(8, 3, 3, 3), "scale_factor": 2}),
        "convert": (up.convert, {"layer": layer, "to": "sub-pixel"}),
        "replace": (up.replace, {"model": model, "to": "resize"}),
        "conv_transpose_to": (up.conv_transpose_to, {"x": torch.rand(1, 2, 5, 5), "weight": weight, "stride": 2}),
        "reachable_sizes": (
            up.reachable_sizes,
            {"input_size": 5, "kernel_size": 4, "stride": 2, "padding": (1, 1), "dilation": 1},
        ),
        "pixel_shuffle": (up.pixel_shuffle, {"input": torch.rand(1, 8, 3, 3), "upscale_factor": 2}),
        "upsampler": (up.upsampler, {"name": "resize", **channels}),
        "ConvTranspose2d": (up.ConvTranspose2d, {**channels, "kernel_size": 4}),
        "ConvTransposeTo2d": (up.ConvTransposeTo2d, {**channels, "kernel_size": 4}),
        "SubPixel2d": (up.SubPixel2d, {**channels}),
        "ResizeConv2d": (up.ResizeConv2d, {**channels}),
        "Bilinear2d": (up.Bilinear2d, {"channels": 2}),
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


# Each good call would train a network.
LONG = {"classify", "segment", "generate", "load_generator"}


def forgotten() -> list[str]:
    """Public functions that are neither in the table nor long."""
    parts = [uc, *(getattr(uc, name) for name in uc._PARTS if name != "errors")]
    public = {
        name: value
        for part in parts
        for name in getattr(part, "__all__", vars(part))
        if inspect.isfunction(value := getattr(part, name)) and not name.startswith("_")
    }
    return sorted(public.keys() - good_calls().keys() - LONG)


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for name in forgotten():
            print(f"{name}: is public and has no call here")
        for title, (function, good) in good_calls().items():
            if not names or title in names:
                for fault in faults_of(title, function, good):
                    print(fault, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

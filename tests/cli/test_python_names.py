"""One name and one default in Python and in the shell; what differs is listed with its reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.test_family import COMMANDS
from unconv.models.load.resolve import load_model
from unconv.sparse.code.encode import encode
from unconv.sparse.estimator.learner import DictionaryLearner
from unconv.sparse.restore.denoise import denoise
from unconv.sparse.restore.inpaint import inpaint
from unconv.train.loop.settings import Settings
from unconv.train.tasks.adversarial import Contest
from unconv.train.tasks.classify import classify
from unconv.train.tasks.generate import generate, sample, usual_settings
from unconv.train.tasks.segment import segment
from unconv.visualize.experiments.correspondence import correspondence
from unconv.visualize.experiments.evolution import evolution
from unconv.visualize.experiments.first_layer import first_layer
from unconv.visualize.experiments.invariance import invariance
from unconv.visualize.experiments.occlusion.sensitivity import occlusion
from unconv.visualize.experiments.transfer import transfer
from unconv.visualize.report.see import see
from unconv.visualize.scan.scan import scan

# What a command calls.
CALLS: dict[str, tuple[Callable[..., Any], ...]] = {
    "scan": (scan, load_model),
    "see": (see, load_model),
    "experiment occlusion": (occlusion, load_model),
    "experiment correspondence": (correspondence, load_model),
    "experiment invariance": (invariance, load_model),
    "experiment evolution": (evolution, load_model),
    "experiment first-layer": (first_layer, load_model),
    "experiment transfer": (transfer, load_model),
    "learn": (DictionaryLearner,),
    "encode": (encode,),
    "denoise": (denoise,),
    "inpaint": (inpaint,),
    "train classify": (classify, Settings),
    "train segment": (segment, Settings),
    "train generate": (generate, Settings, Contest),
    "sample": (sample,),
}
# Names of the shell alone, and why.
SHELL = {
    **dict.fromkeys(("out", "plot", "plot_kernels"), "Python has .save() and .plot()"),
    **dict.fromkeys(("json", "quiet"), "Python returns values"),
    "threads": "torch.set_num_threads",
    "device": "a module stays where it is",
    "precision": "a scan takes torch's dtype",
    "seed": "scikit-learn's random_state",
    "folder": "pictures and labels",
    "reference": "to measure against",
    "white_is_missing": "~mask",
    "colour": "mask_from_colour",
    "colour_tolerance": "tolerance of mask_from_colour",
    "smooth_known": "keep_known, which is on",
    "low_pass": "encode codes what it is given; split takes the low-pass off",
    "columns": "of samples_sheet",
    "held_inputs": "inputs and kwargs",
    "max_pixels": "pixel_limit, where reading is not the call's own",
}
# What a training has for settings where it is told none.
SETTINGS = {
    "train classify": Settings(),
    "train segment": inspect.signature(segment).parameters["settings"].default,
    "train generate": usual_settings(),
}
# Defaults that differ, and why.
DEFAULTS = {
    ("experiment occlusion", "fill"): "the mean colour: 0 in what the network is given",
    ("learn", "low_pass"): "pictures have 5, signals none",
    ("see", "formats"): "joined by commas",
}


def parameters(words: str) -> dict[str, Any]:
    """A command's own, by name."""
    return {parameter.name: parameter for parameter in COMMANDS[words].params}


def theirs(words: str) -> dict[str, inspect.Parameter]:
    """Those of what it calls; the first function's count."""
    found: dict[str, inspect.Parameter] = {}
    for call in CALLS[words]:
        for name, parameter in inspect.signature(call).parameters.items():
            found.setdefault(name, parameter)
    return found


def plain(value: Any) -> Any:
    """A default without its spelling: ``"0.05"`` and 0.05 are one, and so are ``Path("report")`` and ``"report"``."""
    try:
        return float(value) if not isinstance(value, bool) else value
    except (TypeError, ValueError):
        return None if value is None else str(value)


@pytest.mark.parametrize("words", CALLS)
def test_names_are_pythons(words: str) -> None:
    strange = set(parameters(words)) - set(theirs(words)) - set(SHELL) - {"image", "images", "generator"}
    assert not strange


def differing(words: str) -> dict[str, tuple[Any, Any]]:
    """Defaults here and there, where they are not one."""
    found = {}
    for name, parameter in parameters(words).items():
        python = theirs(words).get(name)
        if python is None or python.default is inspect.Parameter.empty:
            continue
        there = getattr(SETTINGS.get(words), name, python.default)
        if plain(parameter.default) != plain(there):
            found[name] = (parameter.default, there)
    return found


@pytest.mark.parametrize("words", CALLS)
def test_defaults_are_pythons(words: str) -> None:
    assert set(differing(words)) == {name for command, name in DEFAULTS if command == words}, differing(words)


def test_no_name_is_listed_for_nothing() -> None:
    assert set(SHELL) <= {name for words in CALLS for name in set(parameters(words)) - set(theirs(words))}

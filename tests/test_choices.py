"""The words of each choice are those of the table that it stands for, and every other is refused in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args, get_origin

import pytest
import torch
from torch import nn

import unconv as uc
from unconv import choices
from unconv.data.arrays import check_finish
from unconv.data.convert import as_image_tensor
from unconv.data.photos import photographs
from unconv.errors import UnconvError
from unconv.explain.themes import THEMES
from unconv.explain.views.all_views import VIEWS
from unconv.models.load.preprocess import Preprocess
from unconv.network.audit.audit_rules import AUDIT_RULES, SEVERITIES
from unconv.sparse.code.boundary import check_boundary
from unconv.sparse.estimator.features import OUTPUTS
from unconv.sparse.learn.constraints import NAMES
from unconv.train.loop.settings import OPTIMISERS, PRECISIONS, Settings
from unconv.upsample.change.replace import replace
from unconv.upsample.change.upsampling import KINDS
from unconv.upsample.convert import FORMS, convert
from unconv.upsample.upsamplers import UPSAMPLERS, upsampler
from unconv.visualize.outputs.reading import READINGS, read_outputs
from unconv.visualize.report.contact_sheets import FORMATS, check_formats
from unconv.visualize.reverse.rules import AUTO, REVERSE_RULES, find_rule

TABLES: dict[str, Iterable[str]] = {
    "ReverseRule": REVERSE_RULES,
    "ReverseRuleOrAuto": [AUTO, *REVERSE_RULES],
    "OutputReading": READINGS,
    "ReportFormat": FORMATS,
    "ViewName": VIEWS,
    "ThemeName": THEMES,
    "KernelConstraint": NAMES,
    "CodeOutput": OUTPUTS,
    "UpsamplerName": UPSAMPLERS,
    "UpsamplerKind": (*KINDS, "all"),
    "TransposedForm": FORMS,
    "Severity": SEVERITIES,
    "AuditRule": AUDIT_RULES,
    "Precision": PRECISIONS,
    "Optimiser": OPTIMISERS,
}

GEOMETRY = uc.ConvGeometry(5, 3)
IMAGES, KERNELS = torch.rand(1, 1, 8, 8), torch.rand(2, 1, 3, 3)
MODEL = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
UPSAMPLING = nn.Sequential(
    nn.ConvTranspose1d(1, 1, 2, 2),
    uc.upsample.SubPixel1d(1, 1),
    uc.upsample.ResizeConv1d(1, 1),
    uc.upsample.Bilinear1d(1),
    nn.Upsample(scale_factor=2),
)
AUDIT = uc.audit(MODEL, (1, 8, 8), measure=False)


def learn(**settings: Any) -> object:
    return uc.DictionaryLearner(2, 3, 0.1, max_iter=1, random_state=0, **settings).fit(IMAGES)


# What takes a word of each choice.
TAKERS: dict[str, Callable[[Any], object]] = {
    "ReverseRule": find_rule,
    "ReverseRuleOrAuto": lambda word: find_rule(word, AUTO) if word != AUTO else None,
    "OutputReading": lambda word: read_outputs(torch.zeros(1, 2), 1, "see", word),
    "ReportFormat": lambda word: check_formats([word]),
    "ViewName": lambda word: uc.draw(uc.ConvTransposeGeometry(3, 2), word),
    "ThemeName": lambda word: uc.draw(GEOMETRY, theme=word),
    "PaddingName": lambda word: uc.ConvGeometry(5, 3, padding=word),
    "Boundary": check_boundary,
    "Solver": lambda word: uc.encode(IMAGES, KERNELS, 0.1, solver=word),
    "Noise": lambda word: uc.denoise(torch.rand(1, 16, 16), noise=word, sigma=0.1 if word == "gaussian" else None),
    "KernelConstraint": lambda word: learn(constraint=word),
    "FirstKernels": lambda word: learn(init=word),
    "CodeOutput": lambda word: learn(output=word),
    "Mode": lambda word: check_finish(word, 1.0),
    "Layout": lambda word: as_image_tensor(torch.rand(3, 4, 3), layout=word),
    "Interpolation": lambda word: Preprocess(interpolation=word),
    "Fit": lambda word: Preprocess(fit=word),
    "Split": photographs,
    "UpsamplerName": lambda word: upsampler(word, 2, 2),
    "UpsamplerKind": lambda word: replace(UPSAMPLING, "transposed-k4", kind=word),
    "TransposedForm": lambda word: convert(nn.ConvTranspose2d(2, 2, 2, stride=2), word),
    "ResizeMode": lambda word: uc.upsample.ResizeConv2d(2, 2, mode=word),
    "Severity": lambda word: AUDIT.at_least(word),
    "AuditRule": lambda word: AUDIT.without([word]),
    "Precision": lambda word: Settings(precision=word),
    "Optimiser": lambda word: Settings(optimiser=word),
}
CHOICES = {name: get_args(value) for name, value in vars(choices).items() if get_origin(value) is not None}


@pytest.mark.parametrize("name", TABLES)
def test_a_choice_has_the_words_of_its_table(name: str) -> None:
    assert CHOICES[name] == tuple(TABLES[name])


@pytest.mark.parametrize("name", CHOICES)
def test_every_word_is_taken_and_no_other(name: str) -> None:
    take = TAKERS[name]
    for word in CHOICES[name]:
        take(word)
    with pytest.raises(UnconvError, match=r"'?misspelled'?") as refusal:
        take("misspelled")
    assert "\n" not in str(refusal.value)
    assert any(word in str(refusal.value) for word in CHOICES[name])


def test_words_reach_the_functions_that_a_type_checker_guards() -> None:
    with pytest.raises(UnconvError, match=r"rule: 'deconvnt' is not one of (auto, )?deconvnet, guided, gradient"):
        uc.project(MODEL, IMAGES, "0", 0, rule="deconvnt")  # type: ignore[arg-type]

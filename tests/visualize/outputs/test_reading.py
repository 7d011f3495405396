"""Outputs are read as what they are: against torch's own softmax, sigmoid and means."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unconv.errors import ModelError, UnconvError
from unconv.network.run.outputs import main_output
from unconv.network.trace.trace import trace
from unconv.visualize.experiments.invariance import invariance
from unconv.visualize.experiments.occlusion import occlusion
from unconv.visualize.outputs.endings import ending_of
from unconv.visualize.outputs.reading import read_outputs


@dataclass
class Answer:
    logits: Tensor
    hidden: Tensor


class Named(NamedTuple):
    aux: Tensor
    logits: Tensor


class Net(nn.Module):
    """A small network whose output is written by a function of its feature maps and class scores."""

    def __init__(self, end: Any, outputs: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU())
        self.head = nn.Conv2d(6, outputs, 1)
        self.end = end

    def forward(self, x: Tensor) -> Any:
        maps = self.head(self.body(x))
        return self.end(maps.mean((2, 3)), maps)


def net(end: Any, outputs: int = 4) -> Net:
    torch.manual_seed(0)
    return Net(end, outputs).eval()


LOGITS = net(lambda scores, _maps: scores)
IMAGE = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))
COVERED = IMAGE.clone()
COVERED[:, :8, :8] = 0


def scores_of(outputs: int = 4) -> Tensor:
    with torch.no_grad():
        return net(lambda scores, _maps: scores, outputs)(COVERED[None])[0]


# How a network may end, what that is read as, and the probability (or number) of the output 1 of each image.
ENDS: dict[str, tuple[Any, str, Any]] = {
    "logits": (lambda s, _m: s, "softmax of", lambda s: s.softmax(0)),
    "softmax": (lambda s, _m: s.softmax(1), "softmax:", lambda s: s.softmax(0)),
    "softmax in steps": (
        lambda s, _m: (s - s.amax(1, keepdim=True)).exp() / (s - s.amax(1, keepdim=True)).exp().sum(1, keepdim=True),
        "softmax:",
        lambda s: s.softmax(0),
    ),
    "module, viewed": (
        lambda s, _m: nn.Softmax(1)(s).view(len(s), 2, 2).flatten(1),
        "softmax:",
        lambda s: s.softmax(0),
    ),
    "log softmax": (lambda s, _m: F.log_softmax(s, 1), "whose logarithms", lambda s: s.softmax(0)),
    "sigmoid": (lambda s, _m: s.sigmoid(), "sigmoid:", lambda s: s.sigmoid()),
    "heads joined": (
        lambda s, _m: torch.cat([s[:, :2].sigmoid(), torch.sigmoid(s[:, 2:])], 1),
        "sigmoid:",
        lambda s: s.sigmoid(),
    ),
    "hard": (lambda s, _m: F.hardsigmoid(s), "sigmoid:", F.hardsigmoid),
    "dict": (lambda s, m: {"aux": m, "logits": s}, "'logits' of dict; softmax", lambda s: s.softmax(0)),
    "dataclass": (lambda s, m: Answer(s.sigmoid(), m), "'logits' of Answer; sigmoid:", lambda s: s.sigmoid()),
    "named tuple": (lambda s, m: Named(m, s), "'logits' of Named; softmax", lambda s: s.softmax(0)),
    "tuple": (lambda s, m: (s, m), "the first of 2 tensors in tuple; softmax", lambda s: s.softmax(0)),
    "half": (lambda s, _m: s.softmax(1).half(), "softmax:", lambda s: s.softmax(0)),
}


@pytest.mark.parametrize("name", ENDS)
def test_probabilities_of_several_outputs_are_those_of_torch(name: str) -> None:
    end, told, read = ENDS[name]
    maps = occlusion(net(end), IMAGE, 1, "body", square=8, stride=8)
    assert told in maps.output
    expected = float(read(scores_of())[1])
    assert float(maps.probability[0, 0]) == pytest.approx(expected, rel=2e-3 if name == "half" else 1e-5)
    curves = invariance(net(end), IMAGE, "translation", [0], ["body"], targets=[1])
    assert curves.output == maps.output
    assert float(curves.probability[0, 0]) == pytest.approx(maps.clean_probability, rel=1e-5)


@pytest.mark.parametrize(
    ("end", "asked", "told", "read"),
    [
        (lambda s, _m: s, "auto", "score: the one output", None),
        (lambda s, _m: s[:, 0], "auto", "score: the one output", None),
        (lambda s, _m: s.squeeze(), "auto", "score: the one output", None),
        (lambda s, _m: s, "sigmoid", "sigmoid of the one output", torch.sigmoid),
        (lambda s, _m: s, "class", "sigmoid of the one output", torch.sigmoid),
        (lambda s, _m: s.sigmoid().squeeze(1), "auto", "sigmoid: the one output", torch.sigmoid),
        (lambda s, _m: s.sigmoid(), "sigmoid", "sigmoid: the one output", torch.sigmoid),
    ],
)
def test_one_output(end: Any, asked: Any, told: str, read: Any) -> None:
    maps = occlusion(net(end, 1), IMAGE, layer="body", square=8, stride=8, output=asked)
    score = scores_of(1)[0]
    assert maps.output.startswith(told)
    assert maps.probable == (read is not None)
    assert float(maps.followed[0, 0]) == pytest.approx(float(score if read is None else read(score)), rel=1e-5)
    if not maps.probable:
        assert bool(maps.probability.isnan().all())
        assert torch.equal(maps.attribution(), maps.attribution("score"))
        with pytest.raises(UnconvError, match="there is no probability"):
            maps.attribution("probability")
    assert maps.plot() is not None
    assert str(maps)


@pytest.mark.parametrize(("asked", "read"), [("softmax", "softmax"), ("sigmoid", "sigmoid"), ("score", None)])
def test_dense_maps_are_averaged(asked: Any, read: str | None) -> None:
    model = net(lambda _s, m: {"out": m})
    with torch.no_grad():
        maps = model(COVERED[None])["out"]
    expected = maps if read is None else maps.softmax(1) if read == "softmax" else maps.sigmoid()
    found = occlusion(model, IMAGE, 2, "body", square=8, stride=8, output=asked)
    assert float(found.followed[0, 0]) == pytest.approx(float(expected.mean((2, 3))[0, 2]), rel=1e-5)
    assert "averaged over 7×7 places" in found.output


def test_masks_without_channels_are_maps_and_pictures_are_numbers() -> None:
    masks = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.Flatten(1, 2))
    found = occlusion(masks, IMAGE, layer="0", square=8, output="sigmoid")
    with torch.no_grad():
        assert found.clean_probability == pytest.approx(float(masks(IMAGE[None]).sigmoid().mean()), rel=1e-5)
    denoiser = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
    assert occlusion(denoiser, IMAGE, square=8).output.startswith("score: the 3 outputs as they are")


def test_maps_that_nothing_is_known_of_are_not_followed_unasked() -> None:
    model = net(lambda _s, m: m)
    assert "say output=" in invariance(model, IMAGE, "scale", [1.2], ["body"]).output
    assert invariance(model, IMAGE, "scale", [1.2], ["body"], output="sigmoid").probability.shape == (1, 1)


@pytest.mark.parametrize(
    ("classes", "outputs", "told"),
    [
        (["a", "b"], 4, "2 class names for 4 outputs: are left out"),
        (["a"], 4, "1 class name for 4 outputs: is left out"),
        (["a", "b", "c"], 1, "3 class names for 1 output: are left out"),
    ],
)
def test_names_that_do_not_fit_are_left_out_with_a_word(classes: list[str], outputs: int, told: str) -> None:
    reading = read_outputs(torch.randn(2, outputs), 2, "see", classes=classes)
    assert told in reading.note
    assert reading.names is None


def test_a_class_is_found_by_its_name() -> None:
    from unconv.models.load.preprocess import Preprocess
    from unconv.models.load.resolve import LoadedModel

    loaded = LoadedModel("net", LOGITS, Preprocess((16, 16), (16, 16)), ("ant", "tabby", "bee", "Bee"), "as given")
    assert occlusion(loaded, IMAGE, "Tabby", "body", square=8).target == 1
    assert invariance(loaded, IMAGE, "scale", [1], ["body"], targets=["ant"]).names == ("ant",)
    for target, told in (
        ("tab", "near it: tabby"),
        ("cow", "give its index"),
        ("bee", "classes 2, 3 are called so"),
        (4, "classes 0 to 3"),
        (-1, "classes 0 to 3"),
        (1.5, "a whole number"),
        (True, "give the index"),
    ):
        with pytest.raises(UnconvError, match=told):
            occlusion(loaded, IMAGE, target, "body", square=8)


def test_two_names_are_of_no_and_yes() -> None:
    reading = read_outputs(torch.zeros(1, 1), 1, "see", classes=("healthy", "ill"))
    assert (reading.kind, reading.name(0), reading.best_name(0)) == ("sigmoid", "ill", "healthy")
    assert reading.find("ill", "see") == 0
    with pytest.raises(UnconvError, match="what remains of 1"):
        reading.find("healthy", "see")


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (torch.zeros(2, 5, dtype=torch.int64), "int64 numbers, labels perhaps"),
        (torch.zeros(3, 5), r"shape \(3, 5\) for 2 images"),
        (torch.zeros(2, 7, 5), "which axis has the outputs is not known"),
        (torch.full((2, 5), torch.nan), "NaN"),
        (None, "a NoneType"),
        ({"n": 3}, "a dict"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_line(output: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told) as caught:
        read_outputs(output, 2, "see")
    assert "\n" not in str(caught.value)


def test_softmax_of_one_output_is_refused() -> None:
    with pytest.raises(UnconvError, match="always 1"):
        read_outputs(torch.zeros(2, 1), 2, "see", "softmax")


def test_softmax_along_another_axis_is_no_class_of_several() -> None:
    """A spatial softmax ends in probabilities, but not of channels."""
    model = net(lambda _s, m: m.flatten(2).softmax(2).view_as(m))
    output = model(IMAGE[None])
    reading = read_outputs(output, 1, "see", ending=ending_of(trace(model, (3, 16, 16)), output))
    assert (reading.kind, reading.applied) == ("sigmoid", False)


def test_outputs_that_are_dicts_and_dataclasses_at_once() -> None:
    """As those of transformers are: an OrderedDict that leaves out what is None."""

    @dataclass
    class Output(OrderedDict[str, Any]):
        loss: Tensor | None = None
        logits: Tensor | None = None

        def __post_init__(self) -> None:
            self.update(
                {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) is not None}
            )

    answer = Output(logits=torch.zeros(1, 3))
    assert main_output(answer)[:2] == (answer.logits, "'logits' of Output")
    hidden = Output(loss=torch.zeros(()), logits=torch.zeros(1, 3))
    assert main_output(hidden).tensor is hidden.logits

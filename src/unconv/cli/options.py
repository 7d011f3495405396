"""Options that several commands share: one name, one type, one meaning."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from unconv.choices import OutputReading, ReverseRule, ReverseRuleOrAuto
from unconv.cli import spelling
from unconv.cli.completion import complete_model, complete_words
from unconv.cli.groups import COMPUTATION, NETWORK, OUTPUT, OptionGroup
from unconv.errors import UnconvError
from unconv.visualize.reverse.rules import rule_help

if TYPE_CHECKING:
    import torch
    from torch import nn

    from unconv.models.load.resolve import LoadedModel

Model: TypeAlias = Annotated[
    str, typer.Argument(metavar="MODEL", help="A network, see unconv models.", autocompletion=complete_model)
]
Images: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="IMAGES", help="Picture files, folders and .tar files.")
]
Image: TypeAlias = Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture.")]
Rule: TypeAlias = Annotated[str, typer.Option("--rule", help=rule_help(), autocompletion=complete_words(ReverseRule))]
RuleOrAuto: TypeAlias = Annotated[
    str, typer.Option("--rule", help=rule_help(auto=True), autocompletion=complete_words(ReverseRuleOrAuto))
]
Output: TypeAlias = Annotated[
    str,
    typer.Option(
        "--output",
        help="How outputs are read: auto, softmax, sigmoid, class or score.",
        autocompletion=complete_words(OutputReading),
    ),
]
Top: TypeAlias = Annotated[
    int, typer.Option("--top", min=1, help="How many of the best: places of a unit, or solutions.")
]
Units: TypeAlias = Annotated[str | None, typer.Option("--units", help="Which units: 3 or 3,17, or all.")]

Penalty: TypeAlias = Annotated[
    str, typer.Option("--penalty", help="Sparsity: 0.05, or 0.1max for a part of the largest.")
]
LowPass: TypeAlias = Annotated[
    float, typer.Option("--low-pass", min=0.0, help="Strength of the low-pass taken off first; 0: none.")
]
Dictionary: TypeAlias = Annotated[
    str | None, typer.Option("-d", "--dictionary", help="grey-8x8x64, colour-8x8x64 or a file.")
]

BatchSize: TypeAlias = Annotated[
    int, typer.Option("--batch-size", min=1, help="Computed together.", rich_help_panel=COMPUTATION)
]
Seed: TypeAlias = Annotated[
    int, typer.Option("--seed", min=0, help="Of all random numbers.", rich_help_panel=COMPUTATION)
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        "--device", help="cpu, cuda, cuda:1, mps; auto: cuda where there is one.", rich_help_panel=COMPUTATION
    ),
]
Precision: TypeAlias = Annotated[
    str, typer.Option("--precision", help="float32, bfloat16 or float16.", rich_help_panel=COMPUTATION)
]
Checkpoint: TypeAlias = Annotated[
    Path | None,
    typer.Option("--checkpoint", help="Folder to resume from if killed; it is made.", rich_help_panel=COMPUTATION),
]
Force: TypeAlias = Annotated[
    bool,
    typer.Option("--force", help="Replace others' files of the names that are written.", rich_help_panel=OUTPUT),
]

Weights: TypeAlias = Annotated[
    Path | None, typer.Option("--weights", help="Weights: a file, or FILE:ema for a part.", rich_help_panel=NETWORK)
]
RandomWeights: TypeAlias = Annotated[
    bool, typer.Option("--random-weights", help="Leave the network untrained.", rich_help_panel=NETWORK)
]
Size: TypeAlias = Annotated[
    str | None,
    typer.Option("--size", help="Size it is given: 224, 192x256; of clips 16x112x112.", rich_help_panel=NETWORK),
]

Mean: TypeAlias = Annotated[
    str | None, typer.Option("--mean", help="Subtracted from [0, 1]: 0.5 or 0.48,0.45,0.40.", rich_help_panel=NETWORK)
]

Std: TypeAlias = Annotated[
    str | None, typer.Option("--std", help="Divided by: 0.25 or 0.23,0.22,0.22.", rich_help_panel=NETWORK)
]


Classes: TypeAlias = Annotated[
    Path | None,
    typer.Option("--classes", help="Names of the outputs: a line each, or JSON.", rich_help_panel=NETWORK),
]


def out(text: str) -> Any:
    """The option of what a command writes."""
    return typer.Option("-o", "--out", help=text)


def plot(text: str) -> Any:
    """The option of a picture beside what a command writes."""
    return typer.Option("--plot", help=f"Also draw: {text}.", rich_help_panel=OUTPUT)


def top_units(default: str | bool = True) -> Any:
    """The option of how many units; which are taken where it is not given."""
    return typer.Option("--top-units", min=1, help="How many units of each layer, the strongest.", show_default=default)


def layers(default: str) -> Any:
    """The option of several layers; which are taken where it is not given."""
    return typer.Option(
        "--layers", help="Layers, joined by commas: names, patterns (layer3.*), all.", show_default=default
    )


def layer(default: str | bool = True) -> Any:
    """The option of one layer; which is taken where it is not given."""
    return typer.Option("--layer", help="A layer's name.", show_default=default)


def kernel_size(default: str | bool = True) -> Any:
    """The option of a kernel's size; which it is where it is not given."""
    return typer.Option("-k", "--kernel-size", help="Kernel size: 3, or 3x2.", show_default=default)


def stride(default: str | bool = True) -> Any:
    """The option of a stride; which it is where it is not given."""
    return typer.Option("-s", "--stride", help="Stride: 2, or 2x1.", show_default=default)


@dataclass(frozen=True)
class Transform(OptionGroup):
    """What is done to pictures before a MODEL is given them."""

    size: Size = None
    mean: Mean = None
    std: Std = None

    def read(self) -> dict[str, Any]:
        """Height and width, means and deviations, as :func:`~unconv.models.load.resolve.load_model` takes them.

        >>> Transform(size="96", mean="0.5").read()
        {'size': (96, 96), 'mean': [0.5], 'std': None}
        """
        return {
            "size": spelling.picture_size("--size", self.size),
            "mean": spelling.numbers("--mean", self.mean),
            "std": spelling.numbers("--std", self.std),
        }

    def load(
        self, model: str, weights: Path | None = None, random_weights: bool = False, classes: Path | None = None
    ) -> LoadedModel:
        """The network; a misspelled option is refused before anything is loaded."""
        transform = self.read()
        from unconv.models.load.resolve import load_model

        return load_model(model, weights=weights, random_weights=random_weights, classes=classes, **transform)


@dataclass(frozen=True)
class Network(OptionGroup):
    """What changes a MODEL that is to look at pictures."""

    weights: Weights = None
    random_weights: RandomWeights = False
    size: Size = None
    mean: Mean = None
    std: Std = None
    classes: Classes = None

    def load(self, model: str) -> LoadedModel:
        """The network; a misspelled option is refused before anything is loaded."""
        transform = Transform(self.size, self.mean, self.std)
        return transform.load(model, self.weights, self.random_weights, self.classes)


@dataclass(frozen=True)
class Sized(OptionGroup):
    """What changes a MODEL that is given sizes, not pictures."""

    weights: Weights = None
    random_weights: RandomWeights = False
    size: Size = None

    def load(self, model: str, random_weights: bool) -> LoadedModel:
        """The network; with random weights where they are asked for, or none are needed."""
        return Transform(self.size).load(model, self.weights, random_weights)


@dataclass(frozen=True)
class Job(OptionGroup):
    """How a command computes, and how it tells what has come out."""

    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="How many; torch's choice unless given.", rich_help_panel=COMPUTATION),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT)] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print nothing but errors, and JSON.", rich_help_panel=OUTPUT)
    ] = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        """With so many threads, and nobody listening where it is to be quiet; errors are told by who called."""
        with ExitStack() as states:
            if self.threads is not None:
                states.enter_context(_torch_threads(self.threads))
            if self.quiet:
                nowhere = states.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
                states.enter_context(redirect_stderr(nowhere))
                if not self.json:
                    states.enter_context(redirect_stdout(nowhere))
            yield


@dataclass(frozen=True)
class PictureJob(Job):
    """How a command computes that reads pictures."""

    max_pixels: Annotated[
        int | None,
        typer.Option(
            "--max-pixels",
            min=1,
            help="Larger pictures are skipped.",
            show_default="100000000",
            rich_help_panel=COMPUTATION,
        ),
    ] = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """With that limit, which all that reads pictures follows."""
        with ExitStack() as states:
            if self.max_pixels is not None:
                from unconv.data.read.reading import pixel_limit

                states.enter_context(pixel_limit(self.max_pixels))
            states.enter_context(super().applied())
            yield


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """So many threads of torch, which ours follow; afterwards as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_for(name: str) -> torch.device:
    """The device of that name, told on stderr where it is not the processor."""
    from unconv.train.loop.device import device_of

    device = device_of(name)
    if device.type != "cpu":
        print(f"device {device}", file=sys.stderr)
    return device


def unit_choice(units: str | None, top_units: int | None) -> list[int] | str | None:
    """Which units, or all; None where they are not told, or counted.

    >>> unit_choice("3,17", None), unit_choice("all", None), unit_choice(None, 4), unit_choice(None, None)
    ([3, 17], 'all', None, None)
    """
    if units is not None and top_units is not None:
        raise UnconvError("--units says which units, --top-units how many; give one of them")
    if units is None or units == "all":
        return units
    chosen = spelling.indices("--units", units) or []
    if len(chosen) == 1:
        typer.echo(f"--units {units}: unit {units} alone; --top-units {units} would be the {units} strongest", err=True)
    return chosen


def layer_names(layers: str | None, module: nn.Module) -> list[str] | None:
    """Layers joined by commas; all: every convolution.

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    >>> layer_names("all", model), layer_names("0, 1", model), layer_names(None, model)
    (['0'], ['0', '1'], None)
    """
    if layers != "all":
        return spelling.names(layers)
    from unconv.visualize.scan.scan import convolutions

    return convolutions(module)

"""``unconv models``: what a MODEL may be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from unconv.cli.groups import OUTPUT
from unconv.models.load.sources import source_names
from unconv.tables import text_table

if TYPE_CHECKING:
    from unconv.models.load.catalogue import ModelFacts

EXAMPLES = (
    "unconv models",
    "unconv models 'resnet*'",
    "unconv models 'timm:convnext*' --json",
)


def models(
    pattern: Annotated[
        str | None, typer.Argument(metavar="PATTERN", help="Of names: 'fcn*', 'torchvision:*', 'timm:resnet1*'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """List networks: input, parameters, paper, where the weights come from.

    A MODEL is a built-in name, torchvision:NAME, timm:NAME, hf:NAME_OR_FOLDER for a vision network of transformers
    (the hub lists these), file.py:callable for a function of yours that returns a torch module, or a file that is a
    network: FILE.onnx, FILE.pt2.
    """
    from unconv.jobs import bar
    from unconv.models.load.catalogue import describe_model, match_models

    names = match_models(pattern)
    facts = []
    with bar() as progress:
        progress.start(len(names), "networks")
        for name in names:
            facts.append(describe_model(name))
            progress.advance()
    if as_json:
        typer.echo(json.dumps([one.to_dict() for one in facts], ensure_ascii=False))
        return
    typer.echo(table(facts))
    if pattern is None:
        typer.echo(f"and file.py:callable, and {', '.join(f'{name}:NAME' for name in source_names())}: see")
        typer.echo(f"unconv models '{source_names()[0]}:*'")


def table(facts: Sequence[ModelFacts], width: int = 78) -> str:
    """A row for each network, and under it its variants, its paper and its weights.

    >>> from unconv.models.load.catalogue import describe_model
    >>> print(table([describe_model("dcgan-32")]))
    model     input  parameters
    dcgan-32    100     373,440
        :UPSAMPLER or :WIDTH; Radford et al. 2016, arXiv:1511.06434; weights: none
    """
    rows = [(one.model, "x".join(map(str, one.input_size)), f"{one.parameters:,}") for one in facts]
    heading, *lines = text_table([("model", "input", "parameters"), *rows]).splitlines()
    shown = [heading]
    for one, line in zip(facts, lines, strict=True):
        variants = " or ".join(f":{variant}" for variant in one.variants)
        told = "; ".join(filter(None, (variants, one.paper, f"weights: {one.weights}")))
        shown += [line, fill(told, width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)]
    return "\n".join(shown)

"""Option groups: frozen dataclasses whose fields are the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import MISSING, fields
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

# Panels of a help text behind those options that are a command's own, in this order.
NETWORK, COMPUTATION, OUTPUT = PANELS = ("Network", "Computation", "Output")

# Names of the parameters in them.
ORDER = (
    *("weights", "random_weights", "size", "mean", "std", "classes", "held_inputs"),
    *("batch_size", "precision", "device", "threads", "max_pixels", "seed", "checkpoint"),
    *("plot", "plot_kernels", "log", "force", "json", "as_json", "quiet"),
)


class OptionGroup:
    """What several commands take alike; a subclass is a frozen dataclass whose fields are annotated for typer."""

    def applied(self) -> AbstractContextManager[None]:
        """In which state the command runs."""
        return nullcontext()


def flatten(function: Callable[..., None]) -> Callable[..., None]:
    """A command's function with the fields of its option groups as parameters of its own.

    Arguments come first, then options, those of :data:`PANELS` last.

    >>> import typer
    >>> from unconv.cli.options import Job
    >>> def audit(job: Job, model: Annotated[str, typer.Argument()], top: Annotated[int, typer.Option()] = 9) -> None:
    ...     print(model, top, job.json)
    >>> list(signature(flatten(audit)).parameters)
    ['model', 'top', 'threads', 'json', 'quiet']
    >>> flatten(audit)(model="lenet5", top=3, threads=None, json=True, quiet=False)
    lenet5 3 True
    """
    hints = get_type_hints(function, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, OptionGroup)}
    parameters: list[Parameter] = []
    for name, parameter in signature(function).parameters.items():
        if name in groups:
            parameters += _parameters(groups[name])
        else:
            annotation = hints.get(name, parameter.annotation)
            parameters.append(parameter.replace(annotation=annotation, kind=Parameter.KEYWORD_ONLY))

    def command(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})  # type: ignore[arg-type]
            for name, group in groups.items()
        }
        with ExitStack() as states:
            for group in made.values():
                states.enter_context(group.applied())
            function(**given, **made)

    command.__name__, command.__doc__, command.__module__ = function.__name__, function.__doc__, function.__module__
    command.__signature__ = Signature(sorted(parameters, key=_rank))  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


def _parameters(group: type[OptionGroup]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(group)  # type: ignore[arg-type]
    ]


def _rank(parameter: Parameter) -> tuple[int, int]:
    """Arguments, a command's own options with what it writes first, panels in the order of :data:`ORDER`."""
    told: Any = None
    if get_origin(parameter.annotation) is Annotated:
        told = next(one for one in get_args(parameter.annotation) if isinstance(one, ArgumentInfo | OptionInfo))
    if not isinstance(told, OptionInfo):
        return 0, 0
    if told.rich_help_panel is None:
        return 1, int(parameter.name != "out")
    return 2 + PANELS.index(told.rich_help_panel), ORDER.index(parameter.name)

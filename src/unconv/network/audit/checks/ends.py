"""Dead-end rules: outputs that nothing reads, parameters that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from unconv.network.audit.finding import Finding, Subject, assigned, module_of
from unconv.network.trace.graph import Layer

_HOLDERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def check_ends(subject: Subject) -> Iterator[Finding]:
    """``dead-end`` and ``unused-parameters``."""
    yield from _dead_ends(subject)
    modules: dict[str, list[str]] = {}
    for name in subject.graph.unused:
        modules.setdefault(_unused_root(subject, name), []).append(name)
    for root, names in modules.items():
        count = sum(subject.model.get_parameter(name).numel() for name in names)
        yield Finding(
            "unused-parameters",
            root,
            f"{count:,} parameters are not used in evaluation mode ({names[0]}{', ...' if len(names) > 1 else ''})",
            f"{assigned(subject.model, root, 'None')}, unless training uses it",
        )


def _dead_ends(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    if graph.returned is None:
        return
    alive = {*graph.returned, *graph.kept}
    for value in reversed(graph.values):
        if value.index in alive:
            alive.update(parent for parent, _ in value.parents)
    read = {parent for value in graph.values for parent, _ in value.parents}
    used = {_owner(subject, layer) for layer in graph if not alive.isdisjoint(graph.outputs[layer.name])}
    # Of a whole branch that leads nowhere, its last layer is told.
    ends = {_owner(subject, layer): layer for layer in graph if read.isdisjoint(graph.outputs[layer.name])}
    for owner, layer in ends.items():
        if owner not in used:
            yield Finding(
                "dead-end",
                layer.name,
                f"its output, {'×'.join(map(str, layer.output_shape)) or 'a number'}, is used by nothing"
                + (f"; {layer.macs:,} multiply-accumulates for it" if layer.macs else ""),
                f"leave {owner} out, or return what it makes",
            )


def _owner(subject: Subject, layer: Layer) -> str:
    """The outermost module of torch around a layer, whose inside is torch's matter; the layer itself if none is.

    Modules that only hold others are left out.
    """
    parts = module_of(layer.name).split(".")
    module: nn.Module | None = subject.model
    for length in range(len(parts) + 1):
        if module is None:
            break
        if type(module).__module__.startswith(("torch.nn.modules", "torch.ao.nn")) and not isinstance(module, _HOLDERS):
            return ".".join(parts[:length]) or "the model"
        module = module._modules.get(".".join(parts[length : length + 1]))
    return layer.name


def _unused_root(subject: Subject, parameter: str) -> str:
    """The outermost module around a parameter none of whose parameters are used; the parameter itself if none is."""
    unused = set(subject.graph.unused)
    parts = parameter.split(".")
    for length in range(1, len(parts)):
        root = ".".join(parts[:length])
        inside = [f"{root}.{name}" for name, _ in subject.model.get_submodule(root).named_parameters()]
        if all(name in unused for name in inside):
            return root
    return parameter

"""Dead-end rules: outputs that nothing reads, parameters that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from unconv.network.audit.finding import Finding, Subject, assigned


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
    alive = set(graph.returned)
    for value in reversed(graph.values):
        if value.index in alive:
            alive.update(parent for parent, _ in value.parents)
    read = {parent for value in graph.values for parent, _ in value.parents}
    for layer in graph:
        index = graph.value_of(layer.name).index
        # Of a whole branch that leads nowhere, its last layer is told.
        if index not in alive and index not in read:
            yield Finding(
                "dead-end",
                layer.name,
                f"its output, {'×'.join(map(str, layer.output_shape)) or 'a number'}, is used by nothing"
                + (f"; {layer.macs:,} multiply-accumulates for it" if layer.macs else ""),
                f"leave {layer.name} out, or return what it makes",
            )


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

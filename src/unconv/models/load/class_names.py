"""Names of classes, from a file or a list: a line each, a JSON list, or JSON by index as ImageNet's are published."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from unconv.errors import ModelError, one_line, printable

AnyClasses: TypeAlias = str | PathLike[str] | Sequence[str]


def read_class_names(given: AnyClasses) -> tuple[str, ...]:
    """The names of a network's outputs, in their order.

    Args:
        given: the names themselves, or a file of them: text with one on each line; JSON, a list of names, or a dict by
            index from 0, whose values are names or lists that end with one (``{"0": ["n01440764", "tench"]}``).

    Raises :class:`~unconv.errors.ModelError` for a file that cannot be read, and for what holds no names.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "classes.txt"
    >>> _ = file.write_text("cat\\ndog\\n")
    >>> read_class_names(file), read_class_names(["cat", "dog"])
    (('cat', 'dog'), ('cat', 'dog'))
    """
    if not isinstance(given, str | PathLike):
        return _checked(list(given), "classes")
    path = Path(given)
    where = f"classes {printable(path)}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ModelError(f"{where}: cannot be read: {one_line(error)}") from None
    if not text.lstrip().startswith(("[", "{")):
        return _checked([line.strip() for line in text.strip().splitlines()], where)
    try:
        held: Any = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{where}: is no JSON: {one_line(error)}") from None
    if isinstance(held, Mapping):
        indices = {str(number) for number in range(len(held))}
        if set(held) != indices:
            missing = min(indices - set(held), key=int)
            raise ModelError(f"{where}: holds {len(held)} names by index, but none of index {missing}")
        held = [held[str(number)] for number in range(len(held))]
    return _checked([one[-1] if isinstance(one, list) and one else one for one in held], where)


def _checked(names: list[Any], where: str) -> tuple[str, ...]:
    if not names or not all(isinstance(name, str) and name for name in names):
        odd = next((place for place, name in enumerate(names) if not (isinstance(name, str) and name)), None)
        told = "holds no names" if odd is None else f"name {odd} is {names[odd]!r}"
        raise ModelError(f"{where}: {told}; write one name for each class, on lines or in a JSON list")
    return tuple(names)

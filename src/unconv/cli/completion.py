"""Shell completion: what may stand for a MODEL, and the words that options take; nothing heavy is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from unconv.models.load.built_in import BUILT_IN, built_in_names
from unconv.models.load.sources import source_names
from unconv.source_files import callables_in

# Where the packages of sources define their networks; what is registered there is a name.
_PLACES = {
    "torchvision": ("models/*.py", "models/segmentation/*.py", "models/video/*.py"),
    "timm": ("models/*.py",),
}
_REGISTERED = re.compile(r"^@register_model.*?^def (\w+)\(", re.MULTILINE | re.DOTALL)


def complete_model(incomplete: str) -> list[str]:
    """MODEL strings that begin like this: built-in names, networks of torchvision and timm, callables of files.

    >>> complete_model("zfn"), complete_model("torchvision:vgg19")
    (['zfnet', 'zfnet-28'], ['torchvision:vgg19', 'torchvision:vgg19_bn'])
    """
    before = _before_colon()
    found = sorted({name for name in _models(before + incomplete) if name.startswith(before + incomplete)})
    return [name.removeprefix(before) for name in found]


def complete_words(choice: Any, joined: bool = False) -> Callable[[str], list[str]]:
    """What completes the words of a choice, also behind others that are joined by commas.

    >>> from unconv.choices import ViewName
    >>> complete_words(ViewName)("s"), complete_words(ViewName, joined=True)("zeros,m")
    (['scatter'], ['zeros,matrix'])
    """
    words = get_args(choice)

    def complete(incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",") if joined else ("", "", incomplete)
        return [f"{before}{comma}{word}" for word in words if word.startswith(begun)]

    return complete


def _models(begun: str) -> Iterator[str]:
    source, colon, _ = begun.partition(":")
    file, dotted, _ = begun.rpartition(".py:")
    if dotted:
        yield from (f"{file}.py:{name}" for name in callables_in(Path(f"{file}.py")))
    elif colon and source in source_names():
        yield from (f"{source}:{name}" for name in _registered(source))
    elif colon:
        row = next((row for row in BUILT_IN if row.name == source), None)
        yield from (f"{source}:{word}" for word in (row.variants if row else ()) if not word.isupper())
    else:
        yield from built_in_names()
        yield from (f"{name}:" for name in source_names())
        folder, slash, _ = begun.rpartition("/")
        yield from (f"{folder}{slash}{path.name}:" for path in Path(folder or slash or ".").glob("*.py"))


def _registered(package: str) -> Iterator[str]:
    """Names of networks that a package registers, read from its files and not imported: that takes seconds."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for pattern in _PLACES.get(package, ()):
            for path in Path(folder).glob(pattern):
                yield from _REGISTERED.findall(path.read_text(encoding="utf-8", errors="replace"))


def _before_colon() -> str:
    """What stands before a colon that bash, unlike other shells, takes for the end of a word."""
    words = os.environ.get("COMP_WORDS", "").split()
    place = os.environ.get("COMP_CWORD", "")
    here = int(place) if place.isdecimal() else 0
    return f"{words[here - 2]}:" if 2 <= here <= len(words) and words[here - 1] == ":" else ""

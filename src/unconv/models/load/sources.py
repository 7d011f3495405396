"""Sources of networks, which MODEL strings name in front of a colon, and files that are networks: one row each.

Nothing heavy is imported here, so that a help text can name them; a source's file is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unconv.models.load.recipe import Recipe


@dataclass(frozen=True)
class Source:
    """Networks of one package: ``NAME:NETWORK``.

    Attributes:
        name: what stands before the colon.
        recipe: ``file:function`` in ``unconv.models.load``; the function takes what stands behind the colon and returns
            a :class:`~unconv.models.load.recipe.Recipe`, or raises ModelError for a name that is none.
        models: ``file:function`` likewise; the function returns the names that may stand behind the colon. Empty where
            they cannot be listed.
        network: what stands behind the colon, for help texts and messages.
        proposed: whether messages about unknown names propose its networks, for which its package is imported.
    """

    name: str
    recipe: str
    models: str = ""
    network: str = "NAME"
    proposed: bool = False

    def find_recipe(self, network: str) -> Recipe:
        """How to make one of its networks."""
        recipe: Recipe = _load(self.recipe)(network)
        return recipe

    def list_networks(self) -> tuple[str, ...]:
        """Names behind the colon, none where they cannot be listed; raises MissingExtraError without the package."""
        if not self.models:
            return ()
        names: tuple[str, ...] = _load(self.models)()
        return names


# timm is not proposed: its import takes seconds, and most of its names are those of torchvision.
SOURCES = (
    Source("torchvision", "from_torchvision:torchvision_recipe", "from_torchvision:torchvision_models", proposed=True),
    Source("timm", "from_timm:timm_recipe", "from_timm:timm_models"),
    Source("hf", "hugging_face.recipe:hugging_face_recipe", network="NAME_OR_FOLDER"),
)


@dataclass(frozen=True)
class FileFormat:
    """Files that hold a whole network with its weights: the MODEL is the file's name.

    Attributes:
        suffix: what its name ends in.
        recipe: as that of a :class:`Source`; the function takes the path.
    """

    suffix: str
    recipe: str

    def find_recipe(self, path: Path) -> Recipe:
        """How to make the network of a file."""
        recipe: Recipe = _load(self.recipe)(path)
        return recipe


FILE_FORMATS = (
    FileFormat(".onnx", "from_onnx:onnx_recipe"),
    FileFormat(".pt2", "exported_program.recipe:exported_recipe"),
)


def find_format(model: str) -> FileFormat | None:
    """The row of a file that is a network, None for all else.

    >>> find_format("net.onnx").suffix
    '.onnx'
    """
    return next((one for one in FILE_FORMATS if model.lower().endswith(one.suffix)), None)


def brings_weights(model: str) -> bool:
    """Whether a MODEL is a file that says its weights itself: Python of the user's, or a whole network.

    >>> brings_weights("net.py:build"), brings_weights("net.onnx"), brings_weights("zfnet-28")
    (True, True, False)
    """
    return model.rpartition(":")[0].endswith(".py") or find_format(model) is not None


def find_source(name: str) -> Source | None:
    """The row of a name, None where there is none.

    >>> find_source("timm").recipe
    'from_timm:timm_recipe'
    """
    return next((source for source in SOURCES if source.name == name), None)


def source_names() -> tuple[str, ...]:
    """What may stand before the colon.

    >>> source_names()
    ('torchvision', 'timm', 'hf')
    """
    return tuple(source.name for source in SOURCES)


def proposed_sources() -> tuple[Source, ...]:
    """The rows whose networks are proposed where a name is unknown."""
    return tuple(source for source in SOURCES if source.proposed)


def source_forms() -> str:
    """What a MODEL may be besides a built-in name, for help texts and messages.

    >>> source_forms()
    'torchvision:NAME, timm:NAME, hf:NAME_OR_FOLDER, file.py:callable, FILE.onnx or FILE.pt2'
    """
    named = [*(f"{source.name}:{source.network}" for source in SOURCES), "file.py:callable"]
    *others, last = [*named, *(f"FILE{one.suffix}" for one in FILE_FORMATS)]
    return f"{', '.join(others)} or {last}"


def _load(place: str) -> Callable[..., Any]:
    file, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"unconv.models.load.{file}"), function)
    return found

"""Sources of networks, which MODEL strings name in front of a colon: one row each.

Nothing heavy is imported here, so that a help text can name them; a source's file is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
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
        models: ``file:function`` likewise; the function returns the names that may stand behind the colon.
        proposed: whether messages about unknown names propose its networks, for which its package is imported.
    """

    name: str
    recipe: str
    models: str
    proposed: bool = False

    def find_recipe(self, network: str) -> Recipe:
        """How to make one of its networks."""
        recipe: Recipe = _load(self.recipe)(network)
        return recipe

    def list_networks(self) -> tuple[str, ...]:
        """Names behind the colon; raises MissingExtraError where the package is not installed."""
        names: tuple[str, ...] = _load(self.models)()
        return names


# timm is not proposed: its import takes seconds, and most of its names are those of torchvision.
SOURCES = (
    Source("torchvision", "from_torchvision:torchvision_recipe", "from_torchvision:torchvision_models", proposed=True),
    Source("timm", "from_timm:timm_recipe", "from_timm:timm_models"),
)


def find_source(name: str) -> Source | None:
    """The row of a name, None where there is none.

    >>> find_source("timm").recipe
    'from_timm:timm_recipe'
    """
    return next((source for source in SOURCES if source.name == name), None)


def source_names() -> tuple[str, ...]:
    """What may stand before the colon.

    >>> source_names()
    ('torchvision', 'timm')
    """
    return tuple(source.name for source in SOURCES)


def proposed_sources() -> tuple[Source, ...]:
    """The rows whose networks are proposed where a name is unknown."""
    return tuple(source for source in SOURCES if source.proposed)


def source_forms() -> str:
    """What a MODEL may be besides a built-in name, for help texts and messages.

    >>> source_forms()
    'torchvision:NAME, timm:NAME or file.py:callable'
    """
    return f"{', '.join(f'{name}:NAME' for name in source_names())} or file.py:callable"


def _load(place: str) -> Callable[..., Any]:
    file, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"unconv.models.load.{file}"), function)
    return found

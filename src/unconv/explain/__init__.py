"""A geometry becomes frames, and frames become pictures."""

from typing import TYPE_CHECKING

from unconv._lazy import lazy_names

if TYPE_CHECKING:
    from unconv.explain.drawing import Drawing as Drawing, draw as draw

_HOME = {
    "Drawing": "unconv.explain.drawing",
    "draw": "unconv.explain.drawing",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _HOME)

"""Colours, light and dark; fills and strokes keep apart for colour-blind eyes (after Okabe & Ito 2008)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from unconv.choices import ThemeName
from unconv.errors import UnconvError

THEMES: tuple[ThemeName, ...] = ("auto", "light", "dark")


@dataclass(frozen=True)
class Paint:
    """Fill and stroke of a cell; ``dashed`` outlines are cells that hold no value of their own."""

    fill: str
    stroke: str
    dashed: bool = False


@dataclass(frozen=True)
class Theme:
    """Colours of one theme: cells by style, inks by style."""

    background: str
    cells: Mapping[str, Paint]
    inks: Mapping[str, str]
    beam: str
    beam_opacity: float
    edge_opacity: float


LIGHT = Theme(
    background="#ffffff",
    cells={
        "input": Paint("#d6e8f7", "#6f9fc8"),
        "unread": Paint("#f4f6f8", "#b9c4ce"),
        "padding": Paint("#ffffff", "#bcc4cb", dashed=True),
        "overhang": Paint("#f1eff4", "#b6acc2", dashed=True),
        "zero": Paint("#f2f4f6", "#c9d0d6"),
        "output0": Paint("#d3eee3", "#53a98a"),
        "output1": Paint("#f3dcea", "#c27aa6"),
        "output2": Paint("#fbe3d3", "#d5834b"),
        "output3": Paint("#e4e0f5", "#8a7cc7"),
        "extra": Paint("#e9dcf0", "#9a6fb0", dashed=True),
        "unfed": Paint("#f4f6f8", "#b9c4ce"),
        "cut": Paint("#ffffff", "#c9c9c9", dashed=True),
        "kernel": Paint("#fdecc8", "#d79a1f"),
        "weight": Paint("#fdecc8", "#dcae52"),
        "void": Paint("#fafbfb", "#e6e9eb"),
        "window": Paint("#f5a81c", "#b87400"),
        "blank": Paint("#fbe2b0", "#c98a1d", dashed=True),
        "lost": Paint("#eadfcb", "#a8977a", dashed=True),
        "row": Paint("#fdf3dc", "#e2bf7a"),
        "source": Paint("#74b4e6", "#1b5a8e"),
        "target0": Paint("#4fc79f", "#056b50"),
        "target1": Paint("#dd8dbd", "#84346a"),
        "target2": Paint("#f0935a", "#97400b"),
        "target3": Paint("#a497e6", "#473a85"),
    },
    inks={
        "ink": "#1d2630",
        "muted": "#5b6875",
        "faint": "#98a2ac",
        "accent": "#8a5300",
        "weight-ink": "#6b3f00",
    },
    beam="#e69f00",
    beam_opacity=0.1,
    edge_opacity=0.5,
)
DARK = Theme(
    background="#12171d",
    cells={
        "input": Paint("#1c4163", "#4d87b8"),
        "unread": Paint("#1b2229", "#44505b"),
        "padding": Paint("#12171d", "#596673", dashed=True),
        "overhang": Paint("#1c1a24", "#675c78", dashed=True),
        "zero": Paint("#1b2229", "#3a4550"),
        "output0": Paint("#154536", "#3f9a7c"),
        "output1": Paint("#4a2440", "#b76b9c"),
        "output2": Paint("#4f2c16", "#c8793f"),
        "output3": Paint("#2f2a55", "#8375c4"),
        "extra": Paint("#38244a", "#a37dbd", dashed=True),
        "unfed": Paint("#1b2229", "#44505b"),
        "cut": Paint("#12171d", "#4a5157", dashed=True),
        "kernel": Paint("#4a3510", "#b98525"),
        "weight": Paint("#4a3510", "#9a7226"),
        "void": Paint("#161c23", "#232c35"),
        "window": Paint("#a86a00", "#f2b544"),
        "blank": Paint("#3a2c12", "#b98525", dashed=True),
        "lost": Paint("#2c2820", "#7d7059", dashed=True),
        "row": Paint("#2c230f", "#6b5423"),
        "source": Paint("#2f7fc1", "#8cc3ee"),
        "target0": Paint("#0c8263", "#5fd3ae"),
        "target1": Paint("#a1447d", "#e6a0cc"),
        "target2": Paint("#b6500f", "#f0a36b"),
        "target3": Paint("#6250b4", "#b0a4ea"),
    },
    inks={
        "ink": "#e8edf2",
        "muted": "#9aa7b4",
        "faint": "#66727e",
        "accent": "#f2b544",
        "weight-ink": "#ffe2ac",
    },
    beam="#e69f00",
    beam_opacity=0.12,
    edge_opacity=0.55,
)


def check_theme(name: str) -> ThemeName:
    """Refuse a theme that is not known."""
    if name not in THEMES:
        raise UnconvError(f"draw: theme {name!r} is not known; use one of {', '.join(THEMES)}")
    return name


def still_theme(name: str) -> Theme:
    """The theme of a format that cannot follow the reader's setting: light unless dark is asked for."""
    return DARK if name == "dark" else LIGHT

"""HTML: a page of its own with a player. Everything is inside; nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from unconv.explain.compose import page_of
from unconv.explain.scene import Scene
from unconv.explain.write.svg import FONT, svg_of

if TYPE_CHECKING:
    from jinja2 import Template


def html_of(scenes: Mapping[str, Scene], theme: str = "auto", start: int = 0) -> str:
    """One page that plays a scene, or several of a geometry by the titles of the tabs that choose, ``start`` first.

    Space plays and pauses, the arrow keys step, a slider seeks; who prefers reduced motion finds it standing still.
    """
    pages = [page_of(scene) for scene in scenes.values()]
    first = next(iter(scenes.values()))
    return template("player").render(
        theme=theme,
        start=start,
        title=first.title,
        subtitle=first.subtitle,
        font=FONT,
        width=max(640, *(page.width + 2 for page in pages)),
        scenes=[
            {
                "name": title,
                "seconds": scene.seconds,
                "lines": json.dumps([frame.line for frame in scene.frames], ensure_ascii=False),
                "svg": _apart(svg_of(scene, page, theme, scripted=True), f"s{n}"),
            }
            for n, ((title, scene), page) in enumerate(zip(scenes.items(), pages, strict=True))
        ],
    )


def _apart(svg: str, name: str) -> str:
    """References of one SVG, told apart from those of its neighbours in the page."""
    return svg.replace('id="g', f'id="{name}g').replace('href="#g', f'href="#{name}g')


def template(name: str) -> Template:
    """A template of this part, which escapes what is filled in."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("unconv.explain"), autoescape=True, trim_blocks=False)
    return environment.get_template(f"{name}.html.jinja")

"""``unconv demo``: one page from what is installed, with nothing fetched."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path

import pytest

from unconv.cli import demo
from unconv.cli.main import run
from unconv.errors import MissingExtraError


def test_demo_writes_one_page_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the demo asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(demo, "PHOTOGRAPHS", ("chelsea.png", "coffee.png", "missing.png"))
    monkeypatch.setattr(sys, "argv", ["unconv", "demo", "-o", str(tmp_path / "out"), "--top-units", "1"])
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 0
    out, err = capsys.readouterr()
    page = tmp_path / "out" / "index.html"
    assert out.splitlines()[-1] == f"wrote {page}"
    assert "missing.png: no such file or folder" in err
    text = page.read_text()
    assert not re.search(r"https?://", text)
    links = {link.partition("#")[0] for link in re.findall(r'(?:src|href)="([^"]+)"', text)}
    assert links
    assert all((page.parent / link).is_file() for link in links)
    numbers = json.loads((page.parent / "network" / "report.json").read_text())
    best = {picture["name"]: picture["predictions"][0]["label"] for picture in numbers["pictures"]}
    assert best == {"chelsea.png": "tiger cat", "coffee.png": "espresso"}
    deepest = numbers["pictures"][0]["layers"][-1]["coverage"]
    assert deepest["reversed"] == deepest["total"] == 32
    assert not any(unit["silent"] for picture in numbers["pictures"] for r in picture["layers"] for unit in r["units"])


def test_demo_without_photographs_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtraError, match=r"demo: needs scikit-image; pip install 'unconv\[demo\]'"):
        demo.packaged_photographs()

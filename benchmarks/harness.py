"""What all benchmarks share: timing that is fair on a busy machine, results as JSON, tables.

A benchmark is a module of this folder with ``run(quick: bool) -> dict``. The dict may hold ``rows`` (a list of dicts,
one a line of the table), ``columns`` (their keys, in order, with the headings to print), ``brief`` (the same, for a
terminal) and ``goals`` (dicts with ``goal``, ``value``, ``target`` and ``met``); everything else is printed as it is.
``unconv bench`` finds, runs and prints them; with ``--save`` the result goes to ``results/NAME.json``, and
``docs/benchmarks.md`` is written anew.
"""

from __future__ import annotations

import ast
import gc
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
DOCUMENT = FOLDER.parent / "docs" / "benchmarks.md"
MEGABYTE = 1e6
PACKAGES = (
    "torch",
    "numpy",
    "torchvision",
    "captum",
    "sporco",
    "pyfftw",
    "numexpr",
    "alphacsc",
    "scikit-learn",
    "pillow",
    "typer",
    "rich",
)


def names() -> list[str]:
    """The benchmarks of this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("harness", "__init__"))


def question(name: str) -> str:
    """What a benchmark asks: the first line of its docstring, read without running it."""
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or name
    return text.splitlines()[0]


def measure(name: str, quick: bool = False) -> dict[str, Any]:
    """Run a benchmark, and note where it ran."""
    result = importlib.import_module(f"benchmarks.{name}").run(quick=quick)
    return {"environment": environment(), "quick": quick, **result}


def environment() -> dict[str, Any]:
    """Versions, processor and commit: what a figure means nothing without."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "src") else ""),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def interleave(sides: Mapping[str, Callable[[], object]], seconds: float, least: int = 7) -> dict[str, list[float]]:
    """Seconds per call of every side, in rounds, so that what else the machine does falls on all of them alike.

    Calls of less than a millisecond are timed several at once. The order turns from round to round, and the garbage
    collector waits.
    """
    repeats = {name: _repeats(call) for name, call in sides.items()}
    samples: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(samples[order[0]]) < least:
            for name in order:
                call, count = sides[name], repeats[name]
                start = time.perf_counter()
                for _ in range(count):
                    call()
                samples[name].append((time.perf_counter() - start) / count)
            order = [*order[1:], order[0]]
    finally:
        if collecting:
            gc.enable()
    return samples


def spread(samples: list[float], unit: float = 1e-3) -> dict[str, float]:
    """Median and quartiles, in milliseconds unless told otherwise."""
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return {"median": _round(median / unit), "q1": _round(low / unit), "q3": _round(high / unit)}


def ratio(slower: list[float], faster: list[float]) -> float:
    """Median over the rounds of ``slower / faster``: how many times as fast the second is."""
    return _round(statistics.median(a / b for a, b in zip(slower, faster, strict=True)))


def quickest(samples: Mapping[str, list[float]], names: list[str]) -> str:
    """The side with the least median."""
    return min(names, key=lambda name: statistics.median(samples[name]))


def goal(text: str, value: float, target: float, at_least: bool = True) -> dict[str, Any]:
    """A figure that was aimed at, and whether it was reached."""
    met = value >= target if at_least else value <= target
    return {"goal": text, "value": _round(value), "target": f"{'≥' if at_least else '≤'} {target:g}", "met": met}


def save(name: str, result: Mapping[str, Any]) -> Path:
    """Write ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write_document() -> Path:
    """Write ``docs/benchmarks.md`` from the results saved."""
    parts = [
        "# Benchmarks",
        "",
        "Written by `unconv bench --save NAME`; every figure is from the JSON files in "
        "[benchmarks/results](../benchmarks/results). Run them yourself with `unconv bench`.",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        if path.stem in names():
            parts += ["", markdown(path.stem, json.loads(path.read_text(encoding="utf-8")))]
    DOCUMENT.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return DOCUMENT


def markdown(name: str, result: Mapping[str, Any]) -> str:
    """One benchmark as a section of the document."""
    lines = [f"## {name}", "", question(name), ""]
    if "notes" in result:
        lines += [result["notes"], ""]
    for heading, rows in tables(result):
        lines += [f"| {' | '.join(heading)} |", f"|{'---|' * len(heading)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines += [""]
    return "\n".join([*lines, f"*{setting(result)}*"])


def tables(result: Mapping[str, Any], brief: bool = False) -> list[tuple[list[str], list[list[str]]]]:
    """The tables of a result as text: rows, goals, and what else it holds; ``brief`` for a terminal."""
    found = []
    if result.get("rows"):
        short = result.get("brief") if brief else None
        columns = short or result.get("columns") or {key: key for key in result["rows"][0]}
        rows = [[_text(row.get(key), with_spread=not short) for key in columns] for row in result["rows"]]
        found.append((list(columns.values()), rows))
    if result.get("goals"):
        lines = [[g["goal"], _text(g["value"]), g["target"], "yes" if g["met"] else "no"] for g in result["goals"]]
        found.append((["goal", "measured", "target", "met"], lines))
    known = {"rows", "columns", "brief", "goals", "notes", "environment", "threads", "quick"}
    others = [[key.replace("_", " "), _text(value)] for key, value in result.items() if key not in known]
    if others:
        found.append((["figure", "value"], others))
    return found


def setting(result: Mapping[str, Any]) -> str:
    """Where the figures come from, in a line."""
    where = result.get("environment") or {}
    packages = ", ".join(f"{name} {version}" for name, version in where.get("packages", {}).items())
    parts = [
        where.get("date", ""),
        f"commit {where['commit']}" if "commit" in where else "",
        where.get("processor", ""),
        f"load {where['load']:g}" if where.get("load") else "",
        f"{result['threads']} threads" if "threads" in result else "",
        f"Python {where['python']}" if "python" in where else "",
        packages,
        "quick run: figures are rough" if result.get("quick") else "",
    ]
    return "; ".join(part for part in parts if part)


def _repeats(call: Callable[[], object], least_seconds: float = 1e-3) -> int:
    for _ in range(2):
        call()
    start = time.perf_counter()
    call()
    return max(1, round(least_seconds / max(time.perf_counter() - start, 1e-7)))


def _text(value: Any, with_spread: bool = True) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, Mapping) and {"median", "q1", "q3"} <= set(value):
        quartiles = f" ({_text(value['q1'])}–{_text(value['q3'])})" if with_spread else ""
        return _text(value["median"]) + quartiles
    return "—" if value is None else str(value)


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        if models:
            return f"{len(models)} × {models[0]}"
    return platform.processor() or platform.machine()


def in_own_process(name: str, *arguments: str) -> dict[str, Any]:
    """What ``python -m benchmarks.NAME`` prints last, a line of JSON: memory is measured where nothing else was."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} {' '.join(arguments)} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def memory(field: str) -> int:
    """A line of ``/proc/self/status`` in bytes: ``VmRSS`` what is resident, ``VmHWM`` its peak."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in /proc/self/status; this benchmark needs Linux")


def megabytes(field: str) -> float:
    """The same in megabytes, to a decimal."""
    return round(memory(field) / MEGABYTE, 1)

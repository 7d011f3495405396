"""How long do ``import unconv`` and ``unconv --help`` take, each in a fresh process? The goal: under 0.03 s and
0.15 s.

The interpreter's own start is measured with them and shown, not subtracted: it is what a user waits for. Modules
are compiled before, as they are after the first start anywhere, whatever the environment says of bytecode.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.harness import goal, interleave, spread

TARGETS = {"import unconv": 0.03, "unconv --help": 0.15}
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import unconv": ("-c", "import unconv"),
    "unconv --help": ("-m", "unconv", "--help"),
}


def run(quick: bool = False) -> dict[str, Any]:
    """Start every command some dozen times, in turn."""
    check()
    calls = {name: lambda arguments=arguments: start(arguments) for name, arguments in COMMANDS.items()}
    times = interleave(calls, seconds=1 if quick else 15, least=5)
    rows = [{"command": name, "seconds": spread(samples, unit=1.0)} for name, samples in times.items()]
    return {
        "columns": {"command": "command", "seconds": "seconds, median and quartiles"},
        "rows": rows,
        "goals": [
            goal(f"{row['command']}: seconds", row["seconds"]["median"], TARGETS[row["command"]], at_least=False)
            for row in rows
            if row["command"] in TARGETS
        ],
    }


def check() -> None:
    """The import brings no torch, and the help shows the commands."""
    loaded = start(("-c", "import sys, unconv; print('torch' in sys.modules)"))
    if loaded.strip() != "False":
        raise RuntimeError("import unconv imports torch")
    if "arithmetic" not in start(COMMANDS["unconv --help"]):
        raise RuntimeError("unconv --help does not show the commands")


def start(arguments: Sequence[str]) -> str:
    """What a fresh interpreter prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


if __name__ == "__main__":
    for row in run(quick="--quick" in sys.argv)["rows"]:
        print(f"{row['command']:16} {row['seconds']['median']:.3f} s")

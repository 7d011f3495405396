"""Commands that are told to end say so in a line, and exit as a shell expects: 128 and the signal's number."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# A command that only waits.
WAITS = """
import signal, sys, time
from unconv.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background
@main.app.command()
def wait() -> None:
    print("ready", flush=True)
    time.sleep(60)
sys.argv = ["unconv", "wait"]
main.run()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("number", "line"), [(signal.SIGINT, "unconv: interrupted\n"), (signal.SIGTERM, "unconv: terminated\n")]
)
def test_a_command_that_is_told_to_end_says_so(number: signal.Signals, line: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "ready\n"
        command.send_signal(number)
        _, told = command.communicate(timeout=60)
    assert (command.returncode, told) == (128 + number, line)

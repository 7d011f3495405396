"""Two networks against each other, killed at any moment and resumed, end like two that were left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_kills_at_random_moments_change_no_bit(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_generate.py")
    command = [sys.executable, "-W", "error", str(script), str(tmp_path), "4", "20250101"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    given = done.stdout.split()
    assert len(given) >= 3
    assert len(set(given)) == 1

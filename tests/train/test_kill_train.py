"""A training killed at any moment and resumed ends like one that was left alone, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_ten_kills_at_random_moments_change_no_bit(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_train.py")
    command = [sys.executable, "-W", "error", str(script), str(tmp_path), "10", "20250101"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split()
    assert len(answers) >= 3
    assert len(set(answers)) == 1

"""A learner killed at any moment and resumed ends like one that was left alone, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("batch_size", [0, 3], ids=["batch", "online"])
def test_ten_kills_at_random_moments_change_no_bit(tmp_path: Path, batch_size: int) -> None:
    script = Path(__file__).with_name("killed_learn.py")
    command = [sys.executable, "-W", "error", str(script), str(tmp_path), "10", "20250101", str(batch_size)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split()
    assert len(answers) >= 2
    assert len(set(answers)) == 1

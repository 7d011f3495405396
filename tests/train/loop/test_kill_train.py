"""A training killed at any moment and resumed ends like one that was left alone, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("kind", "kills", "answers"), [("plain", "10", 3), ("muon", "4", 2), ("all", "6", 2)])
def test_kills_at_random_moments_change_no_bit(tmp_path: Path, kind: str, kills: str, answers: int) -> None:
    script = Path(__file__).with_name("killed_train.py")
    command = [sys.executable, "-W", "error", str(script), str(tmp_path), kills, "20250101", kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    given = done.stdout.split()
    assert len(given) >= answers
    assert len(set(given)) == 1

"""The check of .ci/run: a skip that the list does not know fails, however the test was skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[1] / ".ci" / "check_skips.py"
SKIPS = {
    "listed": ("@pytest.mark.skipif(True, reason='root may write everywhere')\ndef test(): pass", 0),
    "inside": ("def test(): pytest.skip('no Chromium: install it')", 0),
    "unlisted": ("def test(): pytest.skip('needs a package of somebody')", 1),
    "module": ("pytest.importorskip('no_such_module')\ndef test(): pass", 1),
    "expected": ("@pytest.mark.xfail\ndef test(): assert False", 0),
    "none": ("def test(): pass", 0),
}


@pytest.mark.parametrize("how", SKIPS)
def test_only_listed_skips_pass(tmp_path: Path, how: str) -> None:
    body, code = SKIPS[how]
    (tmp_path / "test_it.py").write_text(f"import pytest\n{body}\n")
    report = tmp_path / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "test_it.py"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    subprocess.run(command, cwd=tmp_path, capture_output=True, env=alone, check=False)
    checked = subprocess.run([sys.executable, CHECK, report], capture_output=True, text=True, check=False)
    assert checked.returncode == code, checked.stdout + checked.stderr
    assert ("not in .ci/skips" in checked.stdout) == bool(code)

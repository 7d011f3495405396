"""The native code under AddressSanitizer and UndefinedBehaviorSanitizer: ``python native/sanitize.py [TESTS]``.

Builds the module once more with both sanitizers, puts it in the place of the installed one, and runs the tests that
reach it, once for each set of instructions that this processor has. Anything found ends the run.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = (
    "tests/sparse/code/test_encode.py",
    "tests/sparse/learn/test_statistics.py",
    "tests/train/tasks/test_pixel_loss.py",
)
INSTRUCTIONS = ("baseline", "avx2", "avx512")


def build(folder: Path) -> Path:
    """The sanitized module, in ``folder``."""
    options = (f"-DPython_EXECUTABLE={sys.executable}", "-DUNCONV_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=Release")
    subprocess.run(["cmake", "-S", str(ROOT / "native"), "-B", str(folder), *options], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", str(folder), "--parallel"], check=True, stdout=sys.stderr)
    (module,) = folder.glob("_native*.so")
    return module


def runtime(name: str) -> str:
    """Where the compiler keeps a sanitizer's library, which must be there before Python is."""
    found = subprocess.run(
        [os.environ.get("CXX", "c++"), f"-print-file-name={name}"], check=True, capture_output=True, text=True
    )
    return found.stdout.strip()


def run(module: Path, instructions: str, arguments: list[str]) -> int:
    """pytest in a process of its own, with the sanitizers' libraries loaded first."""
    environment = {
        **os.environ,
        "LD_PRELOAD": f"{runtime('libasan.so')} {runtime('libubsan.so')} {runtime('libstdc++.so.6')}",
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own, at its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "UNCONV_INSTRUCTIONS": instructions,
        "UNCONV_SANITIZED": str(module),
    }
    command = [sys.executable, __file__, "--inside", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def inside(arguments: list[str]) -> int:
    """Take the sanitized module for unconv's, and run the tests."""
    spec = importlib.util.spec_from_file_location("unconv._native", os.environ["UNCONV_SANITIZED"])
    if spec is None or spec.loader is None:
        raise ImportError(os.environ["UNCONV_SANITIZED"])
    module = importlib.util.module_from_spec(spec)
    sys.modules["unconv._native"] = module
    spec.loader.exec_module(module)
    import pytest

    import unconv

    unconv._native = module  # type: ignore[attr-defined]
    print(f"sanitized: {module.__file__}, {module.instructions()}")
    # In this process: another one would take the installed module.
    return int(pytest.main(["-q", "-x", "-n", "0", "-p", "no:cacheprovider", *(arguments or TESTS)]))


def main() -> int:
    """Build, and run for each set of instructions."""
    if sys.argv[1:2] == ["--inside"]:
        return inside(sys.argv[2:])
    known = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    flags = {"baseline": True, "avx2": " avx2 " in known, "avx512": " avx512dq " in known}
    with tempfile.TemporaryDirectory() as folder:
        module = build(Path(folder))
        return max(run(module, name, sys.argv[1:]) for name in INSTRUCTIONS if flags[name])


if __name__ == "__main__":
    sys.exit(main())

"""Fails where a test was skipped for a reason that `.ci/skips` does not list: `check_skips.py REPORT.xml`."""

import sys
from pathlib import Path
from xml.etree import ElementTree

LIST = Path(__file__).parent / "skips"


def allowed(text: str) -> list[str]:
    """The parts of reasons, one a line in front of the bar."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [line.partition("|")[0].strip() for line in lines]


def skipped(report: Path) -> list[tuple[str, str]]:
    """Name and reason of every test of a JUnit report that was skipped; tests that are expected to fail are not."""
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        for skip in case.iter("skipped"):
            if skip.get("type") != "pytest.xfail":
                reason = f"{skip.get('message')}: {skip.text or ''}"
                found.append((f"{case.get('classname')}.{case.get('name')}", " ".join(reason.split())))
    return found


def main(report: Path) -> int:
    """Print what was skipped; the number of skips that are not listed."""
    parts, strange = allowed(LIST.read_text(encoding="utf-8")), 0
    for name, reason in skipped(report):
        known = any(part in reason for part in parts)
        strange += not known
        print(f"{'skipped' if known else 'SKIPPED, and not in .ci/skips'}: {name}: {reason}")
    return strange


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1])), 1))

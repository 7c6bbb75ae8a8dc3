"""Counts what tests/run.sh ran: one line for each run, and their sum.

results.py NAME XML STATUS SECONDS   one run, from its JUnit XML; a unit test's TAP counts case
                                     by case, and whatever did not run has failed
results.py --total SUMMARY               "N passed, N failed" over such lines
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def count_case(case: ET.Element) -> tuple[int, list[str]]:
    """How many passed, and what failed."""
    name = f"{case.get('classname', '')}::{case.get('name')}"
    tap = case.findtext("system-out") or ""
    plan = re.search(r"^1\.\.(\d+)$", tap, re.M)
    bad = [t for t in ("failure", "error", "skipped") if case.find(t) is not None]
    if case.get("status", "run") not in ("run", "fail"):
        bad.append(case.get("status", ""))
    if not plan:
        return (0, [f"{name} ({bad[0]})"]) if bad else (1, [])
    passed = len(re.findall(r"^ok ", tap, re.M))
    failed = [f"{name}: {t}" for t in re.findall(r"^not ok \d+ - (.*)$", tap, re.M)]
    missing = int(plan[1]) - passed - len(failed)
    failed += [f"{name}: a case that did not end"] * missing
    if bad and not failed:
        failed.append(f"{name} ({bad[0]})")
    return passed, failed


def count_run(xml: Path, status: int) -> tuple[int, list[str]]:
    passed, failed = 0, []
    if xml.exists():
        for case in ET.parse(xml).iter("testcase"):
            ok, bad = count_case(case)
            passed += ok
            failed += bad
    if not failed and (status != 0 or passed == 0):
        failed.append(f"the run itself: exit status {status}, {passed} tests")
    return passed, failed


def total(summary: str) -> int:
    counts = re.findall(r"(\d+) passed, (\d+) failed", summary)
    passed, failed = (sum(int(c[i]) for c in counts) for i in (0, 1))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main() -> int:
    if sys.argv[1] == "--total":
        return total(Path(sys.argv[2]).read_text())
    name, xml, status, seconds = sys.argv[1:]
    passed, failed = count_run(Path(xml), int(status))
    for what in failed:
        print(f"failed: {name}: {what}")
    print(f"{name}: {passed} passed, {len(failed)} failed ({seconds} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

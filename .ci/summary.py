"""Prints how many tests of one set passed, failed, were skipped (with the reasons) or did not run.

Usage: summary.py NAME JUNIT_XML REASON. REASON says why the file may be absent; exit 1 where a test failed.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def main(name: str, path: str, reason: str) -> int:
    """Exit code: 1 where a test failed or broke, 0 otherwise."""
    if not Path(path).exists():
        print(f"{name}: not run: {reason}")
        return 0
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        counts[outcome] += 1
        if outcome == "failed":
            print(f"{name}: failed: {case.get('classname')}::{case.get('name')}")
        for skipped in case.findall("skipped"):
            reasons[skipped.get("message", "no reason given")] += 1
    print(
        f"{name}: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped"))
    )
    for why, number in reasons.most_common():
        print(f"{name}: {number} skipped: {why}")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

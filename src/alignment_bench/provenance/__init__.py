"""What made a number: versions of this package and of what it computes with, and the source's commit.

`provenance.manifest` lists the files behind the numbers with their digests, `provenance.verify` re-checks
them and recomputes scores from stored samples, `provenance.paper` writes what a publication needs.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from alignment_bench.jobs import CORE_VERSION

PACKAGES = (
    "alignment-bench",
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "trl",
    "datasets",
    "numpy",
    "scipy",
)
SOURCES = ("src", "methods", "benchmarks", "evaluators")
"""folders of a checkout that the package is made of"""


@cache
def versions() -> dict[str, str]:
    """Version of Python and of every package that numbers depend on; packages not installed are left out."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def code() -> dict[str, Any]:
    """The core version, and the commit of the checkout this package runs from ("" for an installed wheel)."""
    return {"core": CORE_VERSION, "commit": _commit()}


def untracked() -> tuple[str, ...]:
    """Files of this package in its checkout that no commit has and git does not ignore, of which a commit's
    `-dirty` says nothing; empty for an installed wheel."""
    return tuple(_git("ls-files", "--others", "--exclude-standard", "--", *SOURCES).splitlines())


def _commit() -> str:
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(*arguments: str) -> str:
    """What git says in the checkout this package runs from; "" where there is none, or no git."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

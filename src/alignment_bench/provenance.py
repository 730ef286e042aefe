"""What made a number: versions of this package and of what it computes with, and the source's commit."""

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


def _commit() -> str:
    folder = Path(__file__).resolve().parent
    if not (folder.parent.parent / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

"""What a rate depends on besides its setting: the machine's processor, and the code that does the work."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import resources
from pathlib import Path

from alignment_bench.digests import digest


def machine() -> str:
    """This machine's processor, as its operating system names it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def sources() -> str:
    """Digest of the code whose speed is measured: models, training, and what ties them to jobs."""
    root = resources.files("alignment_bench")
    found = {}
    for folder in ("models", "training", "costs"):
        for file in sorted((root / folder).iterdir(), key=lambda f: f.name):
            if file.name.endswith(".py"):
                found[f"{folder}/{file.name}"] = file.read_text("utf-8")
    for name in ("jobs.py", "ppo_job.py", "reward_models.py", "runtime.py", "trl_jobs.py", "work.py"):
        found[name] = (root / name).read_text("utf-8")
    return digest(found)

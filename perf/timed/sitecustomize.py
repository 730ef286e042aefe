"""Notes every job's CPU seconds: Python imports this module when it starts with this folder on PYTHONPATH.

`bench` notes wall seconds, which on a busy machine say little. A line a job that was done goes to
`cpu.jsonl` in the folder of jobs: kind, key, process, its own CPU seconds without those of jobs inside it.
Workers are started by `bench` itself and inherit the environment, so they note theirs as well.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

WATCHED = "alignment_bench.jobs"


def time_jobs(module: ModuleType) -> None:
    """Wraps the store's `run`; what a job computes does not change."""
    original = module.JobStore.run
    inside: list[float] = []

    def run(store: Any, kind: str, inputs: Mapping[str, Any], work: Callable[..., Any], **rest: Any) -> Any:
        spent: list[float] = []

        def timed(place: Any) -> Any:
            inside.append(0.0)
            started = time.process_time()
            try:
                return work(place)
            finally:
                whole = time.process_time() - started
                spent.append(whole - inside.pop())
                if inside:
                    inside[-1] += whole

        result = original(store, kind, inputs, timed, **rest)
        if spent:
            line = {"kind": kind, "key": result.key, "pid": os.getpid(), "cpu": round(spent[-1], 4)}
            with (store.root / "cpu.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return result

    module.JobStore.run = run


class _Watcher(importlib.abc.MetaPathFinder):
    """Finds the one module as everybody else does, and wraps it once it is there."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's own spec, with a loader that goes on to `time_jobs`."""
        if name != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                time_jobs(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Watcher())

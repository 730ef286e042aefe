"""Starts the processes of a training, waits for them, and says what went wrong in the words of who failed.

torch elastic, which `accelerate launch` runs as well, starts them, sees one die and ends the others. What
is ours: the outcome of each as a file, because elastic knows an error by its text alone, and `bench` tells
a training that diverged from one that broke.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alignment_bench.errors import BenchError
from alignment_bench.jobs import Workplace
from alignment_bench.ledger import report
from alignment_bench.runtime import Runtime
from alignment_bench.training import crew
from alignment_bench.training.orders import Order
from alignment_bench.training.processes.mission import MISSION, Mission, Outcome, outcomes

PATIENCE = 1800.0
"""seconds after which a process that waits for another gives up"""
BOOT = (
    "import sys; sys.path[:] = {path!r}; from alignment_bench.training.processes.rank import main; "
    "main({folder!r}, {threads}, {starter})"
)
LAST_WORDS = 600
"""characters of a dead process's stderr that its error shows"""


def launch(order: Order, place: Workplace, runtime: Runtime) -> None:
    """Carries out the order in `runtime.processes` processes and reports what they spent in all.

    Raises what one of them raised first, or BenchError where one was killed. None is left running.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from alignment_bench.models.loading import forget

    desk = place.partial / "processes"
    shutil.rmtree(desk, ignore_errors=True)
    desk.mkdir(parents=True)
    mission = Mission(order, place.folder, place.partial, runtime, crew.CHECKPOINT_SECONDS, PATIENCE)
    (desk / MISSION).write_bytes(pickle.dumps(mission))
    forget()  # they need the memory
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=runtime.processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(desk / "logs"), redirects=Std.ALL),
        signals_to_handle="SIGTERM",
    )
    code = BOOT.format(path=sys.path, folder=str(desk), threads=runtime.threads, starter=os.getpid())
    with _undisturbed():
        try:
            elastic_launch(config, sys.executable)("-c", code)
        except ChildFailedError as failed:
            raise _reason(outcomes(desk), failed.failures, desk) from None
    for _, outcome in sorted(outcomes(desk).items()):
        report(outcome.spend)
    shutil.rmtree(desk)


def _reason(left: dict[int, Outcome], failures: dict[int, Any], desk: Path) -> BaseException:
    """Why they failed: one was killed, or what was raised first; the others only missed it."""
    for rank, failure in sorted(failures.items()):
        if rank not in left and failure.exitcode not in (0, -signal.SIGTERM):
            how = f"ended with exit code {failure.exitcode}"
            if failure.exitcode < 0:
                how = f"was killed by {signal.Signals(-failure.exitcode).name}"
            hint = ", most likely for want of memory" if failure.exitcode == -signal.SIGKILL else ""
            words = _last_words(desk, rank)
            return BenchError(f"training process {rank} of {_many(desk)} {how}{hint}{words}")
    raised = [(one.at, rank, one) for rank, one in left.items() if one.error is not None]
    if not raised:
        return BenchError(f"the processes of a training ended without a word{_last_words(desk, 0)}")
    _, rank, first = min(raised, key=lambda found: found[:2])
    error = first.error
    assert error is not None
    error.add_note(f"in training process {rank} of {_many(desk)}:\n{first.trace}")
    return error


def _many(desk: Path) -> int:
    mission: Mission = pickle.loads((desk / MISSION).read_bytes())
    return mission.runtime.processes


def _last_words(desk: Path, rank: int) -> str:
    """The end of what a process wrote to its stderr, if it did."""
    for path in (desk / "logs").rglob(f"{rank}/stderr.log"):
        if text := path.read_text("utf-8", errors="replace").strip():
            return f"; it wrote: ...{text[-LAST_WORDS:]}"
    return ""


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Elastic's log, handler of SIGTERM and environment end with the block; SIGTERM then acts as before."""
    from torch.distributed.elastic.multiprocessing.api import SignalException

    logger = logging.getLogger("torch.distributed.elastic")
    level, environment = logger.level, dict(os.environ)
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except SignalException as interrupted:
        if main:
            signal.signal(signal.SIGTERM, handler)
            signal.raise_signal(interrupted.sigval)
        raise KeyboardInterrupt from interrupted
    finally:
        if main:
            signal.signal(signal.SIGTERM, handler)
        logger.setLevel(level)
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)

"""One process of a training on several; it ends with the process that started it."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
import traceback
from pathlib import Path

from alignment_bench.ledger import metering
from alignment_bench.training.processes.mission import MISSION, Mission, Outcome, leave

GLANCE = 0.5
"""seconds between two looks at whether the starter is still there"""


def main(folder: str, threads: int, starter: int) -> None:
    """Does the mission that lies in `folder` as the process that the environment says it is."""
    threading.Thread(target=_follow, args=(starter,), daemon=True).start()
    # Before torch is imported: libraries size their pools then.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if sys.platform == "linux":
        os.environ.setdefault(
            "GLOO_SOCKET_IFNAME", "lo"
        )  # all on this machine, whatever its name resolves to
    place, rank = Path(folder), int(os.environ["RANK"])
    try:
        with metering() as meter:
            _work(place)
    except BaseException as error:
        leave(place, rank, Outcome(error=error, trace=traceback.format_exc()))
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        os._exit(1)  # no farewell to processes that may hang: the starter ends them
    leave(place, rank, Outcome(meter.total))


def _work(place: Path) -> None:
    mission: Mission = pickle.loads((place / MISSION).read_bytes())
    from alignment_bench.runtime import activate
    from alignment_bench.training.processes.together import joined

    kind = mission.runtime.device.partition(":")[0]
    crew = joined(kind, mission.runtime.sharding, mission.partial, mission.seconds, mission.patience)
    activate(mission.runtime)
    mission.order.fit(mission.folder, crew)
    crew.part()


def _follow(starter: int) -> None:
    """Ends this process when another is its parent: the starter is gone."""
    while os.getppid() == starter:
        time.sleep(GLANCE)
    os._exit(1)

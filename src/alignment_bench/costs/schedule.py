"""Who does what when: cells handed to workers in turn, a shared job done once and waited for."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from alignment_bench.costs import units
from alignment_bench.costs.dry import Planned
from alignment_bench.costs.measuring import seconds_of


def seconds(job: Planned, rates: Mapping[str, float], paid: set[str]) -> float:
    """What the job takes in a process that has paid for these units that are paid once; `paid` grows."""
    asked = {name: number for name, number in job.units.items() if name not in paid}
    paid |= {name for name in asked if units.once(name)}
    return seconds_of(asked, rates)


def makespan(
    cells: Sequence[int],
    jobs: Sequence[Planned],
    rates: Mapping[str, float],
    workers: int,
    start: float,
) -> tuple[float, list[float]]:
    """Seconds until the last worker is done, and what each spends working (not waiting).

    A worker takes the next cell whenever it is free. Every worker spends `start` before its first cell.
    """
    needs = {cell: [job for job in jobs if cell in job.cells and not job.stored] for cell in cells}
    waiting = list(cells)
    ended: dict[str, float] = {}
    busy = [start] * workers
    paid: list[set[str]] = [set() for _ in range(workers)]
    queues: list[list[Planned]] = [[] for _ in range(workers)]
    free = [(start, number) for number in range(workers)]
    heapq.heapify(free)
    last = 0.0
    while free:
        now, number = heapq.heappop(free)
        last = max(last, now)
        if not queues[number]:
            if not waiting:
                continue
            queues[number] = list(needs[waiting.pop(0)])
            heapq.heappush(free, (now, number))
            continue
        job = queues[number].pop(0)
        if job.key in ended:
            heapq.heappush(free, (max(now, ended[job.key]), number))
            continue
        took = seconds(job, rates, paid[number])
        busy[number] += took
        ended[job.key] = now + took
        heapq.heappush(free, (now + took, number))
    return last, busy

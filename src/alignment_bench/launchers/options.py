"""What a request says about its launcher, and what cannot work of it; known before anything is imported."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from alignment_bench.errors import Problem

if TYPE_CHECKING:
    from alignment_bench.config import RunRequest

LauncherName = Literal["local", "ray", "slurm"]
NEEDED = {"ray": "ray", "slurm": "submitit"}
"""package that a launcher needs, also the name's extra"""
LEAVE_OUT = "leave it out, or add launcher="


@dataclass(frozen=True)
class SlurmOptions:
    """What Slurm is asked for: one job for the cells of a task, model and seed, all jobs in one array."""

    cluster: Literal["slurm", "local"] = "slurm"
    """local: the same jobs as processes of this machine, to try a command out"""
    time: int = field(default=1440, metadata={"min": 1, "max": 1_000_000})
    """minutes after which a job is stopped; it is queued again, three times at most, and goes on"""
    mem_gb: float | None = field(default=None, metadata={"above": 0})
    """memory of a job in GB; default: the partition's"""
    cpus: int | None = field(default=None, metadata={"min": 1})
    """CPUs of a job; default: threads, times training_processes"""
    gpus: int | None = field(default=None, metadata={"min": 0})
    """GPUs of a job; default: with device=cuda one for each of training_processes, else none"""
    partition: str | None = None
    """partition"""
    account: str | None = None
    """account that is charged"""
    qos: str | None = None
    """quality of service"""
    constraint: str | None = None
    """features that nodes must have"""
    exclude: str | None = None
    """nodes that are not to be used"""
    setup: tuple[str, ...] = ()
    """shell commands before each job, as [module load cuda]"""
    additional: tuple[str, ...] = ()
    """other options of sbatch, as [nice:100,reservation:mine]"""

    @property
    def others(self) -> dict[str, str]:
        """`additional` by name."""
        pairs = (one.partition(":") for one in self.additional)
        return {name.strip(): value.strip() for name, _, value in pairs}


def unusable(request: RunRequest) -> list[Problem]:
    """Everything that is wrong with the request's launcher and its options."""
    problems: list[Problem] = []
    name = request.launcher
    if package := NEEDED.get(name):
        if importlib.util.find_spec(package) is None:
            fix = f'pip install "alignment-bench[{name}]", or leave launcher out'
            problems.append(Problem("launcher", f"{package} is not installed", fix))
        if request.device.startswith("cuda:"):
            what = f"{name} gives every worker a GPU of its own, so {request.device} names none"
            problems.append(Problem("device", what, "write device=cuda"))
    if request.address is not None and name != "ray":
        problems.append(Problem("address", "is of a Ray cluster", f"{LEAVE_OUT}ray"))
    if name != "slurm":
        problems += [
            Problem(f"slurm.{key}", "is for Slurm", f"{LEAVE_OUT}slurm") for key in _set(request.slurm)
        ]
    else:
        problems += _wrong_with_slurm(request.slurm)
    return problems


def _wrong_with_slurm(options: SlurmOptions) -> list[Problem]:
    problems = [
        Problem("slurm.additional", f"{one!r} is no name:value", "as slurm.additional=[nice:100]")
        for one in options.additional
        if not all(part.strip() for part in one.partition(":"))
    ]
    if options.cluster == "slurm" and shutil.which("sbatch") is None:
        fix = "run this on a login node of the cluster, or try it here with slurm.cluster=local"
        problems.append(Problem("launcher", "there is no Slurm here: sbatch is not on the PATH", fix))
    return problems


def _set(options: SlurmOptions) -> dict[str, Any]:
    """The options that differ from their defaults."""
    default = SlurmOptions()
    names = (one.name for one in dataclasses.fields(options))
    return {name: value for name in names if (value := getattr(options, name)) != getattr(default, name)}

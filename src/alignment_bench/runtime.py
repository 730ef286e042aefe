"""Where and how tensors are computed: device, precision, threads, batch sizes.

Everything here can change a number in its last digits, so it is part of every job's key. Threads and
batch sizes therefore follow declared rules on model size, never free memory or the core count: the same
command gives the same numbers on a laptop and on a server. Sampling may run in bfloat16; scoring is
always float32 (bfloat16 log-probabilities are off by some .04 nat a token, far too much for a KL).
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from alignment_bench.errors import BadInput, Problem

Purpose = Literal["sample", "score"]
DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "bfloat16")
ENGINES = ("transformers", "vllm")
NO_VLLM = "vllm is not installed: pip install 'alignment-bench[vllm]', in an environment of its own"
VLLM_MAX_RANK = 512
"""largest rank of a LoRA adapter that vLLM serves"""
SHARDINGS = ("ddp", "fsdp")
TINY_PARAMETERS = 10_000_000
"""models below this size are `tiny` to the rules here"""


@dataclass(frozen=True)
class Runtime:
    """How models run in this process; made by `resolve`."""

    device: str
    """`cpu`, `cuda` or `cuda:N`"""
    dtype: str
    """precision of sampling: `float32`, `bfloat16`, or `auto` (bfloat16 unless the model is tiny)"""
    threads: int
    """threads of one matrix product on the CPU"""
    engine: str = "transformers"
    """what generates: `transformers`, or `vllm` on CUDA; scoring and training are transformers' always"""
    trust: bool = False
    """whether models may bring their own Python code or pickled weights"""
    processes: int = 1
    """processes that fine-tuning and reward models train in"""
    sharding: str = "ddp"
    """what each of several holds of a model in training: all of it (`ddp`), or its share (`fsdp`)"""

    def keyed(self, training: bool = True) -> dict[str, Any]:
        """What goes into job keys: everything here that can change a number; without `training`, in jobs
        that sample and score."""
        return {
            "device": self.device.partition(":")[0],
            "dtype": self.dtype,
            "engine": self.engine,
            "threads": self.threads,
            **(self.processes_keyed() if training else {}),
        }

    def processes_keyed(self) -> dict[str, Any]:
        """How training is spread, in the keys of what it makes; empty for one process."""
        return {"processes": [self.processes, self.sharding]} if self.processes > 1 else {}

    def sampling_dtype(self, parameters: int) -> str:
        """The precision, by torch's name, in which a model of that many parameters samples."""
        if self.dtype != "auto":
            return self.dtype
        return "float32" if parameters < TINY_PARAMETERS else "bfloat16"


def resolve(
    device: str = "auto",
    dtype: str = "auto",
    threads: int = 0,
    parameters: int = 0,
    engine: str = "transformers",
    trust: bool = False,
    processes: int = 1,
    sharding: str = "ddp",
    elsewhere: bool = False,
) -> Runtime:
    """The runtime for a model of `parameters` parameters. Raises BadInput with everything that is wrong.

    `elsewhere`: models will run on other machines, so a device that is asked for by name, and the package of
    an engine, need not be on this one.
    """
    problems = check(device, dtype, threads, engine) + check_processes(processes, sharding, device)
    if not problems and device != "cpu" and not (elsewhere and device != "auto"):
        device, missing = _pick(device)
        problems += missing or _too_many(processes, device)
    if engine == "vllm" and not problems:
        problems += _without_vllm(device, elsewhere)
    if problems:
        raise BadInput(problems)
    return Runtime(device, dtype, threads or default_threads(parameters), engine, trust, processes, sharding)


def check(device: str, dtype: str, threads: int, engine: str = "transformers") -> list[Problem]:
    """What is wrong with these settings as written, without looking at the machine."""
    problems = []
    kind, _, index = device.partition(":")
    if kind not in DEVICES or (index and (kind != "cuda" or not index.isdigit())):
        problems.append(Problem("device", f"{device!r} is no device", "use auto, cpu, cuda or cuda:N"))
    if dtype not in DTYPES:
        problems.append(Problem("dtype", f"{dtype!r} is not supported", f"use one of {', '.join(DTYPES)}"))
    if threads < 0:
        problems.append(Problem("threads", f"{threads} is negative", "use 0 for the rule on model size"))
    if engine not in ENGINES:
        problems.append(Problem("engine", f"{engine!r} is unknown", f"use {', '.join(ENGINES)}"))
    if engine == "vllm" and kind == "cpu":
        problems.append(Problem("engine", "vllm samples on CUDA, not on a CPU", "use engine=transformers"))
    if engine == "vllm" and index.strip("0"):
        what = f"vllm takes the first visible device, not {device}"
        problems.append(Problem("device", what, f"set CUDA_VISIBLE_DEVICES={index} and use device=cuda"))
    return problems


def _without_vllm(device: str, elsewhere: bool = False) -> list[Problem]:
    """Why vLLM cannot run on this machine, or on that device of another."""
    problems = []
    if device == "cpu":  # what `auto` came to
        what = "vllm needs a CUDA device, and none is visible"
        there = ", or device=cuda where the workers have one" if elsewhere else ""
        problems.append(Problem("engine", what, f"use engine=transformers{there}"))
    if not elsewhere and importlib.util.find_spec("vllm") is None:
        problems.append(Problem("engine", NO_VLLM, "or use engine=transformers"))
    return problems


def absent(runtime: Runtime) -> list[Problem]:
    """Why this machine has not what the runtime asks for, if it has not."""
    problems = [] if runtime.device == "cpu" else _pick(runtime.device)[1]
    return problems + (_without_vllm(runtime.device) if runtime.engine == "vllm" else [])


def check_processes(processes: int, sharding: str, device: str) -> list[Problem]:
    """What is wrong with how training is to be spread, without looking at the machine."""
    problems = []
    if sharding not in SHARDINGS:
        problems.append(Problem("sharding", f"{sharding!r} is unknown", f"use {' or '.join(SHARDINGS)}"))
    if processes < 1:
        problems.append(Problem("training_processes", f"{processes} is too few", "use 1 or more"))
    if processes == 1 and sharding == "fsdp":
        what = "fsdp shares a model out among several processes"
        problems.append(Problem("sharding", what, "add training_processes=2 or more"))
    if processes > 1 and device.startswith("cuda:"):
        what = f"{processes} processes do not train on {device} alone"
        problems.append(Problem("training_processes", what, "use device=cuda"))
    return problems


def _too_many(processes: int, device: str) -> list[Problem]:
    """One process a GPU."""
    if processes == 1 or device == "cpu":
        return []
    import torch

    if processes <= (count := torch.cuda.device_count()):
        return []
    what = f"{processes} processes need a GPU each, and {count} are visible"
    return [Problem("training_processes", what, f"use at most {count}")]


def _pick(device: str) -> tuple[str, list[Problem]]:
    # A build without CUDA says so in its version: known without the seconds that importing it takes, which a
    # process that only plans and waits for its workers need not spend.
    if device == "auto" and version("torch").endswith("+cpu"):
        return "cpu", []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return ("cuda" if count else "cpu"), []
    if not count:
        why = "this torch is a CPU build" if torch.version.cuda is None else "no CUDA device is visible"
        return device, [Problem("device", f"{device} was asked for but {why}", "use device=cpu or auto")]
    index = int(device.partition(":")[2] or 0)
    if index >= count:
        return device, [
            Problem("device", f"{device} was asked for but there are {count} devices", "count from cuda:0")
        ]
    return device, []


def default_threads(parameters: int) -> int:
    """Threads by model size alone: a tiny model loses time to a second thread, a larger one gains."""
    return 1 if parameters < TINY_PARAMETERS else 2


def batch_rows(parameters: int, purpose: Purpose, device: str = "cpu") -> int:
    """Sequences in one batch, by model size, purpose and device kind; part of every job's key."""
    if parameters < TINY_PARAMETERS:
        return {"sample": 256, "score": 128}[purpose]
    if device.partition(":")[0] == "cuda":
        larger = parameters >= 2_000_000_000
        return {"sample": 64 if larger else 256, "score": 8 if larger else 32}[purpose]
    return {"sample": 32, "score": 8}[purpose]


def activate(runtime: Runtime) -> None:
    """Sets this process's thread count and asks every library for repeatable results."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(runtime.threads)
    # cumsum, which the sampler needs, has no deterministic CUDA kernel: hence warn_only, and one filter.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # A debugging aid that comes with the above and costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
    torch.backends.cudnn.benchmark = False

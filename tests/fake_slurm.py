"""Slurm's commands on one machine, for tests: `install` writes sbatch, srun, sacct and scancel into a folder.

Every element of a job array is a process; its state is told by its exit code, as Slurm tells it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

ARRAY = re.compile(r"^#SBATCH --array=(\d+)-(\d+)", re.MULTILINE)


def install(folder: Path) -> Path:
    """Writes the commands and returns the folder that is to stand on the PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in ("sbatch", "srun", "sacct", "scancel"):
        file = programs / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {folder} {name} "$@"\n')
        file.chmod(0o755)
    return programs


def sbatch(folder: Path, script: str) -> None:
    """Starts the elements of a job, each under a keeper that notes its exit code."""
    text = Path(script).read_text()
    (folder / f"{len(list(folder.glob('*.sh')))}.sh").write_text(text)
    job = 100 + len(list(folder.glob("*.sh")))
    elements = range(int(found[1]), int(found[2]) + 1) if (found := ARRAY.search(text)) else [None]
    for element in elements:
        name = str(job) if element is None else f"{job}_{element}"
        array = {} if element is None else {"ARRAY_JOB_ID": str(job), "ARRAY_TASK_ID": str(element)}
        given = {"JOB_ID": str(job), "NTASKS": "1", "JOB_NUM_NODES": "1", "NODEID": "0", "PROCID": "0"}
        environment = {**os.environ, **{f"SLURM_{key}": value for key, value in (given | array).items()}}
        keeper = [sys.executable, __file__, str(folder), "keep", name, script]
        nowhere = subprocess.DEVNULL
        subprocess.Popen(keeper, env=environment, start_new_session=True, stdout=nowhere, stderr=nowhere)
    print(f"Submitted batch job {job}")


def keep(folder: Path, name: str, script: str) -> None:
    """Runs one element, which scancel may end."""
    process = subprocess.Popen(["bash", script])
    (folder / f"{name}.pid").write_text(str(process.pid))
    code = process.wait()
    (folder / f"{name}.code").write_text(str(code))


def srun(folder: Path, *words: str) -> None:
    """Runs the command behind the options, its output in the files that they name."""
    options = list(words[: words.index("-u") - 1])
    command = words[len(options) :]
    files = {}
    for flag in ("--output", "--error"):
        pattern = options[options.index(flag) + 1]
        element = [os.environ.get(f"SLURM_ARRAY_{one}_ID", "") for one in ("JOB", "TASK")]
        path = (
            pattern.replace("%A_%a", "_".join(element))
            .replace("%j", os.environ["SLURM_JOB_ID"])
            .replace("%t", "0")
        )
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        files[flag] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.exit(subprocess.run(command, stdout=files["--output"], stderr=files["--error"]).returncode)


def sacct(folder: Path, *words: str) -> None:
    """The states of all elements, whichever were asked for."""
    print("JobID|State|NodeList")
    for file in sorted(folder.glob("*.pid")):
        code = file.with_suffix(".code")
        state = "RUNNING" if not code.exists() else "COMPLETED" if code.read_text() == "0" else "FAILED"
        print(f"{file.stem}|{state}|here")


def scancel(folder: Path, *words: str) -> None:
    """Ends an element."""
    for file in folder.glob(f"{words[0]}*.pid"):
        if not file.with_suffix(".code").exists():
            os.killpg(os.getpgid(int(file.read_text())), signal.SIGKILL)


if __name__ == "__main__":
    parts = {"sbatch": sbatch, "keep": keep, "srun": srun, "sacct": sacct, "scancel": scancel}
    parts[sys.argv[2]](Path(sys.argv[1]), *sys.argv[3:])

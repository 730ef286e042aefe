"""Where the time of a run goes: models (generate, forward, backward, optimiser) against everything else.

    python perf/overhead.py methods=ilf,ppo task=tldr            # the default run
    python perf/overhead.py methods=ilf task=tldr model=smollm2 task.data=FILE budget=smoke

Runs the command in this process, in a results folder of its own, with a stopwatch around the calls that
do the models' work; imports are timed apart. Prints seconds and shares; asserts nothing.
"""

from __future__ import annotations

import functools
import sys
import tempfile
import time
from collections import defaultdict
from typing import Any


class Stopwatch:
    """Wall time inside the outermost of the wrapped calls, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside = False

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Times `owner.attribute` from now on."""
        original = getattr(owner, attribute)

        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return original(*args, **kwargs)
            self._inside = True
            started = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - started
                self._inside = False

        setattr(owner, attribute, timed)


def main(argv: list[str]) -> int:
    """Runs `bench run` with the arguments and prints the decomposition."""
    started = time.perf_counter()
    import torch
    import transformers.models.llama.modeling_llama as llama

    from alignment_bench import cli
    from alignment_bench.models import loading, sampling

    imports = time.perf_counter() - started
    watch = Stopwatch()
    watch.wrap(sampling, "sample", "generate")
    watch.wrap(llama.LlamaForCausalLM, "__call__", "forward")
    watch.wrap(loading, "load", "load weights")
    watch.wrap(torch.Tensor, "backward", "backward")
    watch.wrap(torch.optim.AdamW, "step", "optimiser")
    with tempfile.TemporaryDirectory() as results:
        started = time.perf_counter()
        status = cli.main(["run", f"results={results}", "quiet=true", *argv])
        total = time.perf_counter() - started
    inside = sum(watch.seconds.values())
    print(f"imports    {imports:8.1f} s")
    for name, seconds in watch.seconds.items():
        print(f"{name:10} {seconds:8.1f} s  {seconds / total:6.1%}")
    print(f"other      {total - inside:8.1f} s  {(total - inside) / total:6.1%}")
    print(f"total      {total:8.1f} s")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Other people's tasks: a policy's model under EleutherAI's lm-evaluation-harness (the extra `lm_eval`).

The harness brings prompts, few-shot examples, metrics and data; this module brings the model, as one of
its `LM` classes around `plain_text.Reader`. What it measures is the language model: a condition or a task's
layout plays no part, and its chat template only where that is asked for. Its task files load their data from
the hub, unless they name local files.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment_bench.completions import Decoding
from alignment_bench.errors import BenchError
from alignment_bench.plain_text import Reader, reader_of
from alignment_bench.policy import Policy
from alignment_bench.runtime import Runtime

MISSING = "lm-evaluation-harness is not installed: pip install 'alignment-bench[lm_eval]'"
TOKENS = 256
"""most that is generated where a task does not say"""


def available() -> bool:
    """Whether the harness is installed; imports nothing."""
    return importlib.util.find_spec("lm_eval") is not None


@dataclass(frozen=True)
class Scored:
    """One task's result: the metric, its value on every document in the documents' order, and the harness's
    own summary; or why there are no values. A group's documents are those of all of its tasks."""

    metric: str = ""
    values: tuple[float, ...] = ()
    summary: str = ""
    missing: str = ""


def run_tasks(
    policy: Policy,
    tasks: Sequence[str],
    *,
    include: Path | None = None,
    fewshot: int | None = None,
    limit: int = 0,
    chat: bool = False,
) -> dict[str, Scored] | None:
    """What the harness finds for each task or group; None for a policy without weights of its own.

    `include` is a folder with task files of one's own. Raises BenchError where the harness is missing or
    cannot run a task (an unknown name, data that cannot be loaded, programs to be run outside the sandbox).
    """
    if not available():
        raise BenchError(MISSING)
    reader = reader_of(policy)
    if reader is None:
        return None
    import lm_eval

    with _quiet():
        try:
            found = lm_eval.simple_evaluate(
                model=language_model(reader),
                tasks=list(tasks),
                num_fewshot=fewshot,
                limit=limit or None,
                bootstrap_iters=0,
                apply_chat_template=chat,
                task_manager=_manager(tasks, include),
                # None: it must not reseed this process's own generators
                random_seed=None,
                numpy_random_seed=None,
                torch_random_seed=None,
            )
        except (OSError, KeyError, ValueError, RuntimeError, ImportError) as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise BenchError(f"lm_eval cannot run {', '.join(tasks)}: {reason}") from error
    return {task: _scored(task, found) for task in tasks}


def run_folder(
    folder: Path, tasks: Sequence[str], runtime: Runtime, **options: Any
) -> dict[str, Scored] | None:
    """`run_tasks` of the policy that is stored in a folder."""
    from alignment_bench.models.storage import load_policy

    return run_tasks(load_policy(folder, runtime), tasks, **options)


def _manager(tasks: Sequence[str], include: Path | None) -> Any:
    """Who knows the task files; the harness's own thousands are read only where they are needed."""
    from lm_eval.tasks import TaskManager

    if include is None:
        return TaskManager()
    own = TaskManager(include_path=str(include), include_defaults=False)
    known = set(own.all_tasks)
    return own if known.issuperset(tasks) else TaskManager(include_path=str(include))


def language_model(reader: Reader) -> Any:
    """The reader as an `lm_eval.api.model.LM`."""
    from lm_eval.api.model import LM
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    class PolicyLM(LM):  # type: ignore[misc]
        """Log-likelihoods in fp32, and generation, both by the policy's own tokenizer."""

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            pairs = [reader.continued(*request.args) for request in requests]
            return [(sum(values), greedy) for values, greedy in reader.score(pairs)]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            windows = [
                [
                    make_disjoint_window(pair)
                    for pair in get_rolling_token_windows(
                        reader.encode(request.args[0]), reader.prefix, reader.room - 1, 1
                    )
                ]
                for request in requests
            ]
            scored = iter(reader.score([pair for row in windows for pair in row]))
            return [sum(sum(next(scored)[0]) for _ in row) for row in windows]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            texts = [""] * len(requests)
            alike: dict[Decoding, list[int]] = {}
            for place, request in enumerate(requests):
                alike.setdefault(decoding_of(request.args[1]), []).append(place)
            for decoding, places in alike.items():
                written = reader.write([requests[place].args[0] for place in places], decoding)
                for place, text in zip(places, written, strict=True):
                    texts[place] = text
            return texts

        @property
        def tokenizer_name(self) -> str:
            return str(reader.tokenizer.name_or_path).replace("/", "__")

        def chat_template(self, chat_template: bool | str = False) -> str | None:
            return (reader.tokenizer.chat_template or "") if chat_template else ""

        def apply_chat_template(
            self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
        ) -> str:
            return str(
                reader.tokenizer.apply_chat_template(
                    chat_history,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    continue_final_message=not add_generation_prompt,
                )
            )

    return PolicyLM()


def decoding_of(options: Mapping[str, Any]) -> Decoding:
    """A task's generation arguments: greedy unless it samples, stopped at any of `until`."""
    until = options.get("until") or ()
    stops = (until,) if isinstance(until, str) else tuple(until)
    sampled = bool(options.get("do_sample", False)) and float(options.get("temperature", 1.0)) > 0
    return Decoding(
        temperature=float(options.get("temperature", 1.0)) if sampled else 0.0,
        top_p=float(options.get("top_p") or 1.0),
        top_k=int(options.get("top_k") or 0),
        max_tokens=int(options.get("max_gen_toks") or options.get("max_new_tokens") or TOKENS),
        stop=tuple(stop for stop in stops if stop),
    )


def _scored(task: str, found: Mapping[str, Any]) -> Scored:
    """The task's first metric, under its first filter, on every document."""
    parts = _parts(task, found)
    name = ""
    values: list[float] = []
    summaries = []
    for part in parts:
        rows = found["samples"][part]
        metrics = found["configs"][part].get("metric_list") or []
        first = metrics[0] if metrics else {}
        own = str(first.get("metric") or rows[0]["metrics"][0])
        if name and own != name:
            return Scored(missing=f"its parts have different metrics: {name} and {own}")
        name = own
        if found["higher_is_better"].get(part, {}).get(own) is False:
            return Scored(missing=f"less of its metric {own} is better")
        if str(first.get("aggregation", "mean")) != "mean":
            return Scored(missing=f"its metric {own} is no mean over documents")
        kept = [row for row in rows if row["filter"] == rows[0]["filter"]]
        if not all(isinstance(row.get(own), int | float) for row in kept):
            return Scored(missing=f"its metric {own} is no number for each document")
        values += [float(row[own]) for row in sorted(kept, key=lambda row: int(row["doc_id"]))]
        summaries.append(float(found["results"][part][f"{own},{rows[0]['filter']}"]))
    total = found["results"].get(task, {})
    whole = next((v for k, v in total.items() if k.startswith(f"{name},")), None)
    shown = float(whole) if isinstance(whole, int | float) else sum(summaries) / len(summaries)
    shots = sorted({int(found["n-shot"].get(part, 0)) for part in parts})
    summary = (
        f"{task}: {name} {shown:.4f} on {len(values)} documents, "
        f"{'/'.join(map(str, shots))} examples shown, by lm_eval"
    )
    return Scored(name, tuple(values), summary)


def _parts(task: str, found: Mapping[str, Any]) -> list[str]:
    """The tasks with documents under a name: itself, or those of its groups."""
    if task in found["samples"]:
        return [task]
    below = found.get("group_subtasks", {}).get(task) or []
    if not below:
        raise BenchError(f"lm_eval gave no results for {task}")
    return [part for one in below for part in _parts(one, found)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the harness's log lines; what goes wrong is raised."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

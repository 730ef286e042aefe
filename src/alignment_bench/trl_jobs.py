"""The jobs that go through trl: DPO, KTO, and the trainers that sample for themselves.

trl takes seconds to import: only a job that runs does, never one whose result is stored.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import digest
from alignment_bench.job_keys import Pair, digest_pairs, digest_prompts, digest_rows
from alignment_bench.jobs import JobResult, Workplace
from alignment_bench.lines import dump_lines, load_lines
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.work import Work, model_policy

if TYPE_CHECKING:
    from alignment_bench.training.trl_rollouts import Judging
    from alignment_bench.training.trl_settings import DPOSettings, KTOSettings, OnlineSettings

Log = list[dict[str, float]]
Judged = tuple[Prompt, Completion, bool]
"""a prompt, a completion, and whether it is a desirable one"""

# trl warns of every experimental trainer when it is imported.
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


def at_end(log: Log, name: str) -> float | None:
    """Mean of a column of the log over the last tenth of its rows, None where it has no value there."""
    values = [row[name] for row in log[-max(1, len(log) // 10) :] if name in row]
    return sum(values) / len(values) if values else None


def dpo(
    work: Work, policy: LogitPolicy, pairs: Sequence[Pair], settings: DPOSettings, seed: int
) -> tuple[LogitPolicy, Log, JobResult]:
    """The policy after DPO on comparisons, its start the reference, and one row a step."""
    start = model_policy(policy)

    def job(place: Workplace) -> None:
        from alignment_bench.models.loading import make_room
        from alignment_bench.models.storage import save_policy
        from alignment_bench.training.reward import pair_rows
        from alignment_bench.training.trl_preference import train_dpo

        model, log = train_dpo(start, pair_rows(start, pairs), settings, seed, place.partial)
        save_policy(place.folder / "policy", model, parent=start)
        dump_lines(place.folder / "log.jsonl", log)
        del model
        make_room(start.n_parameters)

    inputs = {
        "policy": policy.digest,
        "pairs": digest_pairs(pairs),
        "settings": asdict(settings),
        "seed": seed,
    }
    result = work.run("dpo", inputs, job)
    return work.trained(result), load_lines(result.folder / "log.jsonl"), result


def kto(
    work: Work, policy: LogitPolicy, rows: Sequence[Judged], settings: KTOSettings, seed: int
) -> tuple[LogitPolicy, Log, JobResult]:
    """The policy after KTO on judged completions, its start the reference, and one row a step."""
    start = model_policy(policy)

    def job(place: Workplace) -> None:
        from alignment_bench.models.loading import make_room
        from alignment_bench.models.storage import save_policy
        from alignment_bench.training.batches import Row
        from alignment_bench.training.trl_preference import train_kto

        encoded = [(Row(tuple(start.render(p)), c.tokens), desirable) for p, c, desirable in rows]
        model, log = train_kto(start, encoded, settings, seed, place.partial)
        save_policy(place.folder / "policy", model, parent=start)
        dump_lines(place.folder / "log.jsonl", log)
        del model
        make_room(start.n_parameters)

    inputs = {
        "policy": policy.digest,
        "rows": digest_rows([p for p, _, _ in rows], [c for _, c, _ in rows]),
        "desirable": digest([desirable for _, _, desirable in rows]),
        "settings": asdict(settings),
        "seed": seed,
    }
    result = work.run("kto", inputs, job)
    return work.trained(result), load_lines(result.folder / "log.jsonl"), result


def online(
    work: Work,
    policy: LogitPolicy,
    prompts: Sequence[Prompt],
    judging: Judging,
    judging_digest: str,
    settings: OnlineSettings,
    decoding: Decoding,
    seed: int,
) -> tuple[LogitPolicy, Log, JobResult]:
    """The policy after online DPO, GRPO or RLOO, its start the reference, and one row an optimiser step."""
    start = model_policy(policy)

    def job(place: Workplace) -> None:
        from alignment_bench.models.loading import make_room
        from alignment_bench.models.storage import save_policy
        from alignment_bench.training.trl_online import train_online
        from alignment_bench.training.trl_rollouts import Rollouts

        rollouts = Rollouts(start, prompts, settings, decoding, judging, seed)
        model, log = train_online(rollouts, seed, place.partial)
        save_policy(place.folder / "policy", model, parent=start)
        dump_lines(place.folder / "log.jsonl", log)
        del model
        make_room(start.n_parameters)

    inputs = {
        "policy": policy.digest,
        "prompts": digest_prompts(prompts),
        "judging": judging_digest,
        "settings": asdict(settings),
        "decoding": asdict(decoding),
        "seed": seed,
    }
    result = work.run(settings.algorithm, inputs, job)
    return work.trained(result), load_lines(result.folder / "log.jsonl"), result

"""The probe's measurements: a few small pieces of real work, timed, and rates fitted to them.

Everything goes through the project's own sampling, scoring and training, at the batch sizes, precision and
adapters of the plan. Rates are the non-negative least squares of the seconds on the units of each piece,
every piece weighted alike in relative terms.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from alignment_bench.completions import Completion, Decoding
from alignment_bench.costs import units
from alignment_bench.costs.clock import Clock
from alignment_bench.costs.units import Units
from alignment_bench.digests import generator
from alignment_bench.jobs import JobStore
from alignment_bench.ledger import metering
from alignment_bench.lessons import Lesson
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import TINY_PARAMETERS
from alignment_bench.tiers import Tier
from alignment_bench.work import Work, training_rows

Piece = tuple[Units, float]
"""units of a piece of work, and the seconds it took"""
SHORTEST = 1e-3
"""seconds below which a piece weighs no more"""
Rates = dict[str, float]
"""seconds of one unit"""


def fitted(pieces: Sequence[Piece]) -> Rates:
    """Rates whose prediction of every piece is nearest, relatively, and of which none is negative."""
    import numpy as np
    from scipy.optimize import nnls

    names = sorted({name for asked, _ in pieces for name in asked})
    weights = np.array([1.0 / max(seconds, SHORTEST) for _, seconds in pieces])
    table = np.array([[asked.get(name, 0.0) for name in names] for asked, _ in pieces])
    scale = np.maximum(table.max(axis=0), 1e-12)
    seconds = np.array([seconds for _, seconds in pieces])
    found, _ = nnls(table / scale * weights[:, None], seconds * weights)
    return {name: float(value) for name, value in zip(names, found / scale, strict=True)}


def drawing(base: ModelPolicy, prompts: Sequence[Prompt], decoding: Decoding, clock: Clock) -> list[Piece]:
    """Sampling one row, and a whole batch; the samples to borrow are between the two, and timed as well."""
    rows = base.sample_rows
    pieces = []
    for count, n in ((1, 1), (max(1, rows // 4), 4)):
        asked = [prompts[k % len(prompts)] for k in range(count)]
        pieces.append(sampled(base, asked, n, decoding, clock, seed=1)[1])
    return pieces


def sampled(
    base: ModelPolicy, prompts: Sequence[Prompt], n: int, decoding: Decoding, clock: Clock, *, seed: int
) -> tuple[list[list[Completion]], Piece]:
    """Samples, and what they took."""
    base.generate(prompts[:1], n=1, decoding=replace(decoding, max_tokens=1), seed=0)  # loads the model
    with clock.timing() as took:
        drawn = base.generate(prompts, n=n, decoding=decoding, seed=seed)
    draws = 1 if decoding.temperature == 0 else n
    lengths = [[len(c.tokens) for c in row[:draws]] for row in drawn]
    asked = units.drawn([len(base.render(p)) for p in prompts], lengths, base.sample_rows)
    return drawn, (asked, took.seconds)


def scoring(base: ModelPolicy, rows: Sequence[tuple[Prompt, Completion]], clock: Clock) -> Rates:
    """Rates of scoring: one pair, and a batch or two."""
    pieces = []
    base.logprobs([rows[0][0]], [rows[0][1]])  # loads the model
    tiny = base.n_parameters < TINY_PARAMETERS
    for count in (1, base.score_rows, 2 * base.score_rows)[: 3 if tiny else 2]:
        pairs = [rows[k % len(rows)] for k in range(count)]
        prompts, completions = [p for p, _ in pairs], [c for _, c in pairs]
        with clock.timing() as took:
            base.logprobs(prompts, completions)
        read = [len(base.render(p)) for p in prompts]
        distinct = len({p.id for p in prompts})
        lengths = [len(c.tokens) for c in completions]
        pieces.append((units.scored(read, lengths, distinct, base.score_rows), took.seconds))
    return fitted(pieces)


def training(base: ModelPolicy, rows: Sequence[tuple[Prompt, Completion]], tier: Tier, clock: Clock) -> Rates:
    """Rates of training, and of reading a model for it and writing what comes out."""
    from alignment_bench.models.storage import load_policy, save_policy
    from alignment_bench.training.finetune import finetune
    from alignment_bench.training.settings import Objective, Settings

    with clock.timing() as reading:
        model = base.load_for_training(tier.lora_rank, 0)
    small = tier.name != "tiny"
    whole = min(tier.batch_size, tier.micro_batch)
    sizes = [(1, 1), (whole, whole)] if small else [(8, 1), (16, 4), (4 * whole, whole), (6 * whole, whole)]
    pieces = []
    for place, (count, batch) in enumerate([(1, 1), *sizes] if not small else sizes):
        lessons = [Lesson(*rows[k % len(rows)]) for k in range(count)]
        settings = Settings(
            tier.learning_rate, 1, batch, tier.micro_batch, lora_rank=tier.lora_rank, bf16=tier.bf16
        )
        encoded = training_rows(base, lessons, ())
        noise = generator("cost probe", place)
        with clock.timing() as took:
            finetune(model, encoded, settings, noise, base.pad, base.device, Objective(), None)
        asked = units.trained([row.length for row in encoded], settings)
        if small or place:  # the first one warms up
            pieces.append((asked, took.seconds))
    with tempfile.TemporaryDirectory() as scratch, clock.timing() as writing:
        save_policy(Path(scratch) / "policy", model, parent=base)
        load_policy(Path(scratch) / "policy", base.runtime)
    return {**fitted(pieces), units.LOAD_TRAIN: reading.seconds, units.SAVE: writing.seconds}


def loading(base: ModelPolicy, clock: Clock) -> Rates:
    """What it takes to read a model for sampling or scoring."""
    from alignment_bench.models.loading import forget

    base.scoring_model()
    forget()
    with clock.timing() as took:
        base.scoring_model()
    return {units.LOAD: took.seconds}


def storing(clock: Clock) -> Rates:
    """What the job store takes for a job."""
    with tempfile.TemporaryDirectory() as scratch:
        store = JobStore(Path(scratch))
        with clock.timing() as took:
            for k in range(8):
                store.run("probe", {"k": k}, lambda place: None)
    return {units.JOB: took.seconds / 8}


def through_trl(
    base: ModelPolicy,
    rows: Sequence[tuple[Prompt, Completion]],
    tier: Tier,
    clock: Clock,
    known: Mapping[str, float],
) -> Rates:
    """What importing trl takes, a trainer of it to be made, and each of its steps beyond one of our own."""
    from alignment_bench import trl_jobs
    from alignment_bench.training.settings import Settings
    from alignment_bench.training.trl_settings import DPOSettings

    distinct = list({c.text: (p, c) for p, c in rows}.values())
    size = 2 if tier.name != "tiny" else tier.batch_size
    pieces: list[Piece] = []
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(JobStore(Path(scratch)), base.runtime, base.n_parameters)
        for steps in (1, 1, 2) if tier.name != "tiny" else (1, 1, 12):
            count = steps * size
            pairs = [
                (distinct[k % len(distinct)][0], distinct[k % len(distinct)][1], rows[(k + 1) % len(rows)][1])
                for k in range(count)
            ]
            train = Settings(
                tier.reward_learning_rate,
                1,
                size,
                tier.micro_batch,
                lora_rank=tier.lora_rank,
                bf16=tier.bf16,
            )
            seed = len(pieces)
            with clock.timing() as took, metering():
                trl_jobs.dpo(work, base, pairs, DPOSettings(train, 0.1), seed)
            both = [2 * len(base.render(p)) + len(a.tokens) + len(b.tokens) for p, a, b in pairs]
            asked = units.trained(both, train)
            asked |= {units.SCORE_TOKEN: float(sum(both)), units.LOAD_TRAIN: 1.0, units.SAVE: 1.0}
            rest = took.seconds - seconds_of(asked, known)
            pieces.append(({units.TRL: 1.0, units.TRL_STEP: float(steps)}, rest))
    (_, first), (one, short), (many, long) = pieces
    step = max(0.0, (long - short) / (many[units.TRL_STEP] - one[units.TRL_STEP]))
    return {
        units.TRL_IMPORT: max(0.0, first - short),
        units.TRL: max(0.0, short - step * one[units.TRL_STEP]),
        units.TRL_STEP: step,
    }


def seconds_of(asked: Mapping[str, float], rates: Mapping[str, float]) -> float:
    """What these units take; those that nobody measured take nothing (`estimate` says which they are)."""
    return sum(number * rates.get(name, 0.0) for name, number in asked.items())

"""What feedback on a base's answers is worth: reward models by number of comparisons, and the annotators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import atanh, tanh
from pathlib import Path

import numpy as np

from alignment_bench.completions import Completion
from alignment_bench.digests import derive_seed
from alignment_bench.feedback import Ask
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import Kind, RewardCard, RewardModel
from alignment_bench.teachers.annotators import Annotators
from alignment_bench.tiers import TINY
from alignment_bench.training.settings import Settings
from alignment_bench.world.acceptance import Row
from alignment_bench.world.bench import SAMPLES, SEED, Bench, gold, interval, over_prompts
from alignment_bench.world.genres import GENRES

COMPARISONS = (100, 300, 900)
KINDS: dict[Kind, str] = {"likelihood_ratio": "likelihood ratio", "scalar": "scalar head"}
SETTINGS = Settings(
    learning_rate=TINY.reward_learning_rate,
    epochs=TINY.reward_epochs,
    batch_size=TINY.batch_size,
    micro_batch=TINY.micro_batch,
)
"""as methods train reward models of tiny bases by default"""

Pair = tuple[Prompt, Completion, Completion]


def reward(bench: Bench, tasks: Sequence[str]) -> list[Row]:
    """Share of held-out pairs of summaries, of different gold quality, that a reward model orders rightly.

    It learns from annotators' comparisons of the base's own answers at T=1 to training posts, ties dropped.
    """
    bought = _compared(bench, max(COMPARISONS))
    rows = []
    for kind, words in KINDS.items():
        for count in COMPARISONS:
            pairs = [pair for pair in bought[:count] if pair is not None]
            model = _fit(bench, bench.scratch / f"{kind}-{count}", pairs, kind)
            rows.append(interval(f"reward: {words}, {count} comparisons", _accuracy(bench, model)))
    return rows


def _compared(bench: Bench, count: int) -> list[Pair | None]:
    """The comparisons that an annotator makes, the preferred answer first; None for a tie."""
    prompts = [example.prompt for example in bench.data("tldr").train]
    drawn = bench.draw(prompts, 1.0, SAMPLES, seed=derive_seed("diagnostics, rewards", SEED))
    distinct = [list({one.text: one for one in row}.values()) for row in drawn]
    shown = [
        (example, row[first], row[first + 1])
        for first in range(0, SAMPLES, 2)
        for example, row in zip(bench.data("tldr").train, distinct, strict=True)
        if len(row) > first + 1
    ][:count]
    asks = [Ask(example.prompt, example.key, (one.text, other.text)) for example, one, other in shown]
    records = Annotators().answer("prefer", asks, seed=SEED)
    pairs: list[Pair | None] = []
    for (example, one, other), record in zip(shown, records, strict=True):
        sides = {"first": (one, other), "second": (other, one)}.get(record.preference or "tie")
        pairs.append((example.prompt, *sides) if sides else None)
    return pairs


def _fit(bench: Bench, folder: Path, pairs: Sequence[Pair], kind: Kind) -> RewardModel:
    from alignment_bench.training.reward import fit_reward_model, write_card

    folder.mkdir()
    fit_reward_model(folder, bench.policy, pairs, kind, 1.0, SETTINGS, SEED)
    write_card(folder, RewardCard(kind, 1.0, 0.0, 1.0, len(pairs), 0, 0, None))
    return RewardModel(folder, bench.policy.runtime)


def _accuracy(bench: Bench, model: RewardModel) -> list[float]:
    """For each test prompt with answers of different quality, the share of such pairs ordered rightly."""
    examples, drawn = bench.examples("tldr"), bench.completions("tldr", 1.0)
    asked = bench.asked("tldr")
    truth = gold(asked, bench.answers("tldr", 1.0))
    rewards = model.raw([one.example.prompt for one in asked], [one for row in drawn for one in row])
    shares = []
    for start in range(0, len(examples) * SAMPLES, SAMPLES):
        right = [
            float((rewards[i] - rewards[j]) * (truth[i] - truth[j]) > 0)
            for i, j in combinations(range(start, start + SAMPLES), 2)
            if truth[i] != truth[j]
        ]
        if right:
            shares.append(sum(right) / len(right))
    return shares


def annotators(bench: Bench, tasks: Sequence[str]) -> list[Row]:
    """How often the default annotators are right about the base's answers at T=1."""
    return [row for task in tasks for row in _annotators(bench, task)]


def _annotators(bench: Bench, task: str) -> list[Row]:
    pool = Annotators()
    asked, texts = bench.asked(task), bench.answers(task, 1.0)
    truth = gold(asked, texts)
    ones = [Ask(one.prompt, one.example.key, (text,)) for one, text in zip(asked, texts, strict=True)]
    pairs = [
        (i, j)
        for start in range(0, len(ones), SAMPLES)
        for i, j in combinations(range(start, start + SAMPLES), 2)
        if texts[i] != texts[j]
    ]
    both = [replace(ones[i], completions=(texts[i], texts[j])) for i, j in pairs]
    swapped = [replace(ones[i], completions=(texts[j], texts[i])) for i, j in pairs]
    said = [record.preference for record in pool.answer("prefer", both, seed=SEED)]
    again = [record.preference for record in pool.answer("prefer", swapped, seed=SEED)]
    first = [asked[i] for i, _ in pairs]
    same = {"first": "second", "second": "first", "tie": "tie"}
    unequal = [k for k, (i, j) in enumerate(pairs) if truth[i] != truth[j]]
    right = [
        0.5 if said[k] == "tie" else float((said[k] == "first") == (truth[pairs[k][0]] > truth[pairs[k][1]]))
        for k in unequal
    ]
    agreed = [float(same[str(a)] == b) for a, b in zip(said, again, strict=True)]
    real = [
        _wrong(edit.text, ask) < _wrong(text, ask) if _wrong(text, ask) else edit.text == text
        for edit, text, ask in zip(pool.edits("critique", ones, seed=SEED), texts, ones, strict=True)
    ]
    scores = [record.value or 0.0 for record in pool.answer("score", ones, seed=SEED)]
    return [
        over_prompts(f"{task}: comparer agrees with gold", [first[k] for k in unequal], right),
        over_prompts(f"{task}: comparer agrees with itself in the other order", first, agreed),
        over_prompts(f"{task}: comparer calls a tie", first, [float(one == "tie") for one in said]),
        _correlation(f"{task}: rater's correlation with gold", scores, truth, len(asked) // SAMPLES),
        over_prompts(f"{task}: critic names a real flaw, or none where there is none", asked, real),
    ]


def _wrong(text: str, ask: Ask) -> float:
    """What all flaws of a text cost together; unlike quality it does not end at 0."""
    facts = ask.key.facts
    return sum(flaw.gain for flaw in GENRES[facts["genre"]].flaws(text, facts))


def _correlation(name: str, one: Sequence[float], other: Sequence[float], independent: int) -> Row:
    """Pearson's, with Fisher's interval for the number of prompts, as if a prompt's answers were one."""
    found = float(np.corrcoef(one, other)[0, 1])
    half = 1.96 / (independent - 3) ** 0.5
    return Row(name, found, tanh(atanh(found) - half), tanh(atanh(found) + half))

"""The kinds of heavy work, each as a job: sample, logprobs, finetune, reward model, copy, and the wrappers.

The long loops have modules of their own: `ppo_job`, and `trl_jobs` for what goes through trl.

`Work` knows models and the job store, nothing of budgets, teachers or keys; `controller` charges what it
reports, the evaluation of a run uses it without charging anybody.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, digest
from alignment_bench.incidents import collecting, tell
from alignment_bench.job_keys import (
    CONDITIONED,
    Pair,
    digest_lessons,
    digest_pairs,
    digest_prompts,
    digest_rows,
    wrapper_sources,
)
from alignment_bench.jobs import JobResult, JobStore, Workplace
from alignment_bench.lessons import Lesson
from alignment_bench.lines import dump_lines, load_lines
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import Kind, RewardCard, RewardModel
from alignment_bench.runtime import Runtime, batch_rows

if TYPE_CHECKING:
    from alignment_bench.ledger import Spend
    from alignment_bench.models.policy import ModelPolicy
    from alignment_bench.training.batches import Row
    from alignment_bench.training.settings import Objective, Settings

INCIDENTS = "incidents.jsonl"


class Work:
    """Jobs on models, under one store and one runtime."""

    def __init__(self, store: JobStore, runtime: Runtime, parameters: int) -> None:
        self.store = store
        self.runtime = runtime
        self._keyed = {
            "runtime": runtime.keyed(training=False),
            "rows": [batch_rows(parameters, p, runtime.device) for p in ("sample", "score")],
        }

    def sample(
        self, policy: Policy, prompts: Sequence[Prompt], n: int, decoding: Decoding, seed: int
    ) -> tuple[list[list[Completion]], JobResult]:
        """`n` completions a prompt."""

        def work(place: Workplace) -> None:
            lists = policy.generate(prompts, n=n, decoding=decoding, seed=seed)
            dump_lines(place.folder / "completions.jsonl", [[asdict(c) for c in row] for row in lists])

        inputs = {
            "policy": policy.digest,
            "wrappers": wrapper_sources(policy),
            "prompts": digest_prompts(prompts),
            "n": n,
            "decoding": asdict(decoding),
            "seed": seed,
        }
        result = self.run("sample", inputs, work)
        rows = load_lines(result.folder / "completions.jsonl")
        return [[_completion(c) for c in row] for row in rows], result

    def logprobs(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> tuple[list[list[float]], JobResult]:
        """Log-probability of every token of each completion."""

        def work(place: Workplace) -> None:
            dump_lines(place.folder / "logprobs.jsonl", policy.logprobs(prompts, completions))

        inputs = {"policy": policy.digest, "rows": digest_rows(prompts, completions)}
        result = self.run("logprobs", inputs, work)
        return load_lines(result.folder / "logprobs.jsonl"), result

    def answer_probabilities(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> tuple[list[list[float]], JobResult]:
        """Probability of each of the answers as the next token."""

        def work(place: Workplace) -> None:
            dump_lines(place.folder / "answers.jsonl", policy.next_token_probabilities(prompts, answers))

        inputs = {"policy": policy.digest, "prompts": digest_prompts(prompts), "answers": list(answers)}
        result = self.run("answers", inputs, work)
        return load_lines(result.folder / "answers.jsonl"), result

    def finetune(
        self,
        policy: LogitPolicy,
        lessons: Sequence[Lesson],
        settings: Settings,
        seed: int,
        objective: Objective,
        reference: LogitPolicy | None = None,
        plain_texts: Sequence[str] = (),
    ) -> tuple[LogitPolicy, JobResult]:
        """The policy after supervised training on the lessons, with plain texts beside some or all."""
        start = model_policy(policy)
        frozen = None if reference is None else model_policy(reference)

        def work(place: Workplace) -> None:
            from alignment_bench.training.orders import Supervised, carry_out

            rows = training_rows(start, lessons, plain_texts)
            carry_out(Supervised(start, rows, settings, objective, frozen, seed), place, self.runtime)

        inputs = {
            "policy": policy.digest,
            "lessons": digest_lessons(lessons),
            "settings": asdict(settings),
            "objective": asdict(objective),
            "reference": None if reference is None else reference.digest,
            "plain": digest(list(plain_texts)),
            "seed": seed,
            **self.runtime.processes_keyed(),
        }
        result = self.run("finetune", inputs, work)
        return self.trained(result), result

    def reward_model(
        self,
        policy: LogitPolicy,
        pairs: Sequence[Pair],
        ties_dropped: int,
        kind: Kind,
        beta: float,
        settings: Settings,
        seed: int,
    ) -> tuple[RewardModel, JobResult]:
        """A reward model trained on nine tenths of the comparisons and checked on the rest, by prompt."""
        start = model_policy(policy)

        def work(place: Workplace) -> None:
            from alignment_bench.training.orders import Rewarding, carry_out
            from alignment_bench.training.reward import calibrated, pair_rows, split_pairs, write_card

            train, held_out = split_pairs(pairs, seed)
            order = Rewarding(start, pair_rows(start, train), kind, beta, settings, seed)
            carry_out(order, place, self.runtime)
            card = RewardCard(kind, beta, 0.0, 1.0, len(train), ties_dropped, len(held_out), None)
            write_card(place.folder, card)
            write_card(place.folder, calibrated(RewardModel(place.folder, self.runtime), train, held_out))

        inputs = {
            "policy": policy.digest,
            "pairs": digest_pairs(pairs),
            "ties": ties_dropped,
            "kind": kind,
            "beta": beta,
            "settings": asdict(settings),
            "seed": seed,
            **self.runtime.processes_keyed(),
        }
        result = self.run("reward_model", inputs, work)
        return RewardModel(result.folder, self.runtime), result

    def rewards(
        self, model: RewardModel, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> tuple[list[float], JobResult]:
        """Normalised reward of each completion."""

        def work(place: Workplace) -> None:
            dump_lines(place.folder / "rewards.jsonl", model.score(prompts, completions))

        inputs = {"reward_model": model.digest, "rows": digest_rows(prompts, completions)}
        result = self.run("rewards", inputs, work)
        return load_lines(result.folder / "rewards.jsonl"), result

    def copy(self, policy: LogitPolicy, stream: str) -> tuple[LogitPolicy, JobResult]:
        """The same weights saved as a trained policy would be, sampled from a stream of its own."""
        start = model_policy(policy)

        def work(place: Workplace) -> None:
            from alignment_bench.models.storage import save_policy

            model = start.load_for_training(0)
            save_policy(place.folder / "policy", model, parent=start, stream=stream)

        result = self.run("copy", {"policy": policy.digest, "stream": stream}, work)
        return self.trained(result), result

    def condition(
        self, policy: LogitPolicy, layout: str, slots: Mapping[str, str]
    ) -> tuple[LogitPolicy, JobResult]:
        """The policy behind a prefix: plain prompts are put to it in `layout` with `slots`."""
        model_policy(policy)

        def work(place: Workplace) -> None:
            folder = place.folder / "policy"
            folder.mkdir()
            shutil.copytree(policy.folder, folder / "inner")
            stored = {"schema": 1, "kind": CONDITIONED, "layout": layout, "slots": dict(slots)}
            (folder / "policy.json").write_text(json.dumps(stored, indent=1), "utf-8")

        inputs = {"policy": policy.digest, "layout": layout, "slots": dict(slots)}
        result = self.run("condition", inputs, work)
        found: LogitPolicy = self._policy(result)  # type: ignore[assignment]
        return found, result

    def settle(
        self, policy: LogitPolicy, words: Sequence[str], like: Sequence[str], seed: int
    ) -> tuple[LogitPolicy, JobResult]:
        """The policy with fresh embeddings for `words`, drawn from N(mean, std) of those of `like`."""
        start = model_policy(policy)

        def work(place: Workplace) -> None:
            from alignment_bench.models.new_words import renew
            from alignment_bench.models.storage import save_policy

            model = start.load_for_training(0)
            ids = [start.word_id(word) for word in words]
            renew(model, ids, [start.word_id(word) for word in like], derive_seed("settle", seed))
            save_policy(place.folder / "policy", model, parent=start)

        inputs = {"policy": policy.digest, "words": list(words), "like": list(like), "seed": seed}
        result = self.run("settle", inputs, work)
        return self.trained(result), result

    def wrap(
        self, kind: str, settings: Mapping[str, Any], parts: Mapping[str, Policy | RewardModel]
    ) -> tuple[Policy, JobResult]:
        """A decode-time policy of the method plugin `kind`: its settings, and its parts in subfolders."""

        def work(place: Workplace) -> None:
            folder = place.folder / "policy"
            folder.mkdir()
            for name, part in parts.items():
                shutil.copytree(part.folder, folder / name)
            stored = {"schema": 1, "kind": kind, "settings": dict(settings)}
            (folder / "policy.json").write_text(json.dumps(stored, indent=1), "utf-8")

        inputs = {
            "wrapper": kind,
            "settings": dict(settings),
            "parts": {name: part.digest for name, part in parts.items()},
        }
        result = self.run("wrap", inputs, work)
        return self._policy(result), result

    def run(self, kind: str, inputs: dict[str, Any], work: Callable[[Workplace], Spend | None]) -> JobResult:
        """A job of that kind: its stored result, or what it leaves now, keyed by its inputs and by how
        models run."""
        return self.noted(kind, {"inputs": inputs, "engine": self._keyed}, work)

    def noted(
        self, kind: str, key: Mapping[str, Any], work: Callable[[Workplace], Spend | None]
    ) -> JobResult:
        """A job of the store under that key. What the engine did otherwise than planned is stored with it and
        told at every use."""

        def noting(place: Workplace) -> Spend | None:
            with collecting() as heard:
                spend = work(place)
            if heard:
                dump_lines(place.folder / INCIDENTS, heard)
            return spend

        result = self.store.run(kind, key, noting)
        if (told := result.folder / INCIDENTS).exists():
            tell(*load_lines(told))
        return result

    def trained(self, result: JobResult) -> LogitPolicy:
        """The model that a job left in `policy/`."""
        return model_policy(self._policy(result))

    def _policy(self, result: JobResult) -> Policy:
        from alignment_bench.models.storage import load_policy

        return load_policy(result.folder / "policy", self.runtime)


def training_rows(start: ModelPolicy, lessons: Sequence[Lesson], plain_texts: Sequence[str]) -> list[Row]:
    """The lessons as ids, with the plain texts spread evenly over them, at most one beside each."""
    from alignment_bench.training.batches import Row

    texts = plain_texts[: len(lessons)]
    plain = {k * len(lessons) // len(texts): tuple(start.plain_ids(text)) for k, text in enumerate(texts)}
    rendered: dict[Prompt, tuple[int, ...]] = {}

    def ids(prompt: Prompt) -> tuple[int, ...]:
        if prompt not in rendered:
            rendered[prompt] = tuple(start.render(prompt))
        return rendered[prompt]

    return [
        Row(
            prompt=ids(one.prompt),
            completion=one.completion.tokens,
            weight=one.weight,
            unlikely=one.unlikely,
            reference=None if one.reference_prompt is None else ids(one.reference_prompt),
            plain=plain.get(k, ()),
        )
        for k, one in enumerate(lessons)
    ]


def model_policy(policy: Policy) -> ModelPolicy:
    """The policy as one with weights. Raises NotApplicable where it has none of its own."""
    from alignment_bench.errors import NotApplicable
    from alignment_bench.models.policy import ModelPolicy

    if not isinstance(policy, ModelPolicy):
        raise NotApplicable(f"{type(policy).__name__} has no weights of its own to train")
    return policy


def _completion(stored: dict[str, Any]) -> Completion:
    logprobs = stored["logprobs"]
    return Completion(
        text=stored["text"],
        tokens=tuple(stored["tokens"]),
        end=stored["end"],
        logprobs=tuple(logprobs) if logprobs is not None else None,
    )

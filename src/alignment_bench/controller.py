"""The harness's side of a Lab: holds Keys, teacher and ledger, serves requests, charges for them.

One controller per cell. A Lab reaches its controller through an opaque handle and this module's table,
never through an attribute, so nothing secret hangs on what a method is given. That keeps honest methods
honest; it is no wall against hostile code in the same process (CONTRIBUTING.md says what is).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from alignment_bench.budgets import price
from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, digest
from alignment_bench.errors import BenchError, NotApplicable
from alignment_bench.feedback import COMPLETIONS_SHOWN, Ask, Channel, FeedbackRecord, Teacher
from alignment_bench.jobs import JobResult, Workplace
from alignment_bench.ledger import Ledger, Spend, current_spend, price_of_acts, report
from alignment_bench.lines import dump_lines, load_lines
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.preferences import collect_pairs
from alignment_bench.prompts import Example, Prompt
from alignment_bench.reward_models import Kind, RewardModel
from alignment_bench.tiers import Tier
from alignment_bench.work import Pair, Work, digest_prompts

if TYPE_CHECKING:
    from alignment_bench.lab import Lab
    from alignment_bench.training.settings import PPOSettings, Settings

Value = TypeVar("Value")

_OPEN: dict[str, Controller] = {}


def of(handle: str) -> Controller:
    """The controller behind a Lab's handle, while its cell is being aligned."""
    try:
        return _OPEN[handle]
    except KeyError:
        raise BenchError("this lab is closed: a method may use it only inside align()") from None


class Controller:
    """Everything one cell's alignment may cost or must not see."""

    def __init__(
        self,
        work: Work,
        teacher: Teacher,
        teacher_digest: str,
        examples: Sequence[Example],
        data_digest: str,
        ledger: Ledger,
        seed: int,
        tier: Tier,
        rollout_decoding: Decoding,
        progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.work = work
        self.teacher = teacher
        self.ledger = ledger
        self.seed = seed
        self.tier = tier
        self.rollout_decoding = rollout_decoding
        self.notes: list[str] = []
        self._examples: Mapping[str, Example] = {e.prompt.id: e for e in examples}
        self._teacher_digest = teacher_digest
        self._data_digest = data_digest
        self._progress = progress

    @contextmanager
    def open_lab(self) -> Iterator[Lab]:
        """A Lab that works until the block ends."""
        from alignment_bench.lab import Lab

        handle = secrets.token_hex(16)
        _OPEN[handle] = self
        try:
            yield Lab(handle, self.seed)
        finally:
            del _OPEN[handle]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What the teacher answers afresh."""
        return self.teacher.channels

    def affordable(self, channel: Channel) -> int:
        """Acts on the channel that what remains pays for."""
        return self.ledger.affordable(channel)

    def note(self, text: str) -> None:
        """A footnote, once."""
        if text not in self.notes:
            self.notes.append(text)

    def ask(
        self, channel: Channel, prompts: Sequence[Prompt], texts: Sequence[tuple[str, ...]]
    ) -> list[FeedbackRecord]:
        """Answers of the teacher, charged before it is asked."""
        self.ledger.authorise(channel, len(prompts))
        records, result = self._ask(channel, prompts, texts)
        self._charge(result)
        return records

    def recorded(self) -> list[FeedbackRecord]:
        """Earlier feedback on the training examples, as far as the budget reaches, in a fixed order."""
        records: list[FeedbackRecord] = []
        for record in self.teacher.recorded(list(self._examples.values())):
            if not self.affordable(record.channel):
                self.note(f"recorded feedback: {len(records)} records used, the budget ends there")
                break
            words = len((record.text or "").split())
            self.ledger.charge(price_of_acts(record.channel, 1, words, self.ledger.currency))
            records.append(record)
        return records

    def _ask(
        self, channel: Channel, prompts: Sequence[Prompt], texts: Sequence[tuple[str, ...]]
    ) -> tuple[list[FeedbackRecord], JobResult]:
        if channel not in self.teacher.channels:
            raise NotApplicable(f"teacher {self.teacher.name!r} gives no fresh answers on {channel!r}")
        asks = [self._to_ask(channel, p, t) for p, t in zip(prompts, texts, strict=True)]

        def work(place: Workplace) -> Spend:
            records = self.teacher.answer(channel, asks, seed=derive_seed("teacher", self.seed))
            if len(records) != len(asks):
                raise BenchError(f"teacher {self.teacher.name!r} gave {len(records)} of {len(asks)} answers")
            words = sum(len((r.text or "").split()) for r in records)
            cost = price(channel, self.ledger.currency)
            dump_lines(place.folder / "records.jsonl", [asdict(replace(r, cost=cost)) for r in records])
            return price_of_acts(channel, len(records), words, self.ledger.currency)

        inputs = {
            "channel": channel,
            "teacher": self._teacher_digest,
            "data": self._data_digest,
            "prompts": digest_prompts([a.prompt for a in asks]),
            "texts": digest([list(t) for t in texts]),
            "seed": self.seed,
            "price": [price(channel, self.ledger.currency), self.ledger.currency],
        }
        self._progress(f"ask {channel}")
        result = self.work.store.run("ask", inputs, work)
        return _records(result), result

    def _to_ask(self, channel: Channel, prompt: Prompt, texts: tuple[str, ...]) -> Ask:
        if len(texts) != COMPLETIONS_SHOWN[channel]:
            raise ValueError(f"{channel} shows {COMPLETIONS_SHOWN[channel]} completions, not {len(texts)}")
        example = self._examples.get(prompt.id)
        if example is None:
            raise BenchError(f"feedback is for training prompts only; {prompt.id!r} is none of them")
        return Ask(example.prompt, example.key, texts)

    def sample(
        self, policy: Policy, prompts: Sequence[Prompt], n: int, decoding: Decoding | None, stream: str
    ) -> list[list[Completion]]:
        """Completions, charged."""
        self._progress("sample")
        seed = derive_seed("lab sample", self.seed, stream)
        lists, result = self.work.sample(policy, prompts, n, decoding or self.rollout_decoding, seed)
        self._charge(result)
        return lists

    def logprobs(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[list[float]]:
        """Token log-probabilities, charged."""
        return self._charged(self.work.logprobs(policy, prompts, completions))

    def answer_probabilities(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> list[list[float]]:
        """Next-token probabilities of answers, charged."""
        return self._charged(self.work.answer_probabilities(policy, prompts, answers))

    def finetune(
        self, policy: LogitPolicy, rows: Sequence[tuple[Prompt, Completion]], settings: Settings
    ) -> LogitPolicy:
        """Supervised fine-tuning, charged."""
        self._progress("finetune")
        if not rows:
            raise BenchError("there is nothing to fine-tune on: every example was filtered away")
        trained = self._charged(self.work.finetune(policy, rows, settings, self.seed))
        return trained

    def prefer_train(
        self, policy: LogitPolicy, pairs: Sequence[Pair], beta: float, settings: Settings
    ) -> LogitPolicy:
        """Training on comparisons, charged."""
        self._progress("prefer")
        trained = self._charged(self.work.prefer_train(policy, pairs, beta, settings, self.seed))
        return trained

    def buy_reward_model(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], kind: Kind, share: float, lab: Lab
    ) -> RewardModel:
        """Comparisons of the policy's samples, and the reward model trained on them."""
        pairs, ties = collect_pairs(policy, prompts, lab, share)
        self._progress("reward model")
        settings = lab.settings(purpose="reward")
        model = self._charged(self.work.reward_model(policy, pairs, ties, kind, 1.0, settings, self.seed))
        self.note(model.card.sentence)
        return model

    def rewards(
        self, model: RewardModel, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[float]:
        """Scores of a reward model, charged."""
        return self._charged(self.work.rewards(model, prompts, completions))

    def ppo(
        self,
        policy: LogitPolicy,
        prompts: Sequence[Prompt],
        reward: RewardModel | Literal["teacher"],
        settings: PPOSettings,
        decoding: Decoding | None,
    ) -> tuple[LogitPolicy, list[dict[str, float]]]:
        """PPO, charged; with the teacher as reward, every rollout is an act, authorised before the first."""
        self._progress("ppo")
        if isinstance(reward, RewardModel):
            scorer, key = reward.score, reward.digest
        else:
            self.ledger.authorise("score", settings.iterations * settings.rollouts)
            scorer, key = (
                self._teacher_scores,
                digest(
                    ["teacher", self._teacher_digest, self._data_digest, price("score", self.ledger.currency)]
                ),
            )
        decoding = decoding or self.rollout_decoding
        trained, log, result = self.work.ppo(policy, prompts, scorer, key, settings, decoding, self.seed)
        self._charge(result)
        return trained, log

    def _teacher_scores(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
        """Scores for PPO, inside its job: reported to the job's meter, which charges them with the rest."""
        self.ledger.authorise("score", current_spend().acts.get("score", 0) + len(prompts))
        records, result = self._ask("score", prompts, [(c.text,) for c in completions])
        report(replace(result.spend, seconds=0.0))  # the job around this one times itself
        if missing := [r for r in records if r.value is None]:
            raise NotApplicable(
                f"the teacher gave no number for {len(missing)} rollouts: {missing[0].reason}"
            )
        return [float(r.value) for r in records if r.value is not None]

    def copy(self, policy: LogitPolicy, stream: str) -> LogitPolicy:
        """A copy of the weights, charged (nothing)."""
        return self._charged(self.work.copy(policy, stream))

    def wrap(
        self, kind: str, settings: Mapping[str, Any], parts: Mapping[str, Policy | RewardModel]
    ) -> Policy:
        """A decode-time policy, charged (nothing)."""
        return self._charged(self.work.wrap(kind, settings, parts))

    def _charged(self, outcome: tuple[Value, JobResult]) -> Value:
        value, result = outcome
        self._charge(result)
        return value

    def _charge(self, result: JobResult) -> None:
        self.ledger.charge(result.spend)


def _records(result: JobResult) -> list[FeedbackRecord]:
    return [
        FeedbackRecord(
            **{
                **row,
                "completions": tuple(row["completions"]),
                "spans": tuple((a, b) for a, b in row["spans"]),
            }
        )
        for row in load_lines(result.folder / "records.jsonl")
    ]

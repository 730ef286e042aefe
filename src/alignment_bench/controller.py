"""The harness's side of a Lab: holds Keys, teacher and ledger, serves requests, charges for them.

One controller per cell. A Lab reaches its controller through an opaque handle and this module's table,
never through an attribute, so nothing secret hangs on what a method is given. That keeps honest methods
honest; it is no wall against hostile code in the same process (CONTRIBUTING.md says what is).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from alignment_bench import trl_jobs
from alignment_bench.budgets import price
from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, digest, generator
from alignment_bench.errors import BenchError, NotApplicable
from alignment_bench.feedback import COMPLETIONS_SHOWN, Ask, Channel, FeedbackRecord, Reviewing, Teacher
from alignment_bench.formatter import fill
from alignment_bench.hosting import Billing
from alignment_bench.jobs import JobResult, Workplace
from alignment_bench.ledger import Ledger, Spend, current_spend, price_of_acts, report
from alignment_bench.lessons import Lesson
from alignment_bench.lines import dump_lines, load_lines
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Example, Prompt
from alignment_bench.reward_models import Kind, RewardModel
from alignment_bench.techniques.preferences import collect_pairs
from alignment_bench.tiers import Tier
from alignment_bench.work import Pair, Work, digest_prompts, model_policy

if TYPE_CHECKING:
    from alignment_bench.lab import Lab
    from alignment_bench.training.settings import Objective, PPOSettings, Settings
    from alignment_bench.training.trl_settings import DPOSettings, KTOSettings, OnlineSettings

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
        self.measures: dict[str, float] = {}
        self.reward_models: set[str] = set()
        """digests of the reward models that the cell trained"""
        self.known_base: LogitPolicy | None = None
        """the unaligned base, once the run has it"""
        self._examples: Mapping[str, Example] = {e.prompt.id: e for e in examples}
        self._teacher_digest = teacher_digest
        self._data_digest = data_digest
        self._progress = progress
        self._unusable: dict[Channel, list[str]] = {}
        """why answers of a teacher that is a language model were of no use"""
        self._answers: dict[Channel, int] = {}

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

    def measure(self, name: str, value: float) -> None:
        """A number a method measured of itself. Raises BenchError where it is not finite."""
        if not math.isfinite(value):
            raise BenchError(f"measure {name!r} is {value}: give a finite number, or a note saying why not")
        self.measures[name] = float(value)

    @property
    def base(self) -> LogitPolicy:
        """The cell's unaligned base."""
        if self.known_base is None:
            raise BenchError("this lab was opened before its base was known")
        return self.known_base

    def ask(
        self, channel: Channel, prompts: Sequence[Prompt], texts: Sequence[tuple[str, ...]]
    ) -> list[FeedbackRecord]:
        """Answers of the teacher, charged before it is asked."""
        self.ledger.authorise(channel, len(prompts))
        records, result = self._ask(channel, prompts, texts)
        self._charge(result)
        return records

    def review(
        self, channels: tuple[Channel, ...], prompts: Sequence[Prompt], texts: Sequence[tuple[str, ...]]
    ) -> list[dict[Channel, FeedbackRecord]]:
        """Answers on several channels about the same texts, one act each to a machine."""
        for channel in channels:
            self._check_served(channel)
        self.ledger.authorise_reviews(channels, len(prompts))
        found: list[dict[Channel, FeedbackRecord]] = [{} for _ in prompts]
        for channel in channels:
            records, result = self._ask(channel, prompts, texts, together=True)
            paid = channel == channels[0] or self.ledger.currency == "seconds"
            self.ledger.charge(result.spend if paid else replace(result.spend, calls=0))
            for one, record in zip(found, records, strict=True):
                one[channel] = record
        asks = [self._to_ask(channels[0], p, t) for p, t in zip(prompts, texts, strict=True)]
        self.ledger.charge(self._bill(channels, asks, in_review=True))
        return found

    def recorded(self, channels: Sequence[Channel] = (), most: int | None = None) -> list[FeedbackRecord]:
        """Earlier feedback on the training examples, as far as the budget reaches, in a fixed order.

        Only what is handed out is charged. Raises BenchError where a teacher brings feedback on another
        example than it was asked about.
        """
        records: list[FeedbackRecord] = []
        for record in self.teacher.recorded(list(self._examples.values())):
            if record.prompt_id not in self._examples:
                raise BenchError(
                    f"teacher {self.teacher.name!r} has feedback on {record.prompt_id!r}, no training prompt"
                )
            if channels and record.channel not in channels:
                continue
            if len(records) == most:
                break
            if not self.affordable(record.channel):
                self.note(f"recorded feedback: {len(records)} records used, the budget ends there")
                break
            words = len((record.text or "").split())
            self.ledger.charge(price_of_acts(record.channel, 1, words, self.ledger.currency))
            records.append(replace(record, cost=price(record.channel, self.ledger.currency)))
        return records

    def _ask(
        self,
        channel: Channel,
        prompts: Sequence[Prompt],
        texts: Sequence[tuple[str, ...]],
        together: bool = False,
    ) -> tuple[list[FeedbackRecord], JobResult]:
        self._check_served(channel)
        asks = [self._to_ask(channel, p, t) for p, t in zip(prompts, texts, strict=True)]

        def work(place: Workplace) -> Spend:
            seed = derive_seed("teacher", self.seed)
            if together and isinstance(self.teacher, Reviewing):
                records = self.teacher.in_review(channel, asks, seed=seed)
            else:
                records = self.teacher.answer(channel, asks, seed=seed)
            if len(records) != len(asks):
                raise BenchError(f"teacher {self.teacher.name!r} gave {len(records)} of {len(asks)} answers")
            words = sum(len((r.text or "").split()) for r in records)
            cost = price(channel, self.ledger.currency)
            dump_lines(place.folder / "records.jsonl", [asdict(replace(r, cost=cost)) for r in records])
            acts = price_of_acts(channel, len(records), words, self.ledger.currency)
            return acts if together else acts + self._bill([channel], asks, in_review=False)

        inputs = {
            "channel": channel,
            "in review": together and isinstance(self.teacher, Reviewing),
            "teacher": self._teacher_digest,
            "data": self._data_digest,
            "prompts": digest_prompts([a.prompt for a in asks]),
            "texts": digest([list(t) for t in texts]),
            "seed": self.seed,
            "price": [price(channel, self.ledger.currency), self.ledger.currency],
        }
        self._progress(f"ask {channel}")
        result = self.work.store.run("ask", inputs, work)
        records = _records(result)
        if isinstance(self.teacher, Billing):
            self._answers[channel] = self._answers.get(channel, 0) + len(records)
            self._unusable.setdefault(channel, []).extend(r.reason for r in records if not r.ok)
        return records, result

    def _bill(self, channels: Sequence[Channel], asks: Sequence[Ask], *, in_review: bool) -> Spend:
        """Tokens and money that the answers took besides the calls; a review's once for all channels."""
        if not isinstance(self.teacher, Billing):
            return Spend()
        seed = derive_seed("teacher", self.seed)
        return self.teacher.bill(channels, asks, seed=seed, in_review=in_review)

    def note_teacher(self) -> None:
        """Footnotes on a teacher that is a language model: answers of no use, tokens and money."""
        for channel, reasons in self._unusable.items():
            if reasons:
                often = max(sorted(set(reasons)), key=reasons.count)
                self.note(
                    f"teacher {self.teacher.name}: {len(reasons)} of {self._answers[channel]} answers on "
                    f"{channel} of no use, most often: {often}"
                )
        if isinstance(self.teacher, Billing) and (took := self.ledger.spent.spoken):
            self.note(f"teacher {self.teacher.name}: {took}")

    def _check_served(self, channel: Channel) -> None:
        if channel not in self.teacher.channels:
            raise NotApplicable(f"teacher {self.teacher.name!r} gives no fresh answers on {channel!r}")

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
        self,
        policy: LogitPolicy,
        lessons: Sequence[Lesson],
        settings: Settings,
        objective: Objective,
        reference: LogitPolicy | None,
        plain_texts: Sequence[str],
    ) -> LogitPolicy:
        """Supervised fine-tuning, charged."""
        self._progress("finetune")
        if not lessons:
            raise BenchError("there is nothing to fine-tune on: every example was filtered away")
        trained = self.work.finetune(policy, lessons, settings, self.seed, objective, reference, plain_texts)
        return self._charged(trained)

    def unlabelled(self, n: int) -> list[str]:
        """Plain texts for a language-model loss."""
        source = model_policy(self.base).source
        if source.kind == "shipped":
            from alignment_bench.world.corpus import plain_documents

            self.note("plain text: documents of the kind the base was pretrained on")
            return plain_documents(generator("unlabelled", self.seed), n)
        self.note("plain text: training prompts, because the base's pretraining text is not at hand")
        texts = [example.prompt.text for example in self._examples.values()]
        order = generator("unlabelled", self.seed).permutation(len(texts))
        return [texts[int(order[k % len(texts)])] for k in range(n)]

    def condition(self, policy: LogitPolicy, layout: str, slots: Mapping[str, str]) -> LogitPolicy:
        """A policy behind a prefix, charged (nothing). Raises BadInput where layout or slots do not fit."""
        put = policy.formatter.layout(layout)
        fill(put.user + put.opening, {"prompt": "", **slots})
        return self._charged(self.work.condition(policy, layout, slots))

    def settle(self, policy: LogitPolicy, phrases: Sequence[str]) -> LogitPolicy:
        """Fresh embeddings for words that a shipped model never trained on."""
        from alignment_bench.models.new_words import descriptive, untrained

        source = model_policy(policy).source
        words = untrained(source, phrases)
        if not words:
            return policy
        if policy.digest != self.base.digest:
            self.note(f"drawn afresh, whatever the start had made of them: {', '.join(words)}")
        return self._charged(self.work.settle(policy, words, descriptive(source), self.seed))

    def dpo(self, policy: LogitPolicy, pairs: Sequence[Pair], settings: DPOSettings) -> LogitPolicy:
        """DPO, charged; how well its implicit reward orders the last tenth of what it saw is measured."""
        self._progress("dpo")
        if not pairs:
            raise BenchError("there is nothing to prefer: every comparison was filtered away")
        trained, log, result = trl_jobs.dpo(self.work, policy, pairs, settings, self.seed)
        self._charge(result)
        for name in ("accuracy", "margin"):
            if (value := trl_jobs.at_end(log, name)) is not None:
                self.measure(f"dpo_{name}", value)
        return trained

    def kto(
        self, policy: LogitPolicy, rows: Sequence[tuple[Prompt, Completion, bool]], settings: KTOSettings
    ) -> LogitPolicy:
        """KTO, charged; the margin of its implicit reward over the last tenth of the steps is measured."""
        self._progress("kto")
        trained, log, result = trl_jobs.kto(self.work, policy, rows, settings, self.seed)
        self._charge(result)
        good, bad = trl_jobs.at_end(log, "desirable"), trl_jobs.at_end(log, "undesirable")
        if good is not None and bad is not None:
            self.measure("kto_margin", good - bad)
        return trained

    def buy_reward_model(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], kind: Kind, share: float, lab: Lab
    ) -> RewardModel:
        """Comparisons of the policy's samples, and the reward model trained on them."""
        pairs, ties = collect_pairs(policy, prompts, lab, share)
        self._progress("reward model")
        settings = lab.settings(purpose="reward")
        start = self._with_weights(policy)
        model = self._charged(self.work.reward_model(start, pairs, ties, kind, 1.0, settings, self.seed))
        self.reward_models.add(model.digest)
        self.note(model.card.sentence)
        if model.card.accuracy is not None:
            self.measure("reward_model_accuracy", model.card.accuracy)
        return model

    def _with_weights(self, policy: LogitPolicy) -> LogitPolicy:
        """The policy, or the base where it is a wrapper without weights of its own, which is footnoted."""
        from alignment_bench.models.policy import ModelPolicy

        if isinstance(policy, ModelPolicy):
            return policy
        self.note("reward model trained from the base: the policy compared has no weights of its own")
        return self.base

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
        value_start = None
        if settings.value_start == "reward":
            if not isinstance(reward, RewardModel):
                raise NotApplicable("value_start=reward needs a reward model, the reward is the teacher's")
            value_start = reward
        trained, log, result = self.work.ppo(
            policy, prompts, scorer, key, settings, decoding, self.seed, value_start
        )
        self._charge(result)
        return trained, log

    def online(
        self,
        policy: LogitPolicy,
        prompts: Sequence[Prompt],
        reward: RewardModel | Literal["teacher", "preferences"],
        settings: OnlineSettings,
        decoding: Decoding | None,
    ) -> tuple[LogitPolicy, list[dict[str, float]]]:
        """Online DPO, GRPO or RLOO, charged; whatever a teacher judges is authorised before the first act."""
        from alignment_bench.training.trl_rollouts import Judging

        self._progress(settings.algorithm)
        if isinstance(reward, RewardModel):
            judging, key = Judging(score=reward.score), reward.digest
        else:
            channel: Channel = "score" if reward == "teacher" else "prefer"
            acts = settings.rollouts if channel == "score" else settings.prompts
            self.ledger.authorise(channel, settings.steps * acts)
            judging = (
                Judging(score=self._teacher_scores)
                if channel == "score"
                else Judging(prefer=self._teacher_prefers)
            )
            paid = price(channel, self.ledger.currency)
            key = digest([channel, self._teacher_digest, self._data_digest, paid])
        decoding = decoding or self.rollout_decoding
        trained, log, result = trl_jobs.online(
            self.work, policy, prompts, judging, key, settings, decoding, self.seed
        )
        self._charge(result)
        return trained, log

    def _teacher_prefers(
        self, prompts: Sequence[Prompt], first: Sequence[Completion], second: Sequence[Completion]
    ) -> list[float]:
        """Labels for pairs inside a job, charged with it: 1 the first, 0 the second, .5 no usable answer."""
        self.ledger.authorise("prefer", current_spend().acts.get("prefer", 0) + len(prompts))
        shown = [(a.text, b.text) for a, b in zip(first, second, strict=True)]
        records, result = self._ask("prefer", prompts, shown)
        report(replace(result.spend, seconds=0.0))  # the job around this one times itself
        worth = {"first": 1.0, "second": 0.0}
        return [worth.get(record.preference or "tie", 0.5) for record in records]

    def _teacher_scores(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
        """Scores of rollouts inside a job: reported to the job's meter, which charges them with the rest."""
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

"""One cell rehearsed: the method's own `align`, the real ledger, and a teacher that repeats itself.

The real teacher is asked about the probe's samples, once a channel, and timed; whatever a method asks gets
one of those answers. A teacher that calls an endpoint, runs a model or the model's programs is never
asked: its answers are a fixed text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from alignment_bench import run as running
from alignment_bench.aligning import align
from alignment_bench.completions import Completion, Decoding
from alignment_bench.controller import Controller
from alignment_bench.costs import units
from alignment_bench.costs.clock import Clock
from alignment_bench.costs.dry import DryWork, trained_spend
from alignment_bench.costs.units import Units
from alignment_bench.evaluate import draw, score
from alignment_bench.feedback import Ask, Channel, FeedbackRecord, Reviewing, Teacher
from alignment_bench.hosting import Billing, Hosted
from alignment_bench.job_keys import Pair
from alignment_bench.ledger import Ledger, Spend, price_of_acts
from alignment_bench.plan import Cell
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Example, Prompt
from alignment_bench.reward_models import RewardModel
from alignment_bench.runtime import TINY_PARAMETERS
from alignment_bench.work import model_policy

if TYPE_CHECKING:
    from alignment_bench.training.settings import PPOSettings
    from alignment_bench.training.trl_settings import DPOSettings, KTOSettings, OnlineSettings

REAL_ACTS = 64
"""acts on a channel that the real teacher is asked for"""
WORDS = "It leaves out why it happened."
"""what a teacher that is not asked says"""
Survey = Callable[[Channel], Sequence[Ask]]
"""questions about samples of the base, for the real teacher"""


class Repeating:
    """A teacher whose answers about a few samples are repeated whatever is asked."""

    def __init__(self, teacher: Teacher, clock: Clock, survey: Survey, runs_programs: bool) -> None:
        self.teacher = teacher
        self.clock = clock
        self.survey = survey
        self.name, self.family = teacher.name, teacher.family
        self.paid_in, self.channels = teacher.paid_in, teacher.channels
        self.mute = runs_programs or isinstance(teacher, Hosted | Billing)
        self.heard: dict[tuple[Channel, bool], list[FeedbackRecord]] = {}
        self.seconds: dict[Channel, float] = {}
        """by channel, of one act"""

    def unfit(self, keys: Sequence[Any]) -> str | None:
        """What the teacher says."""
        return self.teacher.unfit(keys)

    def recorded(self, examples: Sequence[Example]) -> list[FeedbackRecord]:
        """What the teacher has."""
        return self.teacher.recorded(examples)

    def answer(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask."""
        return self._repeated(channel, asks, seed, together=False)

    def _repeated(
        self, channel: Channel, asks: Sequence[Ask], seed: int, together: bool
    ) -> list[FeedbackRecord]:
        units.count({units.ASK + channel: float(len(asks))})
        if (channel, together) not in self.heard:
            self.heard[channel, together] = self._surveyed(channel, seed, together)
        heard = self.heard[channel, together]
        return [
            replace(
                heard[k % len(heard)] if heard else _made_up(channel, ask, self.name),
                prompt_id=ask.prompt.id,
                completions=tuple(ask.completions),
            )
            for k, ask in enumerate(asks)
        ]

    def _surveyed(self, channel: Channel, seed: int, together: bool) -> list[FeedbackRecord]:
        """The real teacher's answers; none where it must not be asked."""
        asks = [] if self.mute else list(self.survey(channel))[:REAL_ACTS]
        if not asks:
            return []
        with self.clock.timing() as took:
            if together and isinstance(self.teacher, Reviewing):
                heard = self.teacher.in_review(channel, asks, seed=seed)
            else:
                heard = self.teacher.answer(channel, asks, seed=seed)
        self.seconds[channel] = took.seconds / len(asks)
        return heard


class RepeatingReviews(Repeating):
    """One whose answers on several channels belong together."""

    def in_review(self, channel: Channel, asks: Sequence[Ask], *, seed: int) -> list[FeedbackRecord]:
        """One record per ask."""
        return self._repeated(channel, asks, seed, together=True)


def repeating(teacher: Teacher, clock: Clock, survey: Survey, *, runs_programs: bool) -> Repeating:
    """The teacher's stand-in."""
    kind = RepeatingReviews if isinstance(teacher, Reviewing) else Repeating
    return kind(teacher, clock, survey, runs_programs)


def _made_up(channel: Channel, ask: Ask, source: str) -> FeedbackRecord:
    text = ask.completions[0] if ask.completions and channel == "refine" else WORDS
    return FeedbackRecord(
        ask.prompt.id, channel, ask.completions, text=text, value=0.5, preference="first", source=source
    )


class DryController(Controller):
    """A Controller whose long trainings are counted, not done."""

    work: DryWork

    def dpo(self, policy: LogitPolicy, pairs: Sequence[Pair], settings: DPOSettings) -> LogitPolicy:
        """`Controller.dpo` without the training."""
        length = self.work.rehearsal.length
        both = [2 * length(p) + len(a.tokens) + len(b.tokens) for p, a, b in pairs]
        asked, spend = self._preferring(policy, both, settings.train)
        with self.work.instead(self.work.training(policy, asked, spend, None, settings.train.lora_rank)):
            return super().dpo(policy, pairs, settings)

    def kto(
        self, policy: LogitPolicy, rows: Sequence[tuple[Prompt, Completion, bool]], settings: KTOSettings
    ) -> LogitPolicy:
        """`Controller.kto` without the training: each completion also stands for another's baseline."""
        length = self.work.rehearsal.length
        both = [2 * (length(p) + len(c.tokens)) for p, c, _ in rows]
        asked, spend = self._preferring(policy, both, settings.train)
        with self.work.instead(self.work.training(policy, asked, spend, None, settings.train.lora_rank)):
            return super().kto(policy, rows, settings)

    def _preferring(self, policy: LogitPolicy, tokens: Sequence[int], settings: Any) -> tuple[Units, Spend]:
        asked = units.trained(tokens, settings)
        total = sum(tokens)
        asked[units.SCORE_TOKEN] = float(total)
        asked[units.SCORE_BATCH] = float(-(-2 * len(tokens) // settings.micro_batch))
        asked |= _trl(asked[units.TRAIN_STEP])
        start = model_policy(policy)
        flops = 2.0 * start.n_parameters * total
        return asked, trained_spend(start, settings.epochs * total) + Spend(tokens_scored=total, flops=flops)

    def ppo(
        self,
        policy: LogitPolicy,
        prompts: Sequence[Prompt],
        reward: RewardModel | Literal["teacher"],
        settings: PPOSettings,
        decoding: Decoding | None,
    ) -> tuple[LogitPolicy, list[dict[str, float]]]:
        """`Controller.ppo` without the training; an iteration draws what the start would draw."""
        drawing = replace(decoding or self.rollout_decoding, temperature=settings.temperature)
        trunks = 2 if settings.separate_value else 1
        one, spend, tokens = self._rollouts(policy, prompts, reward, settings.rollouts, 1, drawing, "score")
        start = model_policy(policy)
        at_once = settings.minibatches == 1 and settings.rollouts <= settings.micro_batch
        scoring = 1 if at_once else trunks + 1  # the first step has scored what it trains on by itself
        passes = scoring / 3 + settings.epochs * trunks  # forward alone is a third of training
        steps = settings.epochs * settings.minibatches
        units.add(one, {units.TRAIN_TOKEN: tokens * passes, units.TRAIN_STEP: float(steps), units.SAVE: 1.0})
        seen = round(tokens * scoring)
        trained = trained_spend(start, round(tokens * settings.epochs))
        spend = spend + replace(trained, flops=trained.flops * trunks)
        spend = spend + Spend(tokens_scored=seen, flops=2.0 * start.n_parameters * seen)
        asked = {name: number * settings.iterations for name, number in one.items()}
        whole = _times(spend, settings.iterations)
        with self.work.instead(self.work.training(policy, asked, whole, None, settings.lora_rank)):
            return super().ppo(policy, prompts, reward, settings, decoding)

    def online(
        self,
        policy: LogitPolicy,
        prompts: Sequence[Prompt],
        reward: RewardModel | Literal["teacher", "preferences"],
        settings: OnlineSettings,
        decoding: Decoding | None,
    ) -> tuple[LogitPolicy, list[dict[str, float]]]:
        """`Controller.online` without the training; a step draws what the start would draw."""
        drawing = decoding or self.rollout_decoding
        channel: Channel = "prefer" if reward == "preferences" else "score"
        one, spend, tokens = self._rollouts(
            policy, prompts, reward, settings.prompts, settings.group, drawing, channel
        )
        start = model_policy(policy)
        referred = tokens / 3 if settings.beta else 0.0
        units.add(one, {units.TRAIN_TOKEN: tokens * settings.iterations + referred})
        units.add(one, {units.TRAIN_STEP: float(settings.iterations)})
        asked = {name: number * settings.steps for name, number in one.items()}
        asked |= _trl(float(settings.steps * settings.iterations))
        spend = _times(
            spend
            + trained_spend(start, round(tokens * settings.iterations))
            + Spend(tokens_scored=round(3 * referred), flops=2.0 * start.n_parameters * 3 * referred),
            settings.steps,
        )
        with self.work.instead(self.work.training(policy, asked, spend, None, settings.lora_rank)):
            return super().online(policy, prompts, reward, settings, decoding)

    def _rollouts(
        self,
        policy: LogitPolicy,
        prompts: Sequence[Prompt],
        reward: RewardModel | str,
        distinct: int,
        n: int,
        decoding: Decoding,
        channel: Channel,
    ) -> tuple[Units, Spend, float]:
        """Units and Spend of drawing and judging one round of rollouts, and its tokens, prompts included."""
        from alignment_bench.ledger import metering

        shown = [prompts[k % len(prompts)] for k in range(distinct)]
        self.work.rehearsal.forget()
        with units.counting() as asked, metering() as meter:
            drawn = policy.generate(shown, n=n, decoding=decoding, seed=self.seed)
            flat = [(p, c) for p, row in zip(shown, drawn, strict=True) for c in row]
            if isinstance(reward, RewardModel):
                reward.score([p for p, _ in flat], [c for _, c in flat])
        start = model_policy(policy)
        if start.n_parameters < TINY_PARAMETERS:
            asked[units.LOAD] = 0.0  # tiny models stay in memory over the rounds
        elif start.runtime.sampling_dtype(start.n_parameters) == "float32":
            asked[units.LOAD] -= 1.0  # a model in training then draws itself
        spend = meter.total
        if not isinstance(reward, RewardModel):
            acts = len(flat) if channel == "score" else len(flat) // 2
            spend = spend + price_of_acts(channel, acts, 0, self.ledger.currency)
            asked[units.ASK + channel] = float(acts)
        length = self.work.rehearsal.length
        return asked, spend, float(sum(length(p) + len(c.tokens) for p, c in flat))


def _trl(steps: float) -> Units:
    return {units.TRL_IMPORT: 1.0, units.TRL: 1.0, units.TRL_STEP: steps}


def _times(spend: Spend, number: int) -> Spend:
    acts = {channel: count * number for channel, count in spend.acts.items()}
    stored = {k: v * number for k, v in spend.to_json().items() if k != "acts"}
    return Spend(acts=acts, **stored)


def rehearse(cell: Cell, base: LogitPolicy, work: DryWork, teacher: Repeating) -> Spend:
    """Walks through one cell, its jobs noted in the work's store; what its alignment would be charged."""
    setting, store = cell.setting, work.dry
    controller = DryController(
        work=work,
        teacher=teacher,  # type: ignore[arg-type]
        teacher_digest=setting.teacher_digest,
        examples=setting.data.train,
        data_digest=setting.data.digest,
        ledger=Ledger(setting.teacher.paid_in, setting.amount),
        seed=cell.seed,
        tier=setting.tier,
        rollout_decoding=setting.rollout_decoding,
    )
    aligned = align(cell, base, controller)
    panel = running.panel_of(cell)
    store.tests = len(panel.examples)
    store.readable = isinstance(aligned.policy, LogitPolicy)
    samples, keys, _ = draw(work, aligned.policy, panel)
    base_samples, base_keys, _ = draw(work, base, panel)
    score(work, aligned.policy, base, panel, (samples, keys), (base_samples, base_keys))
    return aligned.spend

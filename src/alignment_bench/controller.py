"""The harness's side of a Lab: serves requests for jobs, charges for them, and holds the teacher (`asking`).

One controller per cell. A Lab reaches its controller through an opaque handle and this module's table,
never through an attribute, so nothing secret hangs on what a method is given. That keeps honest methods
honest; it is no wall against hostile code in the same process (CONTRIBUTING.md says what is).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from alignment_bench import ppo_job, trl_jobs
from alignment_bench.asking import Asking
from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, generator
from alignment_bench.errors import BenchError, NotApplicable
from alignment_bench.feedback import Channel, Teacher
from alignment_bench.formatter import fill
from alignment_bench.job_keys import Pair
from alignment_bench.jobs import JobResult
from alignment_bench.ledger import Ledger
from alignment_bench.lessons import Lesson
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Example, Prompt
from alignment_bench.reward_models import Kind, RewardModel
from alignment_bench.techniques.preferences import collect_pairs
from alignment_bench.tiers import Tier
from alignment_bench.work import Work, model_policy

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
        self.asking = Asking(
            work, teacher, teacher_digest, examples, data_digest, ledger, seed, self.note, progress
        )
        self.jobs = self.asking.jobs
        """key to kind of every job charged for, so that the files behind the cell's numbers can be listed"""
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
        texts = self.asking.texts
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
        self._in_one_process("dpo")
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
        self._in_one_process("kto")
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
        self._in_one_process("ppo")
        if isinstance(reward, RewardModel):
            scorer, key = reward.score, reward.digest
        else:
            self.ledger.authorise("score", settings.iterations * settings.rollouts)
            scorer, key = self.asking.scores, self.asking.identity("score")
        decoding = decoding or self.rollout_decoding
        value_start = None
        if settings.value_start == "reward":
            if not isinstance(reward, RewardModel):
                raise NotApplicable("value_start=reward needs a reward model, the reward is the teacher's")
            value_start = reward
        trained, log, result = ppo_job.ppo(
            self.work, policy, prompts, scorer, key, settings, decoding, self.seed, value_start
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
        self._in_one_process(settings.algorithm)
        if isinstance(reward, RewardModel):
            judging, key = Judging(score=reward.score), reward.digest
        else:
            channel: Channel = "score" if reward == "teacher" else "prefer"
            acts = settings.rollouts if channel == "score" else settings.prompts
            self.ledger.authorise(channel, settings.steps * acts)
            judging = (
                Judging(score=self.asking.scores)
                if channel == "score"
                else Judging(prefer=self.asking.preferences)
            )
            key = self.asking.identity(channel)
        decoding = decoding or self.rollout_decoding
        trained, log, result = trl_jobs.online(
            self.work, policy, prompts, judging, key, settings, decoding, self.seed
        )
        self._charge(result)
        return trained, log

    def _in_one_process(self, training: str) -> None:
        """A footnote where several were asked for and this kind of training has one."""
        if self.work.runtime.processes > 1:
            self.note(f"{training} trained in one process: training_processes is for fine-tuning and rewards")

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
        self.jobs[result.key] = result.folder.parent.name
        self.ledger.charge(result.spend)

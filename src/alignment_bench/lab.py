"""What a method may use: metered feedback, jobs, its seed, its tier's training sizes, and footnotes.

A Lab holds an opaque handle and nothing else of the controller: no Key, no teacher, no test prompt, no
ledger can be reached from it by following attributes. Every call is served, charged and stored by
`controller`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from alignment_bench import controller
from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import generator
from alignment_bench.feedback import Channel, FeedbackRecord
from alignment_bench.ledger import Spend
from alignment_bench.lessons import Taught, lessons_of
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import Kind, RewardModel
from alignment_bench.tiers import Tier
from alignment_bench.training.settings import Objective, PPOSettings, Settings
from alignment_bench.training.trl_settings import DPOSettings, KTOSettings, OnlineSettings


class Feedback:
    """The teacher, as a method sees it: five channels, each act paid before it is done.

    Every method returns one record per prompt, in order; raises OverBudget with nothing charged where the
    budget does not reach, NotApplicable where the teacher does not serve the channel.
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: str) -> None:
        self._handle = handle

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels this teacher answers afresh."""
        return controller.of(self._handle).asking.channels

    def affordable(self, channel: Channel) -> int:
        """How many acts on the channel the remaining budget pays for."""
        return controller.of(self._handle).asking.affordable(channel)

    def critique(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[FeedbackRecord]:
        """Words about one completion of each prompt."""
        return self._ask("critique", prompts, [[c] for c in completions])

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[FeedbackRecord]:
        """A number for one completion of each prompt, on the teacher's scale."""
        return self._ask("score", prompts, [[c] for c in completions])

    def prefer(
        self, prompts: Sequence[Prompt], first: Sequence[Completion], second: Sequence[Completion]
    ) -> list[FeedbackRecord]:
        """Which of two completions of each prompt is better."""
        return self._ask("prefer", prompts, [[a, b] for a, b in zip(first, second, strict=True)])

    def demonstrate(self, prompts: Sequence[Prompt]) -> list[FeedbackRecord]:
        """A written answer to each prompt."""
        return self._ask("demonstrate", prompts, [[] for _ in prompts])

    def refine(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[FeedbackRecord]:
        """An improved version of one completion of each prompt, written by the teacher."""
        return self._ask("refine", prompts, [[c] for c in completions])

    def review(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        channels: Sequence[Channel] = ("critique", "score", "refine"),
    ) -> list[dict[Channel, FeedbackRecord]]:
        """Several channels about one completion of each prompt, in one go.

        People are paid for every channel, a machine for one call a completion.
        """
        texts = [(c.text,) for c in completions]
        return controller.of(self._handle).asking.review(tuple(channels), list(prompts), texts)

    def affordable_reviews(self, channels: Sequence[Channel] = ("critique", "score", "refine")) -> int:
        """How many reviews on these channels the remaining budget pays for."""
        return controller.of(self._handle).asking.ledger.affordable_reviews(channels)

    def recorded(
        self, *channels: Channel, most: int | None = None, prompts: Sequence[Prompt] | None = None
    ) -> list[FeedbackRecord]:
        """What was collected before on the training prompts, at the price of fresh answers.

        Of these channels (none named: all), on these prompts (None: all) and no more than `most`; in the
        data's order, as far as the budget reaches, and only that is paid.
        """
        return controller.of(self._handle).asking.recorded(channels, most, prompts)

    def _ask(
        self, channel: Channel, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]
    ) -> list[FeedbackRecord]:
        texts = [tuple(c.text for c in shown) for shown in completions]
        return controller.of(self._handle).asking.ask(channel, list(prompts), texts)


class Lab:
    """The jobs a method may run. Results are stored by content: asking again costs the same and no time."""

    __slots__ = ("_handle", "feedback", "seed")

    def __init__(self, handle: str, seed: int) -> None:
        self._handle = handle
        self.seed = seed
        self.feedback = Feedback(handle)

    @property
    def spent(self) -> Spend:
        """What the method has spent so far."""
        return controller.of(self._handle).ledger.spent

    @property
    def base(self) -> LogitPolicy:
        """The unaligned base of the cell, whatever alignment starts from."""
        return controller.of(self._handle).base

    @property
    def tier(self) -> Tier:
        """Training sizes that suit the model."""
        return controller.of(self._handle).tier

    @property
    def decoding(self) -> Decoding:
        """How rollouts are drawn unless a call says otherwise: temperature 1, no truncation."""
        return controller.of(self._handle).rollout_decoding

    def random(self, *names: str | int) -> np.random.Generator:
        """A random stream of this seed, named by its purpose; methods that name alike draw alike."""
        return generator("method", self.seed, *names)

    def note(self, text: str) -> None:
        """A footnote of the method's row: whatever was measured, dropped or approximated on the way."""
        controller.of(self._handle).note(text)

    def measure(self, name: str, value: float) -> None:
        """A number the method measured of itself, stored beside the footnotes; the last of a name counts."""
        controller.of(self._handle).measure(name, value)

    def settings(
        self,
        *,
        learning_rate: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        purpose: Literal["finetune", "reward"] = "finetune",
    ) -> Settings:
        """Training settings: the given values, and the tier's where None."""
        tier = self.tier
        reward = purpose == "reward"
        rate = tier.reward_learning_rate if reward else tier.learning_rate
        return Settings(
            learning_rate=rate if learning_rate is None else learning_rate,
            epochs=(tier.reward_epochs if reward else tier.epochs) if epochs is None else epochs,
            batch_size=tier.batch_size if batch_size is None else batch_size,
            micro_batch=tier.micro_batch,
            lora_rank=tier.lora_rank,
            bf16=tier.bf16,
        )

    def sample(
        self,
        policy: Policy,
        prompts: Sequence[Prompt],
        *,
        n: int = 1,
        decoding: Decoding | None = None,
        stream: str = "rollouts",
    ) -> list[list[Completion]]:
        """`n` completions a prompt. Methods of one seed that name the same `stream` draw the same numbers."""
        return controller.of(self._handle).sample(policy, prompts, n, decoding, stream)

    def logprobs(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[list[float]]:
        """Natural-log probability of every token of each completion."""
        return controller.of(self._handle).logprobs(policy, prompts, completions)

    def answer_probabilities(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> list[list[float]]:
        """Probability of each single-token answer right after each prompt."""
        return controller.of(self._handle).answer_probabilities(policy, prompts, answers)

    def finetune(
        self,
        policy: LogitPolicy,
        rows: Sequence[Taught],
        settings: Settings,
        objective: Objective | None = None,
        reference: LogitPolicy | None = None,
        plain_texts: Sequence[str] = (),
    ) -> LogitPolicy:
        """The policy after supervised fine-tuning on the completions' tokens.

        `reference` is who the objective's KL penalty holds it to, `plain_texts` what its language-model
        loss is on; see `Objective`.
        """
        return controller.of(self._handle).finetune(
            policy, lessons_of(rows), settings, objective or Objective(), reference, plain_texts
        )

    def unlabelled(self, n: int) -> list[str]:
        """`n` texts like those the base was pretrained on where they are known (shipped models), else
        training prompts; which of the two is a footnote."""
        return controller.of(self._handle).unlabelled(n)

    def condition(self, policy: LogitPolicy, layout: str, **slots: str) -> LogitPolicy:
        """The policy behind a prefix: it reads plain prompts in `layout` with these slots."""
        return controller.of(self._handle).condition(policy, layout, slots)

    def settle(self, policy: LogitPolicy, phrases: Sequence[str]) -> LogitPolicy:
        """The policy with fresh embeddings for those words of the phrases that it never trained on.

        Drawn like the embeddings of its descriptive words; the policy itself where there are no such
        words, as in every model but the shipped ones.
        """
        return controller.of(self._handle).settle(policy, phrases)

    def dpo(
        self,
        policy: LogitPolicy,
        pairs: Sequence[tuple[Prompt, Completion, Completion]],
        settings: DPOSettings,
    ) -> LogitPolicy:
        """The policy after DPO on (prompt, preferred, other); it is its own reference."""
        return controller.of(self._handle).dpo(policy, pairs, settings)

    def kto(
        self, policy: LogitPolicy, rows: Sequence[tuple[Prompt, Completion, bool]], settings: KTOSettings
    ) -> LogitPolicy:
        """The policy after KTO on (prompt, completion, desirable); it is its own reference."""
        return controller.of(self._handle).kto(policy, rows, settings)

    def online(
        self,
        policy: LogitPolicy,
        prompts: Sequence[Prompt],
        reward: RewardModel | Literal["teacher", "preferences"],
        settings: OnlineSettings,
        decoding: Decoding | None = None,
    ) -> tuple[LogitPolicy, list[dict[str, float]]]:
        """The policy after online DPO, GRPO or RLOO (`settings` says which), and one row a step.

        Rollouts are judged by a reward model, by the teacher's score of each (`teacher`), or, in pairs, by
        its comparison of the two (`preferences`).
        """
        return controller.of(self._handle).online(policy, prompts, reward, settings, decoding)

    def reward_model(
        self, policy: LogitPolicy, prompts: Sequence[Prompt], *, kind: Kind, share: float = 1.0
    ) -> RewardModel:
        """A reward model from comparisons of the policy's own samples, bought with `share` of what remains.

        Its held-out accuracy becomes a footnote. Methods that ask alike share it within a seed.
        """
        return controller.of(self._handle).buy_reward_model(policy, prompts, kind, share, self)

    def rewards(
        self, model: RewardModel, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[float]:
        """Normalised reward of each completion: mean 0 and spread 1 on the samples it was trained on."""
        return controller.of(self._handle).rewards(model, prompts, completions)

    def ppo(
        self,
        policy: LogitPolicy,
        prompts: Sequence[Prompt],
        reward: RewardModel | Literal["teacher"],
        settings: PPOSettings,
        decoding: Decoding | None = None,
    ) -> tuple[LogitPolicy, list[dict[str, float]]]:
        """The policy after PPO, and one row of diagnostics per iteration."""
        return controller.of(self._handle).ppo(policy, prompts, reward, settings, decoding)

    def copy(self, policy: LogitPolicy, stream: str) -> LogitPolicy:
        """The same weights through the whole save-and-load path, sampled from a stream of their own."""
        return controller.of(self._handle).copy(policy, stream)

    def wrap(
        self, kind: str, settings: Mapping[str, Any], parts: Mapping[str, Policy | RewardModel]
    ) -> Policy:
        """A decode-time policy that the method plugin `kind` restores from its settings and parts."""
        return controller.of(self._handle).wrap(kind, settings, parts)

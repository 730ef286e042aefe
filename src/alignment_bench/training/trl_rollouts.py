"""Rollouts for trl's online trainers, drawn and judged by our own code.

trl's trainers put text to a tokenizer and sample with transformers.generate. Neither gives our ids: a
prompt is what `policy.render` makes of it, a completion what was sampled. So the trainers are given names
of places in a plan instead of prompts, and come here for ids, completions and rewards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, generator
from alignment_bench.errors import BenchError
from alignment_bench.models.loading import make_room
from alignment_bench.prompts import Prompt
from alignment_bench.training.trl_settings import OnlineSettings

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy

Scorer = Callable[[Sequence[Prompt], Sequence[Completion]], Sequence[float]]
Labeller = Callable[[Sequence[Prompt], Sequence[Completion], Sequence[Completion]], Sequence[float]]
"""(prompts, first, second) -> 1 where the first is better, 0 the second, .5 neither"""


@dataclass(frozen=True, slots=True)
class Judging:
    """Who judges rollouts: `score` each alone, or `prefer` one of two; exactly one of them is given."""

    score: Scorer | None = None
    prefer: Labeller | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """One rollout: the prompt's ids, the completion as sampled, and what it is worth."""

    prompt: tuple[int, ...]
    completion: Completion
    reward: float


class Rollouts:
    """The rollouts of a whole training, drawn step by step; places are numbered through, `prompts` a step."""

    def __init__(
        self,
        start: ModelPolicy,
        prompts: Sequence[Prompt],
        settings: OnlineSettings,
        decoding: Decoding,
        judging: Judging,
        seed: int,
    ) -> None:
        self.start = start
        self.settings = settings
        self.decoding = decoding
        self.judging = judging
        self.log: list[dict[str, float]] = []
        """one row a step: mean reward, share that ended, tokens"""
        self._prompts = prompts
        self._seed = seed
        self._order = generator("online prompts", seed).permutation(len(prompts))
        self._step = -1
        self._groups: list[list[Drawn]] = []
        self._last: list[Drawn] = []

    def names(self) -> list[str]:
        """The places of the plan in order, as the trainers' dataset."""
        return [str(place) for place in range(self.settings.steps * self.settings.prompts)]

    def take(self, model: Any, names: Sequence[str]) -> list[Drawn]:
        """The rollouts of these places, group after group; `model` draws those of a new step.

        A name may be repeated, as trainers do, once for each of its rollouts.
        """
        places = list(dict.fromkeys(int(name) for name in names))
        steps = {place // self.settings.prompts for place in places}
        if len(steps) != 1:
            raise BenchError(f"places {places} belong to several steps")
        if (step := steps.pop()) != self._step:
            self._draw(model, step)
        first = step * self.settings.prompts
        self._last = [drawn for place in places for drawn in self._groups[place - first]]
        return self._last

    def reward(self, *, completion_ids: Sequence[Sequence[int]], **rest: Any) -> list[float]:
        """The rewards of what was last taken, in the order of `completion_ids` (a trl reward function)."""
        if [list(ids) for ids in completion_ids] != [list(d.completion.tokens) for d in self._last]:
            raise BenchError("the trainer asks for rewards of other completions than it was given")
        return [drawn.reward for drawn in self._last]

    def regroup(self, drawn: Sequence[Drawn]) -> None:
        """Tells the order in which a trainer laid out what it took."""
        self._last = list(drawn)

    def _draw(self, model: Any, step: int) -> None:
        settings = self.settings
        first = step * settings.prompts
        places = range(first, first + settings.prompts)
        chosen = [self._prompts[int(self._order[place % len(self._order)])] for place in places]
        # A prompt that occurs k times gets k groups of its own, not k copies of one.
        times = Counter(prompt.id for prompt in chosen)
        distinct = list({prompt.id: prompt for prompt in chosen}.values())
        model.eval()
        lists = self.start.generate_with(
            model,
            distinct,
            n=max(times.values()) * settings.group,
            decoding=self.decoding,
            seed=derive_seed("online", self._seed, step),
        )
        model.train()
        make_room(self.start.n_parameters)  # the sampler's copy and cache go before the reward model comes
        fresh = {prompt.id: iter(row) for prompt, row in zip(distinct, lists, strict=True)}
        groups = [[next(fresh[prompt.id]) for _ in range(settings.group)] for prompt in chosen]
        self._step = step
        ids = [tuple(self.start.render(prompt)) for prompt in chosen]
        judged = self._preferred(chosen, groups) if self.judging.prefer else self._scored(chosen, groups)
        make_room(self.start.n_parameters)
        self._groups = [[Drawn(row, c, r) for c, r in group] for row, group in zip(ids, judged, strict=True)]

    def _scored(
        self, prompts: Sequence[Prompt], groups: Sequence[Sequence[Completion]]
    ) -> list[list[tuple[Completion, float]]]:
        assert self.judging.score is not None
        flat = [(prompt, c) for prompt, group in zip(prompts, groups, strict=True) for c in group]
        scores = list(self.judging.score([p for p, _ in flat], [c for _, c in flat]))
        self._note([c for _, c in flat], reward=sum(scores) / len(scores))
        missing = self.settings.missing_eos_score
        worth = iter(s if c.end != "length" else missing for (_, c), s in zip(flat, scores, strict=True))
        return [[(c, float(next(worth))) for c in group] for group in groups]

    def _preferred(
        self, prompts: Sequence[Prompt], groups: Sequence[Sequence[Completion]]
    ) -> list[list[tuple[Completion, float]]]:
        """Pairs worth 1 and 0, or .5 each where there is no label; equal texts are not sent for one."""
        assert self.judging.prefer is not None
        asked = [i for i, (first, second) in enumerate(groups) if first.text != second.text]
        labels = [0.5] * len(groups)
        if asked:
            found = self.judging.prefer(
                [prompts[i] for i in asked], [groups[i][0] for i in asked], [groups[i][1] for i in asked]
            )
            for i, label in zip(asked, found, strict=True):
                labels[i] = label
        self._note(
            [c for group in groups for c in group],
            labelled=sum(label != 0.5 for label in labels) / len(labels),
        )
        return [
            [(first, label), (second, 1.0 - label)]
            for (first, second), label in zip(groups, labels, strict=True)
        ]

    def _note(self, completions: Sequence[Completion], **values: float) -> None:
        ended = sum(c.end != "length" for c in completions) / len(completions)
        tokens = sum(len(c.tokens) for c in completions) / len(completions)
        self.log.append({**values, "ended": ended, "tokens": tokens})

"""Who labels samples in words: the annotators themselves, or a critic model that learnt from them.

A critic is the policy fine-tuned to write, in layout `critique`, the label of an answer: a category, or a
score and a sentence. It answers greedily and is taken at its word: what is not exactly a label is no label.
It learns from bought feedback alone, and nine tenths of that; the rest measures its agreement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from alignment_bench.completions import Completion
from alignment_bench.errors import NotApplicable, OverBudget
from alignment_bench.feedback import Channel
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.techniques.critiques import to_criticise
from alignment_bench.techniques.levels import NUMBERS, Bins, exemplars
from alignment_bench.techniques.pools import Sample
from alignment_bench.training.settings import Settings

if TYPE_CHECKING:
    from alignment_bench.lab import Lab

Style = Literal["category", "sentence"]


class Labeller(Protocol):
    """Who judges samples."""

    @property
    def exemplars(self) -> tuple[str, ...]:
        """One condition a level, the worst first; known once samples were judged."""

    def samples(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], number: int, lab: Lab
    ) -> list[Sample]:
        """The answers of round `number` that could be judged, with score, or level and condition."""


@dataclass(frozen=True)
class Scored:
    """Judges by numbers, None where there is none; levels are then quantiles of the pool."""

    exemplars: tuple[str, ...]
    scorer: Callable[[Sequence[Prompt], Sequence[Completion]], Sequence[float | None]]

    def samples(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], number: int, lab: Lab
    ) -> list[Sample]:
        """The answers that got a number, with it."""
        judged = zip(prompts, completions, self.scorer(prompts, completions), strict=True)
        found = [Sample(p, c, number, score) for p, c, score in judged if score is not None]
        if len(found) < len(prompts):
            lab.note(
                f"round {number + 1}: {len(prompts) - len(found)} of {len(prompts)} answers got no score"
            )
        if not found:
            raise NotApplicable(f"round {number + 1}: none of {len(prompts)} answers got a score")
        return found


@dataclass(frozen=True, slots=True)
class Review:
    """What annotators said of one answer."""

    prompt: Prompt
    completion: Completion
    score: float
    critique: str = ""


@dataclass(frozen=True)
class Labels:
    """How reviews become levels and conditions.

    In style `category` the condition is the level's phrase, in style `sentence` the critique itself.
    """

    style: Style
    phrases: tuple[str, ...]
    """the levels in words, the worst first; in style sentence what a critic says before its sentence"""
    bins: Bins
    exemplars: tuple[str, ...]
    """one condition a level"""

    @staticmethod
    def of(reviews: Sequence[Review], style: Style, phrases: Sequence[str]) -> Labels:
        """Labels whose bins the reviews fill evenly."""
        bins = Bins.of([r.score for r in reviews], len(phrases))
        examples = tuple(phrases)
        if style == "sentence":
            levels = [bins.level(r.score) for r in reviews]
            texts, scores = [r.critique for r in reviews], [r.score for r in reviews]
            examples = exemplars(texts, scores, levels, len(phrases))
        return Labels(style, tuple(phrases), bins, examples)

    def sample(self, review: Review, number: int) -> Sample:
        """The reviewed answer with its level and condition."""
        level = self.bins.level(review.score)
        condition = review.critique if self.style == "sentence" else self.phrases[level - 1]
        return Sample(review.prompt, review.completion, number, review.score, level, condition)

    def written(self, review: Review) -> str:
        """What a critic is taught to write about the answer."""
        phrase = self.phrases[self.bins.level(review.score) - 1]
        return f"{phrase}. {review.critique}" if self.style == "sentence" else phrase

    def heard(self, completion: Completion) -> tuple[int, str] | None:
        """What `read` finds, None in a text that was cut off: half a sentence is no condition to learn."""
        return None if completion.end == "length" else self.read(completion.text)

    def read(self, text: str) -> tuple[int, str] | None:
        """Level and condition in what a critic wrote; None where it is not exactly a label."""
        phrase, rest = text.strip(), ""
        if self.style == "sentence":
            phrase, _, rest = phrase.partition(". ")
            if not rest.strip():
                return None
        for level, known in enumerate(self.phrases, start=1):
            if phrase.casefold() == known.casefold():
                return level, rest.strip() if self.style == "sentence" else known
        return None


def score_phrases(levels: int) -> tuple[str, ...]:
    """What a critic writes before its sentence: "score one" is the worst."""
    return tuple(f"score {word}" for word in NUMBERS[:levels])


def channels_of(style: Style) -> tuple[Channel, ...]:
    """What is bought of each answer: a number, and in style sentence words as well."""
    return ("critique", "score") if style == "sentence" else ("score",)


def reviewed(
    prompts: Sequence[Prompt], completions: Sequence[Completion], style: Style, lab: Lab
) -> list[Review]:
    """Reviews bought of these answers; those without a usable number, or words where needed, are dropped."""
    channels = channels_of(style)
    found = []
    for prompt, completion, records in zip(
        prompts, completions, lab.feedback.review(prompts, completions, channels), strict=True
    ):
        words = records["critique"].text if "critique" in channels else ""
        value = records["score"].value
        if value is None or words is None or not all(record.ok for record in records.values()):
            continue
        if style == "sentence" and not words.strip():
            continue
        found.append(Review(prompt, completion, value, words.strip()))
    if len(found) < len(prompts):
        lab.note(f"{len(prompts) - len(found)} of {len(prompts)} reviews were unusable")
    if not found:
        raise NotApplicable("the teacher gave no usable review")
    return found


def bought_reviews(policy: LogitPolicy, prompts: Sequence[Prompt], style: Style, lab: Lab) -> list[Review]:
    """Reviews of the policy's own samples, as many as the budget pays for, spread over all prompts."""
    wanted = lab.feedback.affordable_reviews(channels_of(style))
    if wanted < 1:
        raise OverBudget("the budget does not pay for a single review: raise budget=")
    order = [prompts[int(i)] for i in lab.random("reviews").permutation(len(prompts))]
    each = -(-wanted // len(order))
    drawn = lab.sample(policy, order[:wanted], n=each, stream="reviews")
    flat = [(p, row[turn]) for turn in range(each) for p, row in zip(order, drawn, strict=False)][:wanted]
    return reviewed([p for p, _ in flat], [c for _, c in flat], style, lab)


def scored_by_hand(
    prompts: Sequence[Prompt], completions: Sequence[Completion], lab: Lab
) -> list[float | None]:
    """The annotators' number for each answer, bought."""
    return [record.value if record.ok else None for record in lab.feedback.score(prompts, completions)]


@dataclass
class ByHand:
    """Annotators: every label is bought; the first round's numbers say where levels begin."""

    style: Style
    phrases: tuple[str, ...]
    labels: Labels | None = None

    @property
    def exemplars(self) -> tuple[str, ...]:
        """Those of the labels."""
        return self.phrases if self.labels is None else self.labels.exemplars

    def samples(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], number: int, lab: Lab
    ) -> list[Sample]:
        """The answers whose review was usable."""
        reviews = reviewed(prompts, completions, self.style, lab)
        self.labels = self.labels or Labels.of(reviews, self.style, self.phrases)
        return [self.labels.sample(review, number) for review in reviews]


@dataclass(frozen=True)
class Critic:
    """A trained critic and the labels it writes."""

    policy: LogitPolicy
    labels: Labels
    max_tokens: int

    @property
    def exemplars(self) -> tuple[str, ...]:
        """Those of the labels."""
        return self.labels.exemplars

    @staticmethod
    def trained(
        start: LogitPolicy, reviews: Sequence[Review], labels: Labels, settings: Settings, lab: Lab
    ) -> Critic:
        """A critic fine-tuned from `start` on nine tenths of the reviews; the rest measures its agreement."""
        order = [reviews[int(i)] for i in lab.random("critic").permutation(len(reviews))]
        held = order[: len(order) // 10]
        rows = [
            (to_criticise(r.prompt, r.completion), start.encode(labels.written(r), "critique"))
            for r in order[len(held) :]
        ]
        longest = max(len(completion.tokens) for _, completion in rows)
        critic = Critic(lab.finetune(start, rows, settings), labels, longest)
        told = f"critic: {len(rows)} reviews"
        if held:
            found = critic.said([r.prompt for r in held], [r.completion for r in held], lab)
            right = sum(
                said is not None and said[0] == labels.bins.level(r.score)
                for said, r in zip(found, held, strict=True)
            )
            lab.measure("critic_agreement", right / len(held))
            told += f", names the annotators' level for {right / len(held):.2f} of {len(held)} held out"
        lab.note(told)
        return critic

    def said(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], lab: Lab
    ) -> list[tuple[int, str] | None]:
        """Level and condition of each answer, None where the critic wrote no label or did not end it."""
        shown = [to_criticise(p, c) for p, c in zip(prompts, completions, strict=True)]
        greedy = replace(lab.decoding, temperature=0.0, top_p=1.0, top_k=0, max_tokens=self.max_tokens)
        wrote = [row[0] for row in lab.sample(self.policy, shown, decoding=greedy, stream="critic")]
        return [self.labels.heard(one) for one in wrote]

    def samples(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], number: int, lab: Lab
    ) -> list[Sample]:
        """The answers that got a label, with it."""
        found = [
            Sample(prompt, completion, number, level=said[0], condition=said[1])
            for prompt, completion, said in zip(
                prompts, completions, self.said(prompts, completions, lab), strict=True
            )
            if said is not None
        ]
        if len(found) < len(prompts):
            lost = len(prompts) - len(found)
            lab.note(f"round {number + 1}: {lost} of {len(prompts)} labels were unreadable")
        if not found:
            raise NotApplicable("the critic wrote no readable label: more budget, or labels=hand")
        return found

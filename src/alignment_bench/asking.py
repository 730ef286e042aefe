"""A cell's teacher: every answer paid before it is asked for, stored as a job, and the same for all who ask.

Keys come in here and nowhere else: a question names a training prompt, and what the teacher gets with it is
looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

from alignment_bench.budgets import price
from alignment_bench.completions import Completion
from alignment_bench.digests import derive_seed, digest
from alignment_bench.errors import BenchError, NotApplicable
from alignment_bench.feedback import COMPLETIONS_SHOWN, Ask, Channel, FeedbackRecord, Reviewing, Teacher
from alignment_bench.hosting import Billing
from alignment_bench.job_keys import digest_prompts
from alignment_bench.jobs import JobResult, Workplace
from alignment_bench.ledger import Ledger, Spend, current_spend, price_of_acts, report
from alignment_bench.lines import dump_lines, load_lines
from alignment_bench.prompts import Example, Prompt
from alignment_bench.work import Work


class Asking:
    """The teacher of one cell, its training examples and its account."""

    def __init__(
        self,
        work: Work,
        teacher: Teacher,
        teacher_digest: str,
        examples: Sequence[Example],
        data_digest: str,
        ledger: Ledger,
        seed: int,
        note: Callable[[str], None],
        progress: Callable[[str], None],
    ) -> None:
        self.work = work
        self.teacher = teacher
        self.teacher_digest = teacher_digest
        self.data_digest = data_digest
        self.ledger = ledger
        self.seed = seed
        self.note = note
        self.progress = progress
        self._examples: Mapping[str, Example] = {e.prompt.id: e for e in examples}
        self._unusable: dict[Channel, list[str]] = {}
        """why answers of a teacher that is a language model were of no use"""
        self._answers: dict[Channel, int] = {}
        self.jobs: dict[str, str] = {}
        """key to kind of every job charged for"""

    @property
    def texts(self) -> list[str]:
        """The training prompts' texts."""
        return [example.prompt.text for example in self._examples.values()]

    def identity(self, channel: Channel) -> str:
        """Digest of whose answers on the channel these are, about what, and what each costs."""
        paid = price(channel, self.ledger.currency)
        return digest([channel, self.teacher_digest, self.data_digest, paid])

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What the teacher answers afresh."""
        return self.teacher.channels

    def affordable(self, channel: Channel) -> int:
        """Acts on the channel that what remains pays for."""
        return self.ledger.affordable(channel)

    def ask(
        self, channel: Channel, prompts: Sequence[Prompt], texts: Sequence[tuple[str, ...]]
    ) -> list[FeedbackRecord]:
        """Answers of the teacher, charged before it is asked."""
        self.ledger.authorise(channel, len(prompts))
        records, result = self._ask(channel, prompts, texts)
        self.jobs[result.key] = "ask"
        self.ledger.charge(result.spend)
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
            self.jobs[result.key] = "ask"
            paid = channel == channels[0] or self.ledger.currency == "seconds"
            self.ledger.charge(result.spend if paid else replace(result.spend, calls=0))
            for one, record in zip(found, records, strict=True):
                one[channel] = record
        asks = [self._to_ask(channels[0], p, t) for p, t in zip(prompts, texts, strict=True)]
        self.ledger.charge(self._bill(channels, asks, in_review=True))
        return found

    def recorded(
        self,
        channels: Sequence[Channel] = (),
        most: int | None = None,
        prompts: Sequence[Prompt] | None = None,
    ) -> list[FeedbackRecord]:
        """Earlier feedback on the training examples, or on some of them, as far as the budget reaches, in a
        fixed order.

        Only what is handed out is charged. Raises BenchError where a teacher brings feedback on another
        example than it was asked about.
        """
        asked = None if prompts is None else {prompt.id for prompt in prompts}
        records: list[FeedbackRecord] = []
        for record in self.teacher.recorded(list(self._examples.values())):
            if record.prompt_id not in self._examples:
                raise BenchError(
                    f"teacher {self.teacher.name!r} has feedback on {record.prompt_id!r}, no training prompt"
                )
            if channels and record.channel not in channels:
                continue
            if asked is not None and record.prompt_id not in asked:
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
            "teacher": self.teacher_digest,
            "data": self.data_digest,
            "prompts": digest_prompts([a.prompt for a in asks]),
            "texts": digest([list(t) for t in texts]),
            "seed": self.seed,
            "price": [price(channel, self.ledger.currency), self.ledger.currency],
        }
        self.progress(f"ask {channel}")
        result = self.work.noted("ask", inputs, work)
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

    def tell(self) -> None:
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

    def preferences(
        self, prompts: Sequence[Prompt], first: Sequence[Completion], second: Sequence[Completion]
    ) -> list[float]:
        """Labels for pairs inside a job, charged with it: 1 the first, 0 the second, .5 no usable answer."""
        self.ledger.authorise("prefer", current_spend().acts.get("prefer", 0) + len(prompts))
        shown = [(a.text, b.text) for a, b in zip(first, second, strict=True)]
        records, result = self._ask("prefer", prompts, shown)
        report(replace(result.spend, seconds=0.0))  # the job around this one times itself
        worth = {"first": 1.0, "second": 0.0}
        return [worth.get(record.preference or "tie", 0.5) for record in records]

    def scores(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
        """Scores of rollouts inside a job: reported to the job's meter, which charges them with the rest."""
        self.ledger.authorise("score", current_spend().acts.get("score", 0) + len(prompts))
        records, result = self._ask("score", prompts, [(c.text,) for c in completions])
        report(replace(result.spend, seconds=0.0))  # the job around this one times itself
        if missing := [r for r in records if r.value is None]:
            raise NotApplicable(
                f"the teacher gave no number for {len(missing)} rollouts: {missing[0].reason}"
            )
        return [float(r.value) for r in records if r.value is not None]


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

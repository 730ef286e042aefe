"""A policy that does no work: it answers with completions of the kind its model would give, and counts.

What it says is borrowed: the base's answers are samples that a probe drew of it, in the same layout; a
trained policy gives what it was taught, where it was taught anything in that layout, else what its parent
gives. Its log-probabilities are noise. Lengths and counts are therefore estimates; the methods' own code,
the sizes of jobs and their keys are the real thing.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alignment_bench.completions import Completion, Decoding
from alignment_bench.costs import units
from alignment_bench.errors import BenchError
from alignment_bench.ledger import Spend, forward_cost, report
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.models.storage import FORMATTER, POLICY
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import TINY_PARAMETERS, Runtime

Pool = list[list[Completion]]
"""completions to borrow, in rows of those of one prompt"""
Draw = Callable[[Sequence[Prompt], Decoding], Pool]
"""a few samples of the base, drawn for real"""
MEASURED = 48
"""prompts of a layout whose length is measured; others count as long as these on the mean"""
ROW = 8


@dataclass
class Known:
    """Where a trained policy comes from, and what it was taught, by layout."""

    parent: str
    taught: Mapping[str, Pool]


@dataclass
class Rehearsal:
    """What all stand-ins of one dry run share."""

    base: ModelPolicy
    draw: Draw
    known: dict[str, Known] = field(default_factory=dict)
    """by digest"""
    _pools: dict[tuple[Any, ...], Pool] = field(default_factory=dict)
    _lengths: dict[str, dict[Prompt, int]] = field(default_factory=dict)
    _kept: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)

    def restore(self, folder: Path, stored: Mapping[str, Any], runtime: Runtime) -> StandIn:
        """The model stored in `folder`, real or not, as one that does no work."""
        return StandIn(self, folder, str(stored["digest"]), stored["weights"], runtime)

    def pool(self, digest: str, layout: str, prompts: Sequence[Prompt], decoding: Decoding) -> Pool:
        """What a policy of that digest gives in that layout."""
        while (known := self.known.get(digest)) is not None:
            if known.taught.get(layout):
                return known.taught[layout]
            digest = known.parent
        key = (layout, decoding.temperature, decoding.max_tokens)
        if key not in self._pools:
            drawn = self.draw([p for p in prompts if p.layout == layout], decoding)
            self._pools[key] = drawn
        return self._pools[key]

    def length(self, prompt: Prompt) -> int:
        """Its tokens: measured for the first prompts of a layout, their mean for the others."""
        seen = self._lengths.setdefault(prompt.layout, {})
        if prompt in seen:
            return seen[prompt]
        if len(seen) >= MEASURED:
            return round(sum(seen.values()) / len(seen))
        seen[prompt] = len(self.base.render(prompt))
        return seen[prompt]

    def longest(self) -> tuple[int, int]:
        """The longest prompt and completion that were seen, in tokens."""
        prompts = [length for seen in self._lengths.values() for length in seen.values()]
        drawn = [len(c.tokens) for pool in self._pools.values() for row in pool for c in row]
        return max(prompts, default=1), max(drawn, default=1)

    def in_memory(self, weights: str, dtype: str) -> None:
        """Counts a load where the model is not among the few that a process keeps."""
        from alignment_bench.models.loading import KEPT

        key = (weights, dtype)
        if key not in self._kept:
            while len(self._kept) >= KEPT:
                self._kept.popitem(last=False)
            units.count({units.LOAD: 1.0})
        self._kept[key] = None
        self._kept.move_to_end(key)

    def forget(self) -> None:
        """What `make_room` drops: every model kept, unless they are tiny."""
        if self.base.n_parameters >= TINY_PARAMETERS:
            self._kept.clear()


class StandIn(ModelPolicy):
    """A ModelPolicy without weights."""

    def __init__(
        self, rehearsal: Rehearsal, folder: Path, digest: str, weights: Any, runtime: Runtime
    ) -> None:
        base = rehearsal.base
        super().__init__(folder, base.source, weights, base.formatter, digest, runtime)
        self.rehearsal = rehearsal

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int,
        decoding: Decoding,
        seed: int,
        logprobs: bool = False,
    ) -> list[list[Completion]]:
        """Borrowed completions; sampling them is counted."""
        self._ready(self.runtime.sampling_dtype(self.n_parameters))
        draws = 1 if decoding.temperature == 0 else n
        pools = {
            layout: self.rehearsal.pool(self.digest, layout, prompts, decoding)
            for layout in {prompt.layout for prompt in prompts}
        }
        found = [_borrowed(pools[p.layout], p, draws, decoding, seed) for p in prompts]
        read = [self.rehearsal.length(prompt) for prompt in prompts]
        lengths = [[len(c.tokens) for c in row] for row in found]
        units.count(units.drawn(read, lengths, self.sample_rows))
        generated = sum(map(sum, lengths))
        flops = forward_cost(self.n_parameters, sum(read) + generated)
        report(Spend(tokens_generated=generated, flops=flops))
        return [row * (n // draws) for row in found]

    def generate_with(self, model: Any, *rest: Any, **named: Any) -> list[list[Completion]]:
        """Never: only jobs in training call it, and none is done here."""
        raise BenchError("a stand-in trains nothing")

    def logprobs(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[list[float]]:
        """Noise; scoring is counted."""
        self._scored(prompts, [len(c.tokens) for c in completions])
        return [
            [-0.1 - _noise(self.digest, p.id, c.text, p.slots)] * len(c.tokens)
            for p, c in zip(prompts, completions, strict=True)
        ]

    def kl(
        self,
        reference: LogitPolicy,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        conditioned: Sequence[Prompt] | None = None,
    ) -> list[list[float]]:
        """Noise; scoring is counted, by both policies."""
        lengths = [len(c.tokens) for c in completions]
        self._scored(conditioned or prompts, lengths)
        self._scored(prompts, lengths)
        return [[_noise(self.digest, p.id)] * n for p, n in zip(prompts, lengths, strict=True)]

    def next_token_probabilities(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> list[list[float]]:
        """Noise; scoring is counted."""
        self._scored(prompts, [0] * len(prompts))
        return [[_noise(self.digest, p.id, p.slots, a) for a in answers] for p in prompts]

    def head_scores(
        self, head: Path, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[float]:
        """Noise; reading the model and one pass are counted."""
        self.make_room()
        units.count({units.LOAD_TRAIN: 1.0})
        self._read(prompts, [len(c.tokens) for c in completions])
        return [-_noise(self.digest, p.id, c.text) for p, c in zip(prompts, completions, strict=True)]

    def scoring_model(self) -> Any:
        """Never: there are no weights."""
        raise BenchError("a stand-in has no weights")

    def make_room(self) -> None:
        """What follows counts as loaded again."""
        self.rehearsal.forget()

    def load_for_training(self, lora_rank: int = 0, seed: int = 0) -> Any:
        """Never: there are no weights."""
        raise BenchError("a stand-in has no weights")

    def _ready(self, dtype: str) -> None:
        self.rehearsal.in_memory(self.base_digest if self.weights == "base" else self.digest, dtype)

    def _scored(self, prompts: Sequence[Prompt], completions: Sequence[int]) -> None:
        self._ready("float32")
        self._read(prompts, completions)

    def _read(self, prompts: Sequence[Prompt], completions: Sequence[int]) -> None:
        read = [self.rehearsal.length(prompt) for prompt in prompts]
        distinct = len({(prompt.id, prompt.layout, prompt.slots) for prompt in prompts})
        units.count(units.scored(read, completions, distinct, self.score_rows))
        tokens = sum(read) + sum(completions)
        report(Spend(tokens_scored=tokens, flops=forward_cost(self.n_parameters, tokens)))


def store_stand_in(folder: Path, parent: ModelPolicy, digest: str, weights: str) -> None:
    """Writes what `load_policy` reads, without weights."""
    folder.mkdir(parents=True)
    (folder / FORMATTER).write_text(parent.formatter.dumps(), "utf-8")
    stored = {
        "schema": 1,
        "kind": "model",
        "base": {"name": parent.source.name, "digest": parent.source.digest},
        "weights": weights,
        "digest": digest,
        "stream": parent.stream,
    }
    (folder / POLICY).write_text(json.dumps(stored), "utf-8")


def rows_of(completions: Sequence[Completion]) -> Pool:
    """Completions of whatever prompts as a pool."""
    return [list(completions[low : low + ROW]) for low in range(0, len(completions), ROW)]


def _borrowed(pool: Pool, prompt: Prompt, n: int, decoding: Decoding, seed: int) -> list[Completion]:
    """`n` completions of one row, different ones as long as it has them; cut where the limit is shorter."""
    row = pool[_place(prompt.id) % len(pool)]
    first = _place(seed, prompt.id, prompt.slots)
    return [_cut(row[(first + k) % len(row)], decoding.max_tokens) for k in range(n)]


def _cut(completion: Completion, limit: int) -> Completion:
    if len(completion.tokens) <= limit:
        return completion
    return Completion(completion.text, completion.tokens[:limit], "length")


def _place(*parts: Any) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest())


def _noise(*parts: Any) -> float:
    """In (0, 1], the same for the same parts."""
    return (_place(*parts) + 1) / 2**64

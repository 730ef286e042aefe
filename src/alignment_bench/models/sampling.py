"""Sampling: one prefill a prompt, one uniform number a token, finished rows leave the batch.

A token is drawn by inverse CDF from one uniform number, which belongs to (seed, stream, prompt, sample
index, step) and to nothing else. Completions therefore do not depend on how prompts were batched or in
which order they came, up to the floating-point error of the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alignment_bench.completions import Completion, Decoding, End
from alignment_bench.digests import generator
from alignment_bench.models.prefill import Prefilled, extend, prefill
from alignment_bench.prompts import Prompt

Uniforms = Callable[[int, int], NDArray[np.float64]]
"""(index of the prompt, sample index) -> one number in [0, 1) for each token that may be drawn"""
NUCLEUS_GUESS = 256
"""tokens among which top-p's nucleus is looked for first"""
Decode = Callable[[Sequence[int]], str]
"""token ids -> text, special tokens left out"""


def uniforms_for(prompts: Sequence[Prompt], decoding: Decoding, seed: int, stream: str = "") -> Uniforms:
    """The random numbers of each (prompt, sample index): by the prompt's id and slots, never its place.

    Slots count, so that refining two completions of one prompt draws two independent answers; the same
    prompt given twice in one call draws the same answers twice.
    """

    def draw(index: int, sample: int) -> NDArray[np.float64]:
        prompt = prompts[index]
        slots = [part for slot in prompt.slots for part in slot]
        return generator("sample", seed, stream, prompt.id, *slots, sample).random(decoding.max_tokens)

    return draw


@dataclass
class Sampled:
    """Completions `[prompt][sample]`, and what had to be done differently (smaller batches), if anything."""

    completions: list[list[Completion]]
    notes: list[str]


def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    n: int,
    decoding: Decoding,
    uniforms: Uniforms,
    eos: Collection[int],
    decode: Decode,
    rows: int,
    logprobs: bool = False,
) -> Sampled:
    """Draws `n` completions of each prompt (token ids) from a causal model, at most `rows` rows at a time.

    With `logprobs` every completion carries its tokens' natural-log probabilities at temperature 1 without
    truncation. Where CUDA memory runs out the batch is halved and the batch repeated, which is noted.
    """
    draws = 1 if decoding.temperature == 0 else n
    rules = _Rules(decoding, eos, decode, logprobs)
    found: dict[int, list[Completion]] = {}
    notes: list[str] = []
    waiting = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    while waiting:
        batch = waiting[: max(1, rows // draws)]
        try:
            found.update(_sample_batch(model, prompts, batch, draws, uniforms, rules, rows))
        except torch.cuda.OutOfMemoryError:
            if rows == 1:
                raise
            rows //= 2
            notes.append(f"out of GPU memory: sampled with batches of {rows} rows")
            torch.cuda.empty_cache()
            continue
        waiting = waiting[len(batch) :]
    return Sampled([found[i] * (n // draws) for i in range(len(prompts))], notes)


@dataclass(frozen=True)
class _Rules:
    """How rows are drawn, how they end, and what is kept of them."""

    decoding: Decoding
    eos: Collection[int]
    decode: Decode
    logprobs: bool

    def end(self, tokens: Sequence[int]) -> End | None:
        """Whether the last of these tokens ends the completion."""
        if tokens[-1] in self.eos:
            return "eos"
        if self.decoding.stop and _stopped(tokens, self.decoding.stop, self.decode):
            return "stop"
        return None

    def completion(self, tokens: Sequence[int], logs: Sequence[float], end: End) -> Completion:
        """What was drawn, as a completion."""
        text = self.decode(tokens[:-1] if end == "eos" else tokens)
        if end == "stop":
            text = text[: min(at for stop in self.decoding.stop if (at := text.find(stop)) >= 0)]
        return Completion(text.strip(), tuple(tokens), end, tuple(logs) if self.logprobs else None)


@torch.inference_mode()
def _sample_batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    batch: Sequence[int],
    n: int,
    uniforms: Uniforms,
    rules: _Rules,
    rows: int,
) -> dict[int, list[Completion]]:
    start = prefill(model, [prompts[i] for i in batch])
    pairs = [(place, sample) for place in range(len(batch)) for sample in range(n)]
    found: dict[int, list[Completion]] = {i: [] for i in batch}
    for low in range(0, len(pairs), rows):  # more than one turn only where n exceeds the rows of a batch
        chunk = pairs[low : low + rows]
        noise = np.stack([uniforms(batch[place], sample) for place, sample in chunk])
        rollout = _Rollout(model, start, [place for place, _ in chunk], noise, rules)
        for (place, _), one in zip(chunk, rollout.run(), strict=True):
            found[batch[place]].append(one)
    return found


class _Rollout:
    """One batch of rows being drawn: the rows still alive, and what all rows have drawn so far."""

    def __init__(
        self, model: Any, start: Prefilled, places: Sequence[int], noise: NDArray[np.float64], rules: _Rules
    ) -> None:
        self.model, self.rules = model, rules
        rows = torch.tensor(places, device=start.mask.device)
        limit = rules.decoding.max_tokens
        self.cache = start.expand(rows, limit)
        room = torch.ones((len(places), limit), dtype=torch.long, device=rows.device)
        self.mask = torch.cat([start.mask[rows], room], dim=1)
        self.columns = start.mask.shape[1]
        self.padded = not bool(start.mask.all())
        self.lengths = start.lengths[rows]
        self.logits = start.logits[rows]
        self.noise = torch.from_numpy(noise).to(rows.device)
        self.rows = torch.arange(len(places), device=rows.device)  # original row of each live row

    def run(self) -> list[Completion]:
        limit = self.rules.decoding.max_tokens
        drawn: list[list[int]] = [[] for _ in range(len(self.rows))]
        logs: list[list[float]] = [[] for _ in drawn]
        ends: list[End | None] = [None] * len(drawn)
        for step in range(limit):
            ids = draw(self.logits, self.noise[:, step], self.rules.decoding)
            values = _chosen_logprobs(self.logits, ids) if self.rules.logprobs else None
            owners = self.rows.tolist()
            for place, (row, token) in enumerate(zip(owners, ids.tolist(), strict=True)):
                if ends[row] is not None:
                    continue
                drawn[row].append(token)
                if values is not None:
                    logs[row].append(values[place])
                ends[row] = self.rules.end(drawn[row])
            alive = [place for place, row in enumerate(owners) if ends[row] is None]
            if not alive or step + 1 == limit:
                break
            if len(alive) <= 0.75 * len(owners):  # copying the cache costs about as much as a step
                ids = self._keep(alive, ids)
            self._advance(ids, step)
        return [
            self.rules.completion(tokens, chances, end or "length")
            for tokens, chances, end in zip(drawn, logs, ends, strict=True)
        ]

    def _keep(self, alive: Sequence[int], ids: torch.Tensor) -> torch.Tensor:
        index = torch.tensor(alive, device=ids.device)
        self.cache.batch_select_indices(index)
        self.mask, self.lengths = self.mask[index], self.lengths[index]
        self.noise, self.rows = self.noise[index], self.rows[index]
        return ids[index]

    def _advance(self, ids: torch.Tensor, step: int) -> None:
        # Without padding no mask is needed, and attention takes its faster path.
        mask = self.mask[:, : self.columns + step + 1] if self.padded else None
        positions = (self.lengths + step)[:, None]
        self.logits = extend(self.model, self.cache, ids[:, None], mask, positions)[:, -1]


def draw(logits: torch.Tensor, uniform: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Token ids [rows] from `logits` [rows, vocabulary] by inverse CDF at `uniform` [rows] in [0, 1)."""
    if decoding.temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = truncated(logits, decoding).double()
    cdf = probabilities.cumsum(dim=-1)
    total = cdf[:, -1:]
    # Below the total even after rounding, so that some entry of the CDF lies strictly above the target;
    # the first that does has positive probability.
    target = torch.minimum(uniform[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cdf, target, right=True).squeeze(-1)


def truncated(logits: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Unnormalised probabilities [rows, vocabulary] after temperature, top-k and top-p, in that order."""
    logits = logits / decoding.temperature
    if decoding.top_k and decoding.top_k < logits.shape[-1]:
        least = logits.topk(decoding.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    probabilities = logits.softmax(dim=-1)
    if decoding.top_p >= 1:
        return probabilities
    return probabilities.masked_fill(probabilities < _least_kept(probabilities, decoding.top_p), 0.0)


def _least_kept(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The smallest probability [rows, 1] among the fewest tokens whose sum reaches `top_p`.

    Sorting a whole vocabulary costs a third of a step, so the largest few hundred are tried first; a row
    they do not cover is done again with more. Tokens that tie with the last one kept are kept as well.
    """
    width = probabilities.shape[-1]
    least = probabilities.new_zeros((len(probabilities), 1))
    rows = torch.arange(len(probabilities), device=probabilities.device)
    few = min(NUCLEUS_GUESS, width)
    while len(rows):
        top = probabilities[rows].topk(few, dim=-1).values
        reached = top.double().cumsum(dim=-1) >= top_p
        done = reached[:, -1] | (few == width)
        # Where rounding keeps the sum of all below top_p, argmax would say 0: then every token stays.
        last = torch.where(reached.any(-1), reached.int().argmax(-1), width - 1).clamp_max(few - 1)
        least[rows[done]] = top[done].gather(-1, last[done, None])
        rows, few = rows[~done], min(16 * few, width)
    return least


def _chosen_logprobs(logits: torch.Tensor, ids: torch.Tensor) -> list[float]:
    values: list[float] = logits.log_softmax(dim=-1).gather(-1, ids[:, None]).squeeze(-1).tolist()
    return values


def _stopped(tokens: Sequence[int], stops: Sequence[str], decode: Decode) -> bool:
    # A stop string of k characters cannot span more than 4k tokens, as each carries at least one byte.
    window = 4 * max(len(stop) for stop in stops) + 4
    tail = decode(tokens[-window:])
    return any(stop in tail for stop in stops) and any(stop in decode(tokens) for stop in stops)

"""A policy's model as a reader and writer of plain text: no layout, no condition, no chat template.

For what is asked of a language model rather than of an aligned policy: the likelihood of a text, and the
tasks of other harnesses, which bring their own prompts. Nothing here is charged to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from typing import Any

from alignment_bench.completions import Completion, Decoding
from alignment_bench.formatter import begin
from alignment_bench.models.conditioned import ConditionedPolicy
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.policy import Policy
from alignment_bench.prompts import Prompt


class Reader:
    """One model policy's weights and tokenizer. Contexts and continuations that are longer than the model's
    positions lose their start."""

    def __init__(self, policy: ModelPolicy) -> None:
        self._policy = policy
        self._model = policy.scoring_model()
        limit = getattr(self._model.config, "max_position_embeddings", None)
        self.room = int(limit) if limit else 2048
        """tokens of context and continuation together"""

    @property
    def prefix(self) -> int:
        """The token put before a text that has no context: beginning-of-text, or the end of a text."""
        first = self.tokenizer.bos_token_id
        return int(self.tokenizer.eos_token_id if first is None else first)

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self._policy.tokenizer

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without any special token."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def continued(self, context: str, rest: str) -> tuple[list[int], list[int]]:
        """Token ids of a context and of what follows it, encoded as one text and cut where the context ends;
        white space between them counts as the rest's."""
        bare = context.rstrip()
        rest, context = context[len(bare) :] + rest, bare
        before = self.encode(context)
        return begin(self.tokenizer) + before, self.encode(context + rest)[len(before) :]

    def nll(self, texts: Sequence[str]) -> list[float]:
        """Negative log-likelihood of each text in nats per token, given its first token; nan for a text of
        fewer than two tokens. Of a text without room only the first `room` tokens are read."""
        ids = [self.encode(text)[: self.room] for text in texts]
        scored = self.score([(row[:1], row[1:]) for row in ids if len(row) > 1])
        values = iter(-sum(logprobs) / len(logprobs) for logprobs, _ in scored)
        return [next(values) if len(row) > 1 else nan for row in ids]

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[list[float], bool]]:
        """For each context and continuation: the log-probability of every token of the continuation in fp32,
        and whether each of them is the likeliest there. An empty continuation has none, and is."""
        import torch

        from alignment_bench.models.fitting import fitting
        from alignment_bench.models.scoring import Block, batches, block, chosen_logprobs

        contexts, rests = [], []
        for context, rest in pairs:
            kept = list(rest)[-(self.room - 1) :]
            before = list(context) or [self.prefix]
            contexts.append(before[-(self.room - len(kept)) :])
            rests.append(kept)
        found: list[tuple[list[float], bool]] = [([], True) for _ in pairs]

        def read(part: Sequence[int]) -> Block:
            return block(self._model, contexts, rests, part)

        for _, scored in fitting(batches(contexts, rests, self._policy.score_rows), read):
            targets = scored.targets(rests)
            likeliest = torch.cat([logits.argmax(dim=-1) for logits in scored.slices()])
            greedy = dict(scored.split((likeliest == targets).float()))
            for place, values in scored.split(chosen_logprobs(scored, targets)):
                found[place] = (values, all(one == 1 for one in greedy[place]))
        return found

    def write(self, contexts: Sequence[str], decoding: Decoding, seed: int = 0) -> list[str]:
        """One continuation of each context, without what stops it; random numbers belong to its place."""
        from alignment_bench.models.sampling import sample, uniforms_for

        decoding = replace(decoding, max_tokens=min(decoding.max_tokens, self.room - 1))
        opened = [(begin(self.tokenizer) + self.encode(one)) or [self.prefix] for one in contexts]
        ids = [row[-(self.room - decoding.max_tokens) :] for row in opened]
        places = [Prompt(str(place), ()) for place in range(len(ids))]
        drawn = sample(
            self._model,
            ids,
            n=1,
            decoding=decoding,
            uniforms=uniforms_for(places, decoding, seed),
            eos=self._policy.eos,
            decode=self._policy.decode,
            rows=self._policy.sample_rows,
        )
        return [_kept(self._policy, row[0], decoding.stop) for row in drawn.completions]


def _kept(policy: ModelPolicy, drawn: Completion, stops: Sequence[str]) -> str:
    """What was written, its white space included, up to the first stop."""
    text = policy.decode(drawn.tokens[:-1] if drawn.end == "eos" else drawn.tokens)
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def reader_of(policy: Policy | Any) -> Reader | None:
    """The reader of a policy with weights of its own, its condition put aside; None for any other wrapper."""
    if isinstance(policy, ConditionedPolicy):
        policy = policy.inner
    return Reader(policy) if isinstance(policy, ModelPolicy) else None

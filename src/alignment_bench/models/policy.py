"""`ModelPolicy`: a causal language model, a formatter and a sampling stream, stored in a folder.

`policy.json` refers to the base by name and digest; weights lie beside it (`model.safetensors`, or a LoRA
adapter), or nowhere for the unaligned base itself. Models are loaded when first needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from alignment_bench.completions import Completion, Decoding
from alignment_bench.errors import NotApplicable
from alignment_bench.formatter import Formatter
from alignment_bench.incidents import tell
from alignment_bench.ledger import Spend, forward_cost, report
from alignment_bench.models.catalog import ModelSource
from alignment_bench.models.token_ids import final_id, single_ids
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import Runtime, batch_rows

Weights = Literal["full", "adapter", "base"]


@runtime_checkable
class HasLogits(Protocol):
    """A policy whose full next-token distributions can be read, batch by batch."""

    @property
    def base_digest(self) -> str:
        """Digest of the unaligned base; policies of one base share a vocabulary."""

    def render(self, prompt: Prompt) -> list[int]:
        """Token ids of the prompt."""

    def scoring_model(self) -> Any:
        """The float32 model."""


class ModelPolicy:
    """A LogitPolicy with weights. Made by `storage.base_policy`, `storage.save_policy` and `load_policy`."""

    def __init__(
        self,
        folder: Path,
        source: ModelSource,
        weights: Weights,
        formatter: Formatter,
        digest: str,
        runtime: Runtime,
        stream: str = "",
    ) -> None:
        """A policy stored in `folder`, whose `source` is its unaligned base. Loads nothing yet."""
        self.folder = folder
        self.source = source
        self.weights: Weights = weights
        self.formatter = formatter
        self.digest = digest
        self.runtime = runtime
        self.stream = stream
        self.notes: list[str] = []
        """what went otherwise than planned: smaller batches after running out of memory"""

    @property
    def base_digest(self) -> str:
        """Digest of the unaligned base's files."""
        return self.source.digest

    @property
    def n_parameters(self) -> int:
        """Weights of the base."""
        return self.source.parameters

    @property
    def device(self) -> str:
        """Where its models run."""
        return self.runtime.device

    def on(self, device: str) -> ModelPolicy:
        """This policy, running on another device."""
        if device == self.device:
            return self
        runtime = replace(self.runtime, device=device)
        return ModelPolicy(
            self.folder, self.source, self.weights, self.formatter, self.digest, runtime, self.stream
        )

    @property
    def sample_rows(self) -> int:
        """Sequences in one batch of sampling."""
        return batch_rows(self.n_parameters, "sample", self.device)

    @property
    def score_rows(self) -> int:
        """Sequences in one batch of scoring."""
        return batch_rows(self.n_parameters, "score", self.device)

    @property
    def tokenizer(self) -> Any:
        """The base's tokenizer."""
        from alignment_bench.models.loading import tokenizer

        return tokenizer(self.source.located, self.runtime.trust)

    @property
    def eos(self) -> frozenset[int]:
        """Ids that end an answer: the tokenizer's and the generation configuration's."""
        from alignment_bench.models.storage import stored_eos

        own = self.tokenizer.eos_token_id
        return stored_eos(self.source.located) | ({own} if own is not None else frozenset())

    @property
    def pad(self) -> int:
        """The id that fills batches under the mask."""
        own = self.tokenizer.pad_token_id
        return int(own) if own is not None else min(self.eos)

    def render(self, prompt: Prompt) -> list[int]:
        """Token ids of the prompt, ready for the answer's first token."""
        return self.formatter.render(self.tokenizer, prompt)[0]

    def truncated(self, prompts: Sequence[Prompt]) -> int:
        """How many of these prompts lose part of their text to the formatter's limit."""
        return sum(self.formatter.render(self.tokenizer, prompt)[1] for prompt in prompts)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of token ids, special tokens left out, white space as it is."""
        text: str = self.tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def plain_ids(self, text: str) -> list[int]:
        """Token ids of a text that answers nothing, after the beginning-of-text token where there is one;
        cut at the formatter's limit for prompts."""
        from alignment_bench.formatter import begin

        ids = begin(self.tokenizer) + list(self.tokenizer.encode(text, add_special_tokens=False))
        return ids[: self.formatter.max_prompt_tokens or None]

    def word_id(self, word: str) -> int:
        """Id of a word that is a single token. Raises BadInput where it is not."""
        return single_ids(self.tokenizer, [word])[0]

    def encode(self, text: str, layout: str = "answer") -> Completion:
        """A written answer as a completion: as it would follow that layout, with end-of-sequence."""
        text = text.strip()
        ids = self.formatter.continuation(self.tokenizer, text, layout)
        final = final_id(self.tokenizer, self.eos, self.formatter.kind == "chat")
        return Completion(text, (*ids, final), "eos")

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int,
        decoding: Decoding,
        seed: int,
        logprobs: bool = False,
    ) -> list[list[Completion]]:
        """`n` completions for each prompt; with `logprobs` each carries those of its tokens.

        Random numbers belong to (seed, stream, prompt id and slots, sample index): neither the order nor
        the number of prompts changes an answer.
        """
        from alignment_bench.models.drawing import draw

        return draw(self, None, prompts, n, decoding, seed, logprobs)

    def generate_with(
        self,
        model: Any,
        prompts: Sequence[Prompt],
        *,
        n: int,
        decoding: Decoding,
        seed: int,
        logprobs: bool = False,
    ) -> list[list[Completion]]:
        """`generate` by another model of the same tokenizer: this policy's weights in training, say.

        Where this policy samples in another precision, a converted copy of the model draws.
        """
        from alignment_bench.models.drawing import draw

        return draw(self, model, prompts, n, decoding, seed, logprobs)

    def logprobs(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[list[float]]:
        """Natural-log probability of every sampled token, at temperature 1, in float32; one list a pair."""
        from alignment_bench.models.scoring import logprobs

        ids, tokens = [self.render(p) for p in prompts], [c.tokens for c in completions]
        self._report_scored(ids, tokens)
        return logprobs(self.scoring_model(), ids, tokens, self.score_rows)

    def kl(
        self,
        reference: LogitPolicy,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        conditioned: Sequence[Prompt] | None = None,
    ) -> list[list[float]]:
        """KL(self || reference) in nats at each token, exact over the vocabulary for each sampled prefix.

        Each policy reads the prompts in its own format, this one `conditioned` where given. Raises
        NotApplicable where the reference has no readable distribution or another base.
        """
        from alignment_bench.models.fitting import fitting
        from alignment_bench.models.scoring import batches, block, divergence

        if not isinstance(reference, HasLogits) or reference.base_digest != self.base_digest:
            raise NotApplicable("KL needs two models of the same base")
        ours, tokens = [self.render(p) for p in conditioned or prompts], [c.tokens for c in completions]
        theirs = [reference.render(p) for p in prompts]
        self._report_scored(ours, tokens)
        self._report_scored(theirs, tokens)
        model, other = self.scoring_model(), reference.scoring_model()
        found: list[list[float]] = [[] for _ in ours]

        def measure(pairs: Sequence[int]) -> list[tuple[int, list[float]]]:
            first = block(model, ours, tokens, pairs)
            second = block(other, theirs, tokens, pairs)
            return list(first.split(divergence(first, second)))

        for _, measured in fitting(batches(ours, tokens, self.score_rows), measure):
            for pair, values in measured:
                found[pair] = values
        return found

    def next_token_probabilities(
        self, prompts: Sequence[Prompt], answers: Sequence[str]
    ) -> list[list[float]]:
        """Probability of each answer as the next token, one row a prompt, in float32."""
        from alignment_bench.models.scoring import next_token_probabilities

        tokens = single_ids(self.tokenizer, answers)
        ids = [self.render(p) for p in prompts]
        self._report_scored(ids, [])
        return next_token_probabilities(self.scoring_model(), ids, tokens, self.score_rows)

    def head_scores(
        self, head: Path, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[float]:
        """What the scalar head stored in that file says of each completion, on this policy's model."""
        from alignment_bench.training.scalar import score_scalar

        return score_scalar(self, head, prompts, completions)

    def scoring_model(self) -> Any:
        """The float32 model, kept in memory while it is in use."""
        from alignment_bench.models.weights import for_inference

        return for_inference(self, "float32")

    def make_room(self) -> None:
        """Drops what is kept in memory, unless the model is tiny: another of its size comes next."""
        from alignment_bench.models.loading import make_room

        make_room(self.n_parameters)

    def load_for_training(self, lora_rank: int = 0, seed: int = 0) -> Any:
        """A fresh float32 model from disk, dropout 0, on the policy's device.

        `lora_rank` above 0 puts a LoRA adapter on it, with initial values drawn from `seed`; an adapter of
        the same rank that this policy already has is trained further, any other is merged first.
        """
        from alignment_bench.models.weights import fresh

        return fresh(self, lora_rank, seed)

    def fresh_adapter(self, lora_rank: int) -> bool:
        """Whether `load_for_training` of that rank gives an adapter that changes nothing yet."""
        from alignment_bench.models.weights import continues

        return lora_rank > 0 and not continues(self, lora_rank)

    def note(self, *notes: str) -> None:
        """Remembers what went otherwise than planned, and tells it to whoever collects that."""
        tell(*notes)
        self.notes += [note for note in notes if note not in self.notes]

    def _report_scored(self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> None:
        tokens = sum(map(len, prompts)) + sum(map(len, completions))
        report(Spend(tokens_scored=tokens, flops=forward_cost(self.n_parameters, tokens)))

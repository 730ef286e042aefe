"""What a policy returns (`Completion`) and how it was drawn (`Decoding`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

End = Literal["eos", "length", "stop"]


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer.

    `tokens` are the ids exactly as sampled, the end-of-sequence id included when `end` is ``eos``;
    whatever scores or trains uses them, because decoding and re-encoding changes ids. `text` is for
    teachers, judges and people. `logprobs`, where present, are natural logs under the sampling
    distribution at temperature 1, one per token.
    """

    text: str
    tokens: tuple[int, ...]
    end: End
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """How completions are drawn. `temperature` 0 is greedy; `top_p` 1 and `top_k` 0 switch truncation off."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 48
    stop: tuple[str, ...] = ()

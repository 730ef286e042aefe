"""Sampling by vLLM (`engine=vllm`): one engine a base, adapters served over it without loading it again.

Only completions are drawn here; log-probabilities that anything is trained on or measured by, and every KL,
stay with transformers in float32. One request is one (prompt, sample index) with a seed of its own, so that
an answer does not depend on its company, up to the floating-point error of vLLM's kernels, which choose
their shapes by the batch (its `VLLM_BATCH_INVARIANT=1` is for those who need more). vLLM's prefix cache
prefills a prompt once for all its samples. Its random numbers are not our sampler's: the two engines draw
different completions from one distribution, and the engine is part of every job's key.

The engine takes `MEMORY_SHARE` of the GPU and leaves the rest to scoring; while something trains it sleeps,
weights in host memory. Written against vLLM 0.33; perf/on_cuda.py compares it with transformers where it is
installed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alignment_bench.completions import Completion, Decoding, End
from alignment_bench.digests import derive_seed, digest_file
from alignment_bench.prompts import Prompt
from alignment_bench.runtime import VLLM_MAX_RANK

MEMORY_SHARE = 0.45
"""of the GPU's memory: vLLM's weights and key-value cache"""
RANKS = (8, 16, 32, 64, 128, 256, 320, VLLM_MAX_RANK)
"""what vLLM's `max_lora_rank` may be"""
ADAPTERS = 4
"""adapters kept in host memory; one at a time is on the GPU"""

Seeds = Callable[[int, int], int]
"""(index of the prompt, sample index) -> seed"""
Decode = Callable[[Sequence[int]], str]
"""token ids -> text, special tokens left out"""


@dataclass(frozen=True, slots=True)
class Served:
    """Weights as vLLM loads them: a model folder, and maybe an adapter over it."""

    model: Path
    tokenizer: Path
    """folder of the tokenizer"""
    dtype: str
    trust: bool
    adapter: Path | None = None
    rank: int = 0
    """of the adapter"""
    alone: bool = False
    """no adapter will ever be put over this model"""


@dataclass(slots=True)
class _Engine:
    """The one engine in memory, what it was made for, and the adapters it was given ids for."""

    llm: Any
    made_for: Served
    room: int
    """largest rank of an adapter; 0: none"""
    ids: dict[str, int] = field(default_factory=dict)
    asleep: bool = False


_running: list[_Engine] = []


def seeds_for(prompts: Sequence[Prompt], seed: int, stream: str = "") -> Seeds:
    """A seed for each (prompt, sample index), by the prompt's id and slots, never its place."""

    def draw(index: int, sample: int) -> int:
        prompt = prompts[index]
        slots = [part for slot in prompt.slots for part in slot]
        return derive_seed("vllm", seed, stream, prompt.id, *slots, sample)

    return draw


def sample(
    served: Served,
    prompts: Sequence[Sequence[int]],
    *,
    n: int,
    decoding: Decoding,
    seeds: Seeds,
    eos: Collection[int],
    decode: Decode,
    logprobs: bool = False,
) -> list[list[Completion]]:
    """Draws `n` completions of each prompt (token ids).

    With `logprobs` every completion carries its tokens' natural-log probabilities at temperature 1 without
    truncation, in the precision that vLLM samples in.
    """
    from vllm import SamplingParams

    if not prompts:
        return []
    engine = _engine(served)
    draws = 1 if decoding.temperature == 0 else n
    pairs = [(i, k) for i in range(len(prompts)) for k in range(draws)]
    asked = [
        SamplingParams(
            n=1,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k,
            max_tokens=decoding.max_tokens,
            seed=seeds(i, k),
            stop=list(decoding.stop) or None,
            stop_token_ids=sorted(eos),
            logprobs=0 if logprobs else None,  # 0: those of the sampled tokens alone
            skip_special_tokens=True,
        )
        for i, k in pairs
    ]
    requests = [{"prompt_token_ids": list(prompts[i])} for i, _ in pairs]
    outputs = engine.llm.generate(requests, asked, use_tqdm=False, lora_request=_adapter(engine, served))
    drawn = [_completion(out.outputs[0], decoding, eos, decode, logprobs) for out in outputs]
    return [drawn[i * draws : (i + 1) * draws] * (n // draws) for i in range(len(prompts))]


def rest() -> None:
    """Puts the engine to sleep, if there is one: its weights go to host memory, its cache is dropped."""
    for engine in _running:
        if not engine.asleep:
            engine.llm.sleep(level=1)
            engine.asleep = True


def _engine(served: Served) -> _Engine:
    """The engine that serves these weights, awake; another one goes before it is made."""
    from vllm import LLM

    room = 0 if served.alone else next(rank for rank in RANKS if rank >= max(served.rank, 16))
    wanted = replace(served, adapter=None, rank=0)
    for engine in _running:
        if engine.made_for == wanted and engine.room >= room:
            if engine.asleep:
                engine.llm.wake_up()
                engine.asleep = False
            return engine
    _running.clear()
    gc.collect()  # an LLM stops its processes when it is collected
    adapters: dict[str, Any] = {}
    if room:
        adapters = {
            "enable_lora": True,
            "max_lora_rank": room,
            "max_loras": 1,
            "max_cpu_loras": ADAPTERS,
        }
    llm = LLM(
        model=str(served.model),
        tokenizer=str(served.tokenizer),
        trust_remote_code=served.trust,
        dtype=served.dtype,
        seed=0,
        gpu_memory_utilization=MEMORY_SHARE,
        max_model_len=-1,  # what the model reads, or what fits
        generation_config="vllm",  # nothing about sampling from the model's folder
        enable_prefix_caching=True,
        enable_sleep_mode=True,
        **adapters,
    )
    _running.append(_Engine(llm, wanted, room))
    return _running[-1]


def _adapter(engine: _Engine, served: Served) -> Any:
    """vLLM's request for the adapter: the same id for the same weights, a new one for others."""
    if served.adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    name = digest_file(served.adapter / "adapter_model.safetensors")
    number = engine.ids.setdefault(name, len(engine.ids) + 1)
    return LoRARequest(name, number, str(served.adapter))


def _completion(
    out: Any, decoding: Decoding, eos: Collection[int], decode: Decode, logprobs: bool
) -> Completion:
    """vLLM's output as our sampler would give it: the end-of-sequence id included, a stop string cut off."""
    tokens = tuple(out.token_ids)
    end: End = "eos" if tokens[-1] in eos else "stop" if out.finish_reason == "stop" else "length"
    text = decode(tokens[:-1] if end == "eos" else tokens)
    if end == "stop":  # vLLM sees a stop string token by token: white space may differ in the text as a whole
        text = text[: min((at for stop in decoding.stop if (at := text.find(stop)) >= 0), default=None)]
    logs = (
        tuple(row[token].logprob for row, token in zip(out.logprobs, tokens, strict=True))
        if logprobs
        else None
    )
    return Completion(text.strip(), tokens, end, logs)

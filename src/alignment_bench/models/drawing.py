"""Completions of a policy: by our sampler on a transformers model, or by vLLM where that is the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alignment_bench.completions import Completion, Decoding
from alignment_bench.errors import BadInput, Problem
from alignment_bench.ledger import Spend, forward_cost, report
from alignment_bench.models import sampling, vllm_engine, weights
from alignment_bench.models.loading import configuration
from alignment_bench.prompts import Prompt

if TYPE_CHECKING:
    from alignment_bench.models.policy import ModelPolicy

IN_TRAINING = "rollouts of a model that trains more than an adapter on its base were drawn by transformers"


def draw(
    policy: ModelPolicy,
    model: Any,
    prompts: Sequence[Prompt],
    n: int,
    decoding: Decoding,
    seed: int,
    logprobs: bool,
) -> list[list[Completion]]:
    """`n` completions of each prompt, by the policy's own weights or by a `model` in training.

    vLLM draws from a model in training where what trains is an adapter on the base; else transformers does,
    in a copy of the policy's sampling precision, and the policy notes it.
    """
    ids = [policy.render(prompt) for prompt in prompts]
    _check_room(configuration(policy.source.located, policy.runtime.trust), ids, decoding)
    if policy.runtime.engine == "vllm":
        with weights.served(policy, model) as served:
            if served is not None:
                return _by_vllm(policy, served, prompts, ids, n, decoding, seed, logprobs)
        policy.note(IN_TRAINING)
    if model is None:
        model = weights.for_inference(policy, policy.runtime.sampling_dtype(policy.n_parameters))
    else:
        model = weights.sampling_twin(policy, model)
    drawn = sampling.sample(
        model,
        ids,
        n=n,
        decoding=decoding,
        uniforms=sampling.uniforms_for(prompts, decoding, seed, policy.stream),
        eos=policy.eos,
        decode=policy.decode,
        rows=policy.sample_rows,
        logprobs=logprobs,
    )
    policy.note(*drawn.notes)
    return _counted(policy, ids, drawn.completions, decoding)


def _by_vllm(
    policy: ModelPolicy,
    served: vllm_engine.Served,
    prompts: Sequence[Prompt],
    ids: Sequence[Sequence[int]],
    n: int,
    decoding: Decoding,
    seed: int,
    logprobs: bool,
) -> list[list[Completion]]:
    drawn = vllm_engine.sample(
        served,
        ids,
        n=n,
        decoding=decoding,
        seeds=vllm_engine.seeds_for(prompts, seed, policy.stream),
        eos=policy.eos,
        decode=policy.decode,
        logprobs=logprobs,
    )
    return _counted(policy, ids, drawn, decoding)


def _counted(
    policy: ModelPolicy,
    ids: Sequence[Sequence[int]],
    drawn: list[list[Completion]],
    decoding: Decoding,
) -> list[list[Completion]]:
    """What was drawn, after telling the open meter; a greedy answer is drawn once and handed out n times."""
    paid = [row[:1] if decoding.temperature == 0 else row for row in drawn]
    generated = sum(len(one.tokens) for row in paid for one in row)
    tokens = sum(map(len, ids)) + generated
    report(Spend(tokens_generated=generated, flops=forward_cost(policy.n_parameters, tokens)))
    return drawn


def _check_room(config: Any, ids: Sequence[Sequence[int]], decoding: Decoding) -> None:
    limit = getattr(config, "max_position_embeddings", None)
    longest = max((len(row) for row in ids), default=0)
    if limit and longest + decoding.max_tokens > limit:
        message = f"a prompt of {longest} tokens and {decoding.max_tokens} to draw exceed the model's {limit}"
        raise BadInput([Problem("max_prompt_tokens", message, "set a smaller limit, or shorten the prompt")])

"""Samples belong to (seed, stream, prompt, index), follow the distribution, and end where they must."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from alignment_bench.completions import Completion, Decoding
from alignment_bench.models import sampling
from alignment_bench.models.sampling import draw, sample, truncated
from alignment_bench.prompts import Message, Prompt

WORDS = ("the", "a", "dog", "cat", "bird", "park", "ran", "sat", "saw", "and")
FREE = Decoding(temperature=1.0, max_tokens=12)


def prompts(count: int) -> list[Prompt]:
    """Prompts of mixed lengths, longest in the middle."""
    texts = [" ".join(WORDS[(i + k) % len(WORDS)] for k in range(2 + 5 * (i % 4))) for i in range(count)]
    return [Prompt(f"p{i}", (Message("user", text),)) for i, text in enumerate(texts)]


def drawn(policy: Any, some: list[Prompt], rows: int, decoding: Decoding = FREE, n: int = 5) -> Any:
    """Samples with a given batch size."""
    return sample(
        policy.scoring_model(),
        [policy.render(prompt) for prompt in some],
        n=n,
        decoding=decoding,
        uniforms=sampling.uniforms_for(some, decoding, seed=3),
        eos=policy.eos,
        decode=policy.decode,
        rows=rows,
    ).completions


@pytest.mark.parametrize("rows", [1, 3, 7, 64])
def test_batch_size_never_changes_a_completion(random_policy: Any, rows: int) -> None:
    some = prompts(9)
    assert drawn(random_policy, some, rows) == drawn(random_policy, some, rows=256)


def test_order_and_company_of_prompts_never_change_a_completion(random_policy: Any) -> None:
    some = prompts(8)
    together = random_policy.generate(some, n=3, decoding=FREE, seed=1)
    backwards = random_policy.generate(some[::-1], n=3, decoding=FREE, seed=1)
    alone = random_policy.generate(some[4:5], n=3, decoding=FREE, seed=1)
    fewer = random_policy.generate(some, n=2, decoding=FREE, seed=1)
    assert together == backwards[::-1]
    assert together[4:5] == alone
    assert [row[:2] for row in together] == fewer


def test_seed_stream_index_and_slots_give_different_completions(random_policy: Any) -> None:
    some = prompts(6)

    def tokens(rows: list[list[Completion]]) -> list[tuple[int, ...]]:
        return [one.tokens for row in rows for one in row]

    first = random_policy.generate(some, n=2, decoding=FREE, seed=1)
    assert first == random_policy.generate(some, n=2, decoding=FREE, seed=1)
    assert tokens(first) != tokens(random_policy.generate(some, n=2, decoding=FREE, seed=2))
    assert all(row[0].tokens != row[1].tokens for row in first)
    noise = sampling.uniforms_for(some, FREE, 1)
    other = sampling.uniforms_for(some, FREE, 1, "copy")
    assert not np.array_equal(noise(0, 0), other(0, 0))
    refined = [some[0].using("refine", completion=c, critique="sad") for c in ("the dog", "a cat")]
    slots = sampling.uniforms_for(refined, FREE, 1)
    assert not np.array_equal(slots(0, 0), slots(1, 0))


def test_greedy_equals_generate(random_policy: Any) -> None:
    model = random_policy.scoring_model()
    for prompt in prompts(6):
        ids = torch.tensor([random_policy.render(prompt)])
        theirs = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=12,
            pad_token_id=0,
        )
        greedy = random_policy.generate([prompt], n=2, decoding=replace(FREE, temperature=0.0), seed=0)[0]
        assert list(greedy[0].tokens) == theirs[0, ids.shape[1] :].tolist()
        assert greedy[0] == greedy[1]


def test_first_token_frequencies_match_the_distribution(random_policy: Any) -> None:
    prompt = prompts(1)[0]
    n = 4000
    rows = random_policy.generate([prompt], n=n, decoding=replace(FREE, max_tokens=1), seed=5)
    counts = Counter(one.tokens[0] for one in rows[0])
    ids = torch.tensor([random_policy.render(prompt)])
    with torch.no_grad():
        expected = random_policy.scoring_model()(ids).logits[0, -1].softmax(-1).tolist()
    chi = sum((counts[i] - n * p) ** 2 / (n * p) for i, p in enumerate(expected))
    # The 99.99 % point of chi-square with V - 1 = 29 degrees of freedom is 66.2.
    assert chi < 66.2
    assert 1.0 > max(expected) > 0.1, "the test means nothing on a uniform or a certain distribution"


def test_draw_is_the_inverse_cdf_and_never_takes_an_impossible_token() -> None:
    logits = torch.tensor([[0.5, 0.0, 0.3, 0.2, 0.0]]).log()
    one = Decoding()
    for uniform, token in [(0.0, 0), (0.499, 0), (0.501, 2), (0.799, 2), (0.801, 3), (1 - 2**-53, 3)]:
        assert draw(logits, torch.tensor([uniform], dtype=torch.float64), one).item() == token
    first_impossible = torch.tensor([[0.0, 1.0]]).log()
    assert draw(first_impossible, torch.tensor([0.0], dtype=torch.float64), one).item() == 1


def test_temperature_top_k_and_top_p() -> None:
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    cold = truncated(logits, Decoding(temperature=0.5))
    assert torch.allclose(cold, torch.tensor([[0.16, 0.09, 0.04, 0.01]]) / 0.30)
    assert (truncated(logits, Decoding(top_k=2)) > 0).tolist() == [[True, True, False, False]]
    assert (truncated(logits, Decoding(top_p=0.65)) > 0).tolist() == [[True, True, False, False]]
    assert (truncated(logits, Decoding(top_p=0.75)) > 0).tolist() == [[True, True, True, False]]
    assert (truncated(logits, Decoding(top_p=0.01)) > 0).tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.95, 0.999])
def test_top_p_without_sorting_equals_sorting(top_p: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "NUCLEUS_GUESS", 4)  # so that some rows need a second and a third look
    logits = (
        torch.randn((16, 300), generator=torch.Generator().manual_seed(0))
        * torch.linspace(0.5, 6, 16)[:, None]
    )
    probabilities = logits.softmax(-1)
    kept = truncated(logits, Decoding(top_p=top_p)) > 0
    for row, mask in zip(probabilities.tolist(), kept.tolist(), strict=True):
        order = sorted(range(300), key=lambda i: -row[i])
        total, count = 0.0, 0
        while total < top_p:
            total += row[order[count]]
            count += 1
        assert {i for i in range(300) if mask[i]} == set(order[:count])


def test_ends_say_why_and_tokens_include_the_end(random_policy: Any) -> None:
    rows = random_policy.generate(prompts(8), n=8, decoding=FREE, seed=0)
    flat = [one for row in rows for one in row]
    (eos,) = random_policy.eos
    for one in flat:
        assert (one.end == "eos") == (one.tokens[-1] == eos)
        assert eos not in one.tokens[:-1]
        assert one.end == "eos" or len(one.tokens) == FREE.max_tokens
        assert "<eos>" not in one.text
    assert {"eos", "length"} == {one.end for one in flat}


def test_stop_strings_end_a_completion_and_leave_its_text(random_policy: Any) -> None:
    stopping = replace(FREE, stop=("dog sat", "park"), max_tokens=20)
    flat = [one for row in random_policy.generate(prompts(8), n=8, decoding=stopping, seed=0) for one in row]
    free = random_policy.generate(prompts(8), n=8, decoding=replace(FREE, max_tokens=20), seed=0)
    for one, other in zip(flat, [one for row in free for one in row], strict=True):
        assert other.tokens[: len(one.tokens)] == one.tokens
        assert "park" not in one.text
        if one.end == "stop":
            assert any(stop in random_policy.decode(one.tokens) for stop in stopping.stop)
            assert not any(stop in random_policy.decode(one.tokens[:-1]) for stop in stopping.stop)
    assert any(one.end == "stop" for one in flat)


def test_sampled_logprobs_are_those_at_temperature_one(random_policy: Any) -> None:
    some = prompts(5)
    decoding = replace(FREE, temperature=0.3, top_k=5)
    rows = random_policy.generate(some, n=3, decoding=decoding, seed=0, logprobs=True)
    pairs = [(prompt, one) for prompt, row in zip(some, rows, strict=True) for one in row]
    scored = random_policy.logprobs([p for p, _ in pairs], [c for _, c in pairs])
    for (_, one), values in zip(pairs, scored, strict=True):
        assert one.logprobs is not None
        assert all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(one.logprobs, values, strict=True))


def test_more_samples_than_rows_and_no_prompts(random_policy: Any) -> None:
    some = prompts(2)
    assert drawn(random_policy, some, rows=4, n=10) == drawn(random_policy, some, rows=256, n=10)
    assert random_policy.generate([], n=3, decoding=FREE, seed=0) == []


def test_running_out_of_gpu_memory_halves_the_batch_and_says_so(
    random_policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sampling.prefill

    def small_card(model: Any, ids: Any) -> Any:
        if len(ids) > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return whole(model, ids)

    some = prompts(8)
    expected = drawn(random_policy, some, rows=256)
    monkeypatch.setattr(sampling, "prefill", small_card)
    monkeypatch.setattr(random_policy, "notes", [])
    rows = random_policy.generate(some, n=5, decoding=FREE, seed=3)
    assert rows == expected
    assert any("out of GPU memory" in note for note in random_policy.notes)

"""Log-probabilities and KL equal their definitions, computed the slow way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from alignment_bench import evaluate
from alignment_bench.completions import Completion, Decoding
from alignment_bench.errors import BadInput, NotApplicable
from alignment_bench.incidents import collecting, tell
from alignment_bench.jobs import JobStore
from alignment_bench.ledger import metering
from alignment_bench.models import loading, scoring
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.models.storage import load_policy, save_policy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.training import scalar
from alignment_bench.training.preference import ScalarHead
from alignment_bench.training.settings import Settings
from alignment_bench.work import Work

TEXTS = ("the dog ran", "a cat sat and a bird saw the park", "happy", "the sad dog was a sad dog and sat")
PROMPTS = [Prompt(f"p{i}", (Message("user", text),)) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def pairs(random_policy: Any) -> list[tuple[Prompt, Completion]]:
    """Each prompt with five samples."""
    rows = random_policy.generate(PROMPTS, n=5, decoding=Decoding(max_tokens=9), seed=7)
    return [(prompt, one) for prompt, row in zip(PROMPTS, rows, strict=True) for one in row]


@pytest.fixture(scope="module")
def moved(random_policy: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The random policy with every weight changed a little."""
    model = random_policy.load_for_training()
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=noise)
    return save_policy(tmp_path_factory.mktemp("moved") / "policy", model, parent=random_policy)


def naive(policy: Any, prompt: Prompt, one: Completion) -> torch.Tensor:
    """Log-probabilities [tokens, vocabulary] along a completion by one plain forward pass, float64."""
    ids = policy.render(prompt)
    with torch.no_grad():
        logits = policy.scoring_model()(torch.tensor([[*ids, *one.tokens]])).logits[0]
    return logits[len(ids) - 1 : -1].double().log_softmax(-1)


@pytest.mark.parametrize("rows", [1, 3, 128])
def test_logprobs_equal_a_plain_forward_pass(random_policy: Any, pairs: Any, rows: int) -> None:
    ids, tokens = [random_policy.render(p) for p, _ in pairs], [c.tokens for _, c in pairs]
    found = scoring.logprobs(random_policy.scoring_model(), ids, tokens, rows)
    for (prompt, one), values in zip(pairs, found, strict=True):
        full = naive(random_policy, prompt, one)
        expected = full[torch.arange(len(one.tokens)), list(one.tokens)]
        assert torch.allclose(torch.tensor(values).double(), expected, atol=1e-5)


def test_kl_equals_the_sum_over_the_vocabulary(random_policy: Any, moved: Any, pairs: Any) -> None:
    found = moved.kl(random_policy, [p for p, _ in pairs], [c for _, c in pairs])
    total = 0.0
    for (prompt, one), values in zip(pairs, found, strict=True):
        ours, theirs = naive(moved, prompt, one), naive(random_policy, prompt, one)
        expected = (ours.exp() * (ours - theirs)).sum(-1)
        assert torch.allclose(torch.tensor(values).double(), expected, atol=1e-5)
        total += sum(values)
    assert total > 0.1, "the two models must differ for the test to mean anything"


def test_chunks_do_not_change_it(
    random_policy: Any, moved: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [p for p, _ in pairs], [c for _, c in pairs]
    whole = moved.kl(random_policy, *arguments), moved.logprobs(*arguments)
    monkeypatch.setattr(scoring, "CHUNK", 70)
    assert (moved.kl(random_policy, *arguments), moved.logprobs(*arguments)) == whole


def test_a_large_reward_model_and_its_reference_are_in_memory_one_at_a_time(
    random_policy: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    work = Work(JobStore(tmp_path), random_policy.runtime, random_policy.n_parameters)
    compared = [(one, a, b) for (one, a), (_, b) in zip(pairs[::5], pairs[1::5], strict=True)]
    settings = Settings(learning_rate=1e-3, epochs=1, batch_size=4, micro_batch=4)
    model, _ = work.reward_model(random_policy, compared, 0, "likelihood_ratio", 0.1, settings, 0)
    arguments = [p for p, _ in pairs], [c for _, c in pairs]
    together = model.raw(*arguments)
    assert any(together) and len(loading._kept) == 2
    held: list[int] = []
    original = ModelPolicy.scoring_model

    def watched(policy: ModelPolicy) -> Any:
        found = original(policy)
        held.append(len(loading._kept))
        return found

    def large(parameters: int) -> None:
        loading.forget()

    monkeypatch.setattr(ModelPolicy, "scoring_model", watched)
    monkeypatch.setattr(loading, "make_room", large)
    assert model.raw(*arguments) == model.raw(*arguments) == together
    assert held == [1, 1, 1, 1]


def test_kl_of_the_base_to_itself_is_zero(random_policy: Any, pairs: Any) -> None:
    values = random_policy.kl(random_policy, [p for p, _ in pairs], [c for _, c in pairs])
    assert all(value == 0.0 for row in values for value in row)


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_kl_of_an_untrained_copy_is_zero(
    random_policy: Any, pairs: Any, tmp_path: Path, lora_rank: int
) -> None:
    model = random_policy.load_for_training(lora_rank)
    save_policy(tmp_path / "copy", model, parent=random_policy, stream="copy")
    copy: Any = load_policy(tmp_path / "copy", random_policy.runtime)
    values = copy.kl(random_policy, [p for p, _ in pairs], [c for _, c in pairs])
    assert all(value == 0.0 for row in values for value in row)


def test_kl_needs_a_reference_of_the_same_base(random_policy: Any) -> None:
    class Other:
        base_digest = "another"

        def render(self, prompt: Prompt) -> list[int]:
            return [1]

        def scoring_model(self) -> Any:
            raise AssertionError("must be refused before it is loaded")

    with pytest.raises(NotApplicable, match="same base"):
        random_policy.kl(Other(), PROMPTS[:1], [random_policy.encode("the dog")])


def test_sampled_ids_are_scored_not_their_text(random_policy: Any) -> None:
    one_token = random_policy.tokenizer.convert_tokens_to_ids("the dog")
    sampled = Completion("the dog", (one_token, 1), "eos")
    written = random_policy.encode("the dog")
    assert written.tokens != sampled.tokens
    assert random_policy.decode(sampled.tokens[:-1]) == sampled.text
    both = random_policy.logprobs(PROMPTS[:1] * 2, [sampled, written])
    assert [len(values) for values in both] == [2, 3]
    expected = naive(random_policy, PROMPTS[0], sampled)[0, one_token].item()
    assert both[0][0] == pytest.approx(expected, abs=1e-5)


def test_next_token_probabilities(random_policy: Any) -> None:
    found = random_policy.next_token_probabilities(PROMPTS, ["yes", "no"])
    for prompt, values in zip(PROMPTS, found, strict=True):
        first = naive(random_policy, prompt, random_policy.encode("dog")).exp()[0]
        answers = random_policy.tokenizer.convert_tokens_to_ids(["yes", "no"])
        assert values == pytest.approx(first[answers].tolist(), abs=1e-6)


@pytest.mark.parametrize("answer", ["yes no", "unheard-of"])
def test_an_answer_must_be_one_known_token(random_policy: Any, answer: str) -> None:
    with pytest.raises(BadInput, match=answer):
        random_policy.next_token_probabilities(PROMPTS, ["yes", answer])


def test_pairs_of_one_prompt_stay_together_and_none_is_lost() -> None:
    prompts = [[1, 2], [3], [1, 2], [3], [1, 2], [4, 5, 6]]
    completions = [[1], [1, 1], [1, 1, 1], [1], [], [1]]
    found = scoring.batches(prompts, completions, rows=3)
    assert sorted(i for pairs in found for i in pairs) == [0, 1, 2, 3, 5], "4 has nothing to score"
    assert found == [[3, 1], [0, 2, 5]]
    assert [len(pairs) for pairs in scoring.batches([[1]] * 7, [[1]] * 7, rows=3)] == [3, 3, 1]


def test_running_out_of_gpu_memory_halves_the_batch_and_says_so(
    random_policy: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Same numbers; what was done differently is told by its job, and at every use of the result."""
    prompts, completions = [p for p, _ in pairs], [c for _, c in pairs]
    whole, sizes = scoring.prefill, []

    def small_card(model: Any, ids: Any) -> Any:
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return whole(model, ids)

    def everything() -> list[list[float]]:
        return [
            *random_policy.logprobs(prompts, completions),
            *random_policy.kl(random_policy, prompts, completions),
            *random_policy.next_token_probabilities(PROMPTS, ["yes", "no"]),
        ]

    expected = everything()
    monkeypatch.setattr(scoring, "prefill", small_card)
    with collecting() as heard:
        found = everything()
    assert [len(row) for row in found] == [len(row) for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-5)
    assert heard == [f"out of GPU memory: scored with batches of {rows} rows" for rows in (10, 2)]
    assert max(sizes) == 4
    work = Work(JobStore(tmp_path), random_policy.runtime, random_policy.n_parameters)
    for stored in (False, True):
        with collecting() as heard:
            _, result = work.logprobs(random_policy, prompts, completions)
        assert result.stored == stored
        assert heard == ["out of GPU memory: scored with batches of 10 rows"]

    def no_card(model: Any, ids: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(scoring, "prefill", no_card)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        random_policy.logprobs(prompts, completions)


def test_a_reward_head_scores_in_smaller_batches_where_memory_runs_out(
    random_policy: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Same rewards, each counted once."""
    prompts, completions = [p for p, _ in pairs], [c for _, c in pairs]
    scalar.save_head(ScalarHead(random_policy.load_for_training(0), 0), tmp_path / "head")
    with metering() as before:
        expected = random_policy.head_scores(tmp_path / "head", prompts, completions)
    whole = scalar.collate

    def small_card(rows: Any, pad: int, device: str) -> Any:
        if len(rows) > 8:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return whole(rows, pad, device)

    monkeypatch.setattr(scalar, "collate", small_card)
    with collecting() as heard, metering() as after:
        found = random_policy.head_scores(tmp_path / "head", prompts, completions)
    assert found == pytest.approx(expected, abs=1e-5)
    assert heard[-1] == "out of GPU memory: scored with batches of 5 rows"
    assert after.total.tokens_scored == before.total.tokens_scored > 0


def test_what_an_evaluator_met_is_told_at_every_use_of_its_scores(
    random_policy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def checked(*_: Any) -> dict[str, Any]:
        tell("smaller batches")
        return {}

    monkeypatch.setattr(evaluate, "checked", checked)
    work = Work(JobStore(tmp_path), random_policy.runtime, random_policy.n_parameters)
    nothing: Any = None
    for _ in range(2):
        with collecting() as heard:
            assert evaluate._score_one(work, "kl", nothing, nothing, {}) == {}
        assert heard == ["smaller batches"]
    assert len(list(tmp_path.glob("score/*/job.json"))) == 1

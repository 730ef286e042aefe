"""The training losses against numbers computed by hand, and against trl's trainer on one batch."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from alignment_bench.training.batches import (
    Row,
    batches_by_length,
    collate,
    completion_logits,
    token_logprobs,
)
from alignment_bench.training.finetune import finetune
from alignment_bench.training.optimise import linear_schedule
from alignment_bench.training.ppo import (
    ActorCritic,
    Rollout,
    collect,
    gae,
    policy_loss,
    token_rewards,
    train_ppo,
    value_loss,
)
from alignment_bench.training.preference import PairRow, train_likelihood_ratio
from alignment_bench.training.settings import PPOSettings, Settings

SETTINGS = Settings(learning_rate=1e-3, epochs=1, batch_size=2, micro_batch=2, warmup=0.0)
PPO = PPOSettings(
    iterations=3,
    rollouts=6,
    epochs=2,
    minibatches=2,
    learning_rate=1e-3,
    kl_coefficient=0.05,
    clip=0.2,
    value_clip=0.2,
    value_coefficient=0.1,
    gamma=1.0,
    gae_lambda=0.95,
    missing_eos_score=-1.0,
    whiten_advantages=True,
    separate_value=True,
    micro_batch=2,
)


class Bigram(torch.nn.Module):
    """A model whose next-token logits depend on the last token alone, so that losses can be done by hand."""

    def __init__(self, table: list[list[float]]) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.tensor(table))
        self.config = SimpleNamespace(hidden_size=len(table[0]))

    def forward(self, input_ids: Any, logits_to_keep: int, **_: Any) -> Any:
        rows = self.table[input_ids]
        return SimpleNamespace(logits=rows[:, -logits_to_keep:], hidden_states=(rows,))


def tiny_llama(seed: int = 0) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def test_finetuning_loss_is_the_mean_cross_entropy_of_completion_tokens() -> None:
    model = Bigram([[0.0, 1.0], [2.0, 0.0]])
    rows = [Row((0,), (1, 0))]
    curve = finetune(model, rows, replace(SETTINGS, batch_size=1), np.random.default_rng(0), 0, "cpu")
    after_0 = math.log(1 + math.exp(-1.0))  # -log p(1 | 0)
    after_1 = math.log(1 + math.exp(-2.0))  # -log p(0 | 1)
    assert curve[0] == pytest.approx((after_0 + after_1) / 2, abs=1e-6)


def test_prompt_tokens_are_not_in_the_loss() -> None:
    a = finetune(tiny_llama(), [Row((3, 4, 5), (6, 7))], SETTINGS, np.random.default_rng(0), 0, "cpu")
    model = tiny_llama()
    with torch.no_grad():
        logits = model(torch.tensor([[3, 4, 5, 6, 7]])).logits[0]
        expected = -torch.log_softmax(logits, -1)[[2, 3], [6, 7]].mean()
    assert a[0] == pytest.approx(float(expected), abs=1e-5)


def test_micro_batches_do_not_change_the_step() -> None:
    rows = [Row((1, 2), (3,)), Row((4,), (5, 6, 7)), Row((8, 9, 10), (11, 12)), Row((13,), (14,))]
    weights = []
    for micro in (1, 4):
        model = tiny_llama()
        finetune(
            model,
            rows,
            replace(SETTINGS, batch_size=4, micro_batch=micro),
            np.random.default_rng(0),
            0,
            "cpu",
        )
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.allclose(weights[0], weights[1], atol=1e-6)


def test_padding_does_not_change_logprobs() -> None:
    model = tiny_llama().eval()
    rows = [Row((1, 2, 3, 4), (5,)), Row((6,), (7, 8, 9))]
    with torch.no_grad():
        together = collate(rows, 0, "cpu")
        both = token_logprobs(completion_logits(model, together), together)
        for i, row in enumerate(rows):
            alone = collate([row], 0, "cpu")
            single = token_logprobs(completion_logits(model, alone), alone)
            assert torch.allclose(both[i, : len(row.completion)], single[0], atol=1e-6)
    assert float(both[0, 1:].abs().sum()) == 0.0


def test_preference_loss_starts_at_log_two_and_equals_the_formula() -> None:
    model = Bigram([[0.0, 1.0], [2.0, 0.0]])
    pairs = [PairRow(Row((0,), (1,)), Row((0,), (0,)))]
    settings = replace(SETTINGS, epochs=2, batch_size=1)
    curve = train_likelihood_ratio(model, pairs, 1.0, settings, np.random.default_rng(0), 0, "cpu")
    assert curve[0] == pytest.approx(math.log(2), abs=1e-6)
    # After one AdamW step of size 1e-3 the two logits moved apart by 2e-3: margin 2e-3.
    assert curve[1] == pytest.approx(-math.log(1 / (1 + math.exp(-2e-3))), abs=1e-5)


def test_rewards_put_the_score_on_the_last_token_and_the_penalty_on_all() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, 0.0]])
    reference = torch.tensor([[-1.5, -1.0, 0.0]])
    mask = torch.tensor([[True, True, False]])
    rewards = token_rewards(logprobs, reference, torch.tensor([3.0]), mask, 0.1)
    assert rewards[0].tolist() == pytest.approx([-0.05, 0.1 + 3.0, 0.0])


def test_gae_equals_hand_computation() -> None:
    rewards, values = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.5, 0.25, 9.0]])
    mask = torch.tensor([[True, True, False]])
    advantages, returns = gae(rewards, values, mask, gamma=0.9, gae_lambda=0.8)
    last = 2.0 - 0.25
    first = (1.0 + 0.9 * 0.25 - 0.5) + 0.9 * 0.8 * last
    assert advantages[0].tolist() == pytest.approx([first, last, 0.0])
    assert returns[0].tolist() == pytest.approx([first + 0.5, last + 0.25, 0.0])


def test_clipped_losses_equal_hand_computation() -> None:
    new, old = torch.tensor([math.log(1.5), math.log(0.5)]), torch.zeros(2)
    loss = policy_loss(new, old, torch.tensor([2.0, -1.0]), clip=0.2)
    assert loss.tolist() == pytest.approx([-2.0 * 1.2, 0.8])
    values = value_loss(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([2.0]), clip=0.2)
    assert values.tolist() == pytest.approx([0.5 * (0.2 - 2.0) ** 2])


def rollouts(model: Any, seed: int = 0) -> list[Rollout]:
    noise = np.random.default_rng(seed)
    made = []
    for i in range(6):
        prompt = tuple(int(x) for x in noise.integers(3, 32, 2 + i % 3))
        completion = tuple(int(x) for x in noise.integers(3, 32, 1 + i % 4))
        made.append(Rollout(Row(prompt, completion), float(noise.normal()), ended=i != 0))
    return made


def actor(separate: bool = True) -> ActorCritic:
    return ActorCritic(tiny_llama(), replace(PPO, separate_value=separate), seed=0, fresh_adapter=False)


@pytest.mark.parametrize("separate", [True, False])
def test_ratio_is_exactly_one_before_the_first_step(separate: bool) -> None:
    critic = actor(separate)
    experience, _ = collect(critic, rollouts(critic.model), 0, "cpu")
    for part in experience:
        logprobs, values = critic.forward(part.batch)
        assert torch.equal(torch.exp(logprobs - part.logprobs), torch.ones_like(logprobs))
        assert torch.equal(values, part.values)


def test_ppo_scores_sampled_ids_even_where_text_does_not_round_trip() -> None:
    critic = actor()
    # Ids 7 and 8 could decode to the same text: only ids reach the loop, so their probabilities differ.
    made = [Rollout(Row((3, 4), (token, 2)), 0.0, True) for token in (7, 8)]
    experience, _ = collect(critic, made, 0, "cpu")
    with torch.no_grad():
        logits = critic.model(torch.tensor([[3, 4]])).logits[0, -1]
    expected = torch.log_softmax(logits, -1)[[7, 8]]
    found = torch.cat([part.logprobs[:, 0] for part in experience])
    assert torch.allclose(found, expected, atol=1e-6)


def test_missing_eos_replaces_the_score() -> None:
    critic = actor()
    made = [Rollout(Row((3,), (4,)), score=5.0, ended=False)]
    critic.settings = replace(critic.settings, whiten_advantages=False, kl_coefficient=0.0)
    experience, stats = collect(critic, made, 0, "cpu")
    assert float(experience[0].returns[0, 0]) == pytest.approx(-1.0, abs=1e-6)
    assert stats["ended"] == 0.0


def test_ppo_raises_the_probability_of_what_is_rewarded(tmp_path: Path) -> None:
    critic = ActorCritic(tiny_llama(), replace(PPO, iterations=10, rollouts=8), seed=0, fresh_adapter=False)

    def roll_out(model: Any, iteration: int) -> list[Rollout]:
        return [Rollout(Row((3,), (4 + k % 2, 2)), 1.0 if k % 2 else -1.0, True) for k in range(8)]

    def probability(token: int) -> float:
        with torch.no_grad():
            return float(torch.softmax(critic.model(torch.tensor([[3]])).logits[0, -1], -1)[token])

    good, bad = probability(5), probability(4)
    log = train_ppo(critic, roll_out, 0, 0, "cpu", tmp_path)
    assert probability(5) > good
    assert probability(4) < bad
    assert log[-1]["kl_to_reference"] != 0.0


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def roll_out(stop: int | None) -> Any:
        def inner(model: Any, iteration: int) -> list[Rollout]:
            if iteration == stop:
                raise Killed
            return rollouts(model, iteration)

        return inner

    whole, part = tmp_path / "whole", tmp_path / "part"
    whole.mkdir()
    part.mkdir()
    straight = actor()
    train_ppo(straight, roll_out(None), 1, 0, "cpu", whole)
    with pytest.raises(Killed):
        train_ppo(actor(), roll_out(2), 1, 0, "cpu", part)
    resumed = actor()
    log = train_ppo(resumed, roll_out(None), 1, 0, "cpu", part)
    assert len(log) == 3
    for a, b in zip(straight.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_length_batches_hold_every_row_once() -> None:
    batches = list(batches_by_length([5, 1, 9, 2, 7], 2, np.random.default_rng(0)))
    assert sorted(i for batch in batches for i in batch) == [0, 1, 2, 3, 4]
    assert max(len(batch) for batch in batches) == 2


def test_schedule_rises_then_falls_to_zero() -> None:
    factors = [linear_schedule(step, 10, 0.2) for step in range(10)]
    assert factors[:2] == [0.5, 1.0]
    assert factors == sorted(factors[:2]) + sorted(factors[2:], reverse=True)
    assert linear_schedule(10, 10, 0.2) == 0.0


def test_loss_and_gradient_equal_trl(tmp_path: Path) -> None:
    """One batch through trl's SFTTrainer: same loss, same weights after the step (plain AdamW, no decay)."""
    trl = pytest.importorskip("trl", reason="trl is in the test extra")
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    rows = [Row((3, 4, 5), (6, 7)), Row((8, 9), (10, 11, 12))]
    ours = tiny_llama()
    settings = replace(SETTINGS, max_grad_norm=1e9)
    loss = finetune(ours, rows, settings, np.random.default_rng(0), 0, "cpu")[0]

    words = {f"w{i}": i for i in range(32)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="w1")), pad_token="w0", eos_token="w2"
    )
    examples = [
        {"input_ids": [*r.prompt, *r.completion], "labels": [-100] * len(r.prompt) + list(r.completion)}
        for r in rows
    ]
    theirs = tiny_llama()
    arguments = trl.SFTConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        max_steps=1,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        max_length=None,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        dataloader_pin_memory=False,
        disable_tqdm=True,
        max_grad_norm=1e9,
        weight_decay=0.0,
        logging_steps=1,
        seed=0,
    )
    trainer = trl.SFTTrainer(
        model=theirs, args=arguments, train_dataset=Dataset.from_list(examples), processing_class=tokenizer
    )
    trainer.train()
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged[0] == pytest.approx(loss, abs=1e-4)  # trl rounds what it logs
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)

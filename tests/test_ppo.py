"""PPO against its papers' list of details (arXiv 2009.01325, 2403.17031), each on numbers done by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from alignment_bench import ppo_job
from alignment_bench.errors import BadInput
from alignment_bench.ledger import Spend, metering
from alignment_bench.methods.ppo import PPO
from alignment_bench.models.loading import new_adapter
from alignment_bench.reward_models import RewardModel
from alignment_bench.training import ppo as ppo_training
from alignment_bench.training import scalar
from alignment_bench.training.batches import Row, collate, token_logprobs
from alignment_bench.training.optimise import make_optimiser, precision
from alignment_bench.training.ppo import ActorCritic, Rollout, collect, effective_score, train_ppo
from alignment_bench.training.ppo_formulas import (
    gae,
    kl_estimate,
    policy_loss,
    token_rewards,
    value_loss,
    whitened,
)
from alignment_bench.training.preference import ScalarHead
from alignment_bench.training.settings import PPOSettings
from alignment_bench.training.start import Start

SETTINGS = PPOSettings(
    iterations=3,
    rollouts=4,
    epochs=2,
    minibatches=1,
    learning_rate=1e-3,
    kl_coefficient=0.0,
    clip=0.2,
    value_clip=0.2,
    value_coefficient=0.1,
    gamma=1.0,
    gae_lambda=0.95,
    missing_eos_score=-1.0,
    whiten_advantages=False,
    separate_value=True,
    micro_batch=4,
)
MASK = torch.tensor([[True, True, False], [True, True, True]])


def tiny_llama(seed: int = 0) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=32,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=64,
                tie_word_embeddings=True,
                initializer_range=0.2,
            )
        )


def actor(**changes: Any) -> ActorCritic:
    """A policy whose reference is another model, so that the KL is not 0."""
    critic = ActorCritic(tiny_llama(), replace(SETTINGS, **changes), seed=0, fresh_adapter=False)
    critic.reference = tiny_llama(1).requires_grad_(False).eval()
    return critic


ROLLOUTS = [
    Rollout(Row((3, 4), (5, 2)), 0.5, True),
    Rollout(Row((6,), (7, 8, 9, 2)), -0.25, True),
    Rollout(Row((10, 11, 12), (13, 14, 15)), 2.0, False),
]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_ratio_is_exactly_one_before_the_first_step(temperature: float) -> None:
    """Bit for bit, and so the surrogate's first gradient is that of the advantage alone."""
    critic = actor(temperature=temperature)
    experience, _ = collect(critic, ROLLOUTS, 0, "cpu")
    for part in experience:
        logprobs, values = critic.forward(part.batch)
        assert torch.equal(torch.exp(logprobs - part.logprobs), torch.ones_like(logprobs))
        assert torch.equal(values, part.values)


def test_a_missing_end_replaces_the_score_and_is_not_subtracted_from_it() -> None:
    """-1 whatever the reward model said; the score itself where the rule is off."""
    cut = Rollout(Row((3,), (4,)), score=5.0, ended=False)
    assert effective_score(cut, -1.0) == -1.0
    assert effective_score(cut, None) == 5.0
    assert effective_score(replace(cut, ended=True), -1.0) == 5.0
    for rule, expected in ((-1.0, -1.0), (None, 5.0)):
        experience, stats = collect(actor(missing_eos_score=rule), [cut], 0, "cpu")
        assert float(experience[0].returns[0, 0]) == pytest.approx(expected, abs=1e-6)
        assert stats["reward"] == 5.0, "the log shows what the reward model said"


def test_the_score_lands_on_the_last_real_token() -> None:
    """And on no padding."""
    zeros = torch.zeros(2, 3)
    rewards = token_rewards(zeros, zeros, torch.tensor([3.0, -2.0]), MASK, 0.1)
    assert rewards.tolist() == [[0.0, 3.0, 0.0], [0.0, 0.0, -2.0]]


def test_the_penalty_has_the_sign_of_the_log_ratio() -> None:
    """k1: a token likelier than under the reference costs, a less likely one pays; k3 costs either way."""
    logprobs, reference = torch.tensor([[-1.0, -3.0]]), torch.tensor([[-2.0, -1.0]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    none = torch.zeros(1)
    assert token_rewards(logprobs, reference, none, mask, 0.5)[0].tolist() == pytest.approx([-0.5, 1.0])
    k3 = [math.exp(-1.0) - 1 + 1.0, math.exp(2.0) - 1 - 2.0]
    found = token_rewards(logprobs, reference, none, mask, 0.5, "k3")[0].tolist()
    assert found == pytest.approx([-0.5 * value for value in k3])


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_both_estimators_have_the_kl_as_their_mean(estimator: Any) -> None:
    """Exactly, over all tokens of a small vocabulary."""
    policy, reference = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    estimates = kl_estimate(policy.log(), reference.log(), estimator)
    exact = float((policy * (policy / reference).log()).sum())
    assert float((policy * estimates).sum()) == pytest.approx(exact, abs=1e-6)
    assert (estimator == "k1") == bool((estimates < 0).any())


def test_whitening_is_over_real_tokens() -> None:
    """What lies under the padding changes nothing; rewards are scaled without being shifted."""
    parts = [torch.tensor([[1.0, 3.0, 77.0], [5.0, 7.0, 9.0]])]
    other = [torch.tensor([[1.0, 3.0, -5.0], [5.0, 7.0, 9.0]])]
    assert torch.equal(whitened(parts, [MASK])[0], whitened(other, [MASK])[0])
    real = whitened(parts, [MASK])[0][MASK]
    assert float(real.mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(real.std(unbiased=False)) == pytest.approx(1.0, abs=1e-5)
    scaled = whitened(parts, [MASK], shift=False)[0]
    assert float(scaled[MASK].mean()) == pytest.approx(5.0, abs=1e-5)
    assert float(scaled[MASK].std(unbiased=False)) == pytest.approx(1.0, abs=1e-5)
    assert float(scaled[0, 2]) == 0.0


def test_whitening_does_not_depend_on_micro_batches() -> None:
    """It is over all of an iteration's tokens at once."""
    found = []
    for size in (1, 4):
        critic = actor(whiten_advantages=True, whiten_rewards=True, kl_coefficient=0.1, micro_batch=size)
        experience, _ = collect(critic, ROLLOUTS, 0, "cpu")
        rows = [e.advantages[i][e.batch.mask[i]] for e in experience for i in range(len(e.advantages))]
        found.append(torch.cat(rows))
    assert torch.allclose(found[0], found[1], atol=1e-5)


def test_the_value_loss_is_half_of_the_larger_error() -> None:
    """Clipping never makes the loss smaller."""
    old, returns = torch.tensor([0.0, 0.0]), torch.tensor([2.0, -2.0])
    loss = value_loss(torch.tensor([1.0, 1.0]), old, returns, clip=0.2)
    assert loss.tolist() == pytest.approx([0.5 * 1.8**2, 0.5 * 3.0**2])


def test_the_ratio_is_clipped_on_the_side_that_pays() -> None:
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5]).log()
    loss = policy_loss(ratio, torch.zeros(4), torch.tensor([1.0, -1.0, 1.0, -1.0]), clip=0.2)
    assert loss.tolist() == pytest.approx([-1.2, 1.5, -0.5, 0.8])


def test_discount_and_lambda() -> None:
    """With both 1 the return is the sum of what is still to come, and padding adds nothing."""
    rewards, values = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.3, 0.4, 9.0]])
    mask = torch.tensor([[True, True, False]])
    advantages, returns = gae(rewards, values, mask, 1.0, 1.0)
    assert returns[0, :2].tolist() == pytest.approx([3.0, 2.0])
    assert advantages[0].tolist() == pytest.approx([2.7, 1.6, 0.0])


def test_the_temperature_divides_the_logits_of_policy_and_reference() -> None:
    """Both, in experience and update alike; a hand-made softmax says what comes out."""
    critic = actor(temperature=0.5)
    batch = collate([ROLLOUTS[0].row], 0, "cpu")
    with torch.no_grad():
        logprobs, _ = critic.forward(batch)
        models = ((critic.model, logprobs), (critic.reference, critic.reference_logprobs(batch)))
        for model, found in models:
            logits = model(torch.tensor([[3, 4, 5, 2]])).logits[0, 1:3]  # type: ignore[misc]
            expected = torch.log_softmax(logits / 0.5, -1)[[0, 1], [5, 2]]
            assert torch.allclose(found[0], expected, atol=1e-5)
            assert not torch.allclose(found[0], torch.log_softmax(logits, -1)[[0, 1], [5, 2]], atol=1e-2)


def test_padding_does_not_matter() -> None:
    """A rollout has the same numbers alone, beside longer ones, and with another id as padding."""
    critic = actor(kl_coefficient=0.3)
    alone = [collect(critic, [one], 0, "cpu")[0][0] for one in ROLLOUTS]
    for pad in (0, 31):
        together = collect(critic, ROLLOUTS, pad, "cpu")[0]
        rows = [(part, i) for part in together for i in range(len(part.returns))]
        for part, i in rows:
            length = int(part.batch.mask[i].sum())
            one = next(a for a in alone if int(a.batch.mask.sum()) == length)
            for name in ("logprobs", "values", "advantages", "returns"):
                mine, single = getattr(part, name)[i], getattr(one, name)[0]
                assert torch.allclose(mine[:length], single[:length], atol=1e-5), name
                assert float(mine[length:].abs().sum()) == 0.0, name


@pytest.mark.parametrize("separate", [True, False])
def test_a_value_is_read_from_the_state_before_its_token(separate: bool) -> None:
    """So it cannot know the token: another one at position t moves values after t and none up to it."""
    critic = actor(separate_value=separate)
    with torch.no_grad():
        one, other = (
            critic.forward(collect(critic, [Rollout(Row((3, 4), ids), 0.0, True)], 0, "cpu")[0][0].batch)[1][
                0
            ]
            for ids in ((5, 6, 2), (5, 9, 2))
        )
    assert torch.allclose(one[:2], other[:2], atol=1e-6)
    assert abs(float(one[2] - other[2])) > 1e-3


def climb(tmp_path: Path, **changes: Any) -> list[dict[str, float]]:
    """A reward that only one token has, with nothing that it could be a proxy of."""
    settings = replace(
        SETTINGS,
        **{"iterations": 30, "rollouts": 8, "learning_rate": 1e-2, "whiten_advantages": True, **changes},
    )
    critic = ActorCritic(tiny_llama(), settings, seed=0, fresh_adapter=False)

    def roll_out(model: Any, iteration: int) -> list[Rollout]:
        with torch.no_grad():
            chances = torch.softmax(model(torch.tensor([[3]])).logits[0, -1], -1)
        noise = torch.Generator().manual_seed(iteration)
        drawn = torch.multinomial(chances, 8, replacement=True, generator=noise).tolist()
        return [Rollout(Row((3,), (token,)), float(token == 5), True) for token in drawn]

    return train_ppo(critic, roll_out, 0, 0, "cpu", tmp_path)


def test_a_collapse_onto_the_reward_is_visible_in_the_log(tmp_path: Path) -> None:
    """Without a penalty the reward rises and the KL with it; a penalty holds both back."""
    free, held = tmp_path / "free", tmp_path / "held"
    free.mkdir()
    held.mkdir()
    log = climb(free)
    assert log[0]["kl_to_reference"] == pytest.approx(0.0, abs=1e-6)
    assert log[-1]["reward"] > log[0]["reward"] + 0.5
    assert log[-1]["kl_to_reference"] > 1.0
    penalised = climb(held, kl_coefficient=2.0)
    assert penalised[-1]["kl_to_reference"] < log[-1]["kl_to_reference"] / 2


def test_training_ends_where_the_kl_is_beyond_the_limit(tmp_path: Path) -> None:
    """With the model that drew those rollouts: no pass follows, so the last row has no loss."""
    log = climb(tmp_path, stop_at_kl=0.5)
    assert len(log) < 30
    assert log[-1]["kl_to_reference"] > 0.5 >= max(row["kl_to_reference"] for row in log[:-1])
    assert "loss" not in log[-1] and all("loss" in row for row in log[:-1])


@pytest.mark.parametrize(
    ("minibatches", "micro_batch", "steps"),
    [(1, 64, 1), (1, 2, 1), (4, 64, 4), (5, 2, 5), (3, 1, 3), (20, 64, 9)],
)
def test_a_pass_takes_as_many_steps_as_it_was_told(
    minibatches: int, micro_batch: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes through the model at once; every rollout once a pass; at most a step a rollout."""
    seen: list[int] = []

    def counted(critic: Any, optimiser: Any, part: Any) -> float:
        seen.append(sum(len(e.returns) for e in part))
        return 0.0

    monkeypatch.setattr(ppo_training, "step", counted)
    critic = actor(minibatches=minibatches, micro_batch=micro_batch, epochs=2)
    optimiser = make_optimiser(critic.trained, 1e-3)
    ppo_training.one_iteration(critic, optimiser, ROLLOUTS * 3, (0, 0), 0, "cpu")
    assert len(seen) == 2 * steps and sum(seen) == 2 * 9


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("separate_value", [True, False])
def test_the_pass_that_scores_serves_the_first_step(
    separate_value: bool, lora: bool, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one micro-batch holds the iteration: the same weights bit for bit, for one pass less.

    Under LoRA the reference is the same model with its adapter off.
    """
    found: list[tuple[int, dict[str, Any], Spend]] = []
    original = collect

    def without_graph(*arguments: Any) -> Any:
        experience, stats = original(*arguments)
        assert [e.fresh is not None for e in experience] == [True]
        return [replace(e, fresh=None) for e in experience], stats

    for way in (original, without_graph):
        critic = actor(separate_value=separate_value, epochs=2, bf16=bf16)
        if lora:
            model = new_adapter(tiny_llama(), 4, seed=0)
            critic = ActorCritic(model, critic.settings, seed=0, fresh_adapter=True)
        started = {name: weight.clone() for name, weight in critic.trained.state_dict().items()}
        passes: list[int] = []
        critic.model.register_forward_hook(lambda *_, passes=passes: passes.append(1))
        monkeypatch.setattr(ppo_training, "collect", way)
        with metering() as meter:
            ppo_training.one_iteration(
                critic, make_optimiser(critic.trained, 1e-2), ROLLOUTS, (0, 0), 0, "cpu"
            )
        found.append((len(passes), critic.trained.state_dict(), meter.total))
        assert any(not torch.equal(weight, started[name]) for name, weight in found[-1][1].items())
    (once, weights, spent), (again, others, _) = found
    assert (once, again) == ((3, 4) if lora else (2, 3))
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    tokens = sum(rollout.row.length for rollout in ROLLOUTS)
    assert (spent.tokens_scored, spent.tokens_trained) == (tokens, 2 * tokens)


@pytest.mark.parametrize("separate_value", [True, False])
@pytest.mark.parametrize("micro_batch", [64, 1])
def test_a_pass_that_no_step_follows_is_paid_for(separate_value: bool, micro_batch: int) -> None:
    """Where training stops by its KL: policy, reference and a value model have all scored the rollouts."""
    critic = actor(separate_value=separate_value, micro_batch=micro_batch, stop_at_kl=-1e9)
    with metering() as meter:
        row = ppo_training.one_iteration(
            critic, make_optimiser(critic.trained, 1e-2), ROLLOUTS, (0, 0), 0, "cpu"
        )
    tokens = sum(rollout.row.length for rollout in ROLLOUTS)
    assert "loss" not in row and meter.total.tokens_trained == 0
    assert meter.total.tokens_scored == (3 if separate_value else 2) * tokens
    assert meter.total.flops == 2 * critic.parameters_policy * meter.total.tokens_scored


def test_several_micro_batches_keep_no_graph() -> None:
    """They would all be in memory at once."""
    experience, _ = collect(actor(micro_batch=2), ROLLOUTS, 0, "cpu")
    assert len(experience) == 2 and all(e.fresh is None for e in experience)
    assert not any(e.logprobs.requires_grad or e.values.requires_grad for e in experience)


def test_the_optimiser_is_adamw_with_the_papers_epsilon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """1e-5, not the library's 1e-8; without weight decay."""
    made: list[torch.optim.AdamW] = []

    def kept(*arguments: Any, **fields: Any) -> torch.optim.AdamW:
        made.append(make_optimiser(*arguments, **fields))
        return made[-1]

    monkeypatch.setattr(ppo_training, "make_optimiser", kept)
    critic = actor(iterations=1)
    train_ppo(critic, lambda model, iteration: ROLLOUTS, 0, 0, "cpu", tmp_path)
    (optimiser,) = made
    assert [(g["eps"], g["weight_decay"]) for g in optimiser.param_groups] == [(1e-5, 0.0)]


def test_a_value_function_needs_a_reward_model_with_a_head() -> None:
    with pytest.raises(BadInput, match="reward_kind=scalar"):
        PPO(value_start="reward")
    with pytest.raises(BadInput, match="value_start"):
        PPO(value_start="reward", reward_kind="scalar", reward="teacher")
    assert PPO(value_start="reward", reward_kind="scalar").value_start == "reward"
    with pytest.raises(ValueError, match="separate_value"):
        head = ScalarHead(tiny_llama(), seed=0)
        ActorCritic(tiny_llama(), replace(SETTINGS, separate_value=False), 0, False, head)


def test_the_value_function_starts_as_the_normalised_reward_model(
    small_tldr: Any, small_world: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its value of a whole completion, before any step, is the reward that PPO is given for it."""
    cell = small_tldr.cell("ppo:value_start=reward:reward_kind=scalar:iterations=1:rollouts=4")
    heads: list[tuple[RewardModel, dict[str, torch.Tensor]]] = []
    made = scalar.value_head

    def watched(model: RewardModel, lora_rank: int, seed: int) -> ScalarHead:
        head = made(model, lora_rank, seed)
        heads.append((model, {k: v.detach().clone() for k, v in head.state_dict().items()}))
        return head

    monkeypatch.setattr(scalar, "value_head", watched)
    with small_world.calls_of(ppo_job, "ppo", monkeypatch) as calls:
        small_tldr.align(cell)
    (model, state), settings = heads[0], calls[0][0][5]
    assert settings.separate_value
    prompts = [e.prompt for e in cell.setting.data.train][:5]
    policy = model.trunk
    completions = [policy.encode("my friend sold the car."), policy.encode("my aunt lost the bike.")]
    asked = [(prompt, c) for prompt in prompts for c in completions]
    rewards = model.score([p for p, _ in asked], [c for _, c in asked])
    head = made(model, 0, 0)
    assert all(torch.equal(state[name], value) for name, value in head.state_dict().items())
    rows = [Row(tuple(policy.render(p)), c.tokens) for p, c in asked]
    with torch.no_grad():
        values = head.last(collate(rows, policy.pad, "cpu")).tolist()
    assert values == pytest.approx(rewards, abs=1e-4)


def test_rollouts_are_drawn_at_the_temperature_that_divides_the_logits(
    small_tldr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What samples is what is learned from, without truncation."""
    from alignment_bench.models.policy import ModelPolicy

    seen = []
    original = ModelPolicy.generate_with

    def watched(self: Any, model: Any, prompts: Any, **options: Any) -> Any:
        seen.append(options["decoding"])
        return original(self, model, prompts, **options)

    monkeypatch.setattr(ModelPolicy, "generate_with", watched)
    from alignment_bench.training import ppo

    divided = []

    def noted(logits: Any, batch: Any, temperature: float = 1.0) -> Any:
        divided.append(temperature)
        return token_logprobs(logits, batch, temperature)

    monkeypatch.setattr(ppo, "token_logprobs", noted)
    cell = small_tldr.cell("ppo:temperature=.7:iterations=1:rollouts=4:epochs=1")
    small_tldr.align(cell)
    in_ppo = [d for d in seen if d.temperature == 0.7]
    assert len(in_ppo) == 1 and (in_ppo[0].top_p, in_ppo[0].top_k) == (1.0, 0)
    assert divided and set(divided) == {0.7}


def test_ppo_measures_itself(small_tldr: Any) -> None:
    """Proxy reward first and last, KL to the start, share that ended, and the reward model's accuracy."""
    small_tldr.run("ppo:iterations=2:rollouts=8", "budget=6150s")
    record = small_tldr.records()["ppo:iterations=2:rollouts=8"]
    assert {"proxy_reward_first", "proxy_reward_last", "kl_to_start", "ended"} <= set(record.measures)
    assert 0.0 <= record.measures["reward_model_accuracy"] <= 1.0
    assert math.isfinite(record.measures["proxy_reward_last"])


@pytest.mark.parametrize("kind", ["fresh adapter", "trained adapter", "all weights"])
@pytest.mark.parametrize("bf16", [False, True])
def test_the_reference_is_the_start_without_a_second_model(kind: str, bf16: bool) -> None:
    """The same logits after training as before it, in autocast too, which keeps casts of trained weights; the
    model in training is left as it was."""
    model = tiny_llama()
    noise = torch.Generator().manual_seed(0)

    def change() -> None:
        with torch.no_grad():
            for p in model.parameters():
                if p.requires_grad:
                    p += 0.1 * torch.randn(p.shape, generator=noise)

    if kind != "all weights":
        model = new_adapter(model, 2, seed=0)
    if kind == "trained adapter":
        change()
    start = Start(model, fresh_adapter=kind == "fresh adapter")
    assert list(start.parameters()) == []
    ids = torch.tensor([[3, 4, 5, 6]])
    with torch.no_grad(), precision(bf16, "cpu"):
        before = model(input_ids=ids).logits
    change()
    trained = {name: p.detach().clone() for name, p in model.named_parameters()}
    with precision(bf16, "cpu"):
        ours = model(input_ids=ids).logits
        assert torch.equal(start(input_ids=ids).logits, before)
        assert torch.equal(model(input_ids=ids).logits, ours)
    ours.sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    assert gradients and not torch.equal(ours, before)
    assert all(torch.equal(p, trained[name]) for name, p in model.named_parameters())
    model.zero_grad()
    with precision(bf16, "cpu"):
        alone = model(input_ids=ids).logits
    alone.sum().backward()
    again = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert all(torch.equal(again[name], expected) for name, expected in gradients.items())

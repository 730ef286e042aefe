"""PPO on completions (Schulman et al. 2017; for summaries Stiennon et al. 2020; details Huang et al. 2024).

Per-token reward is -kl_coefficient * KL estimate (k1: log pi - log reference); the reward model's score
is added at the last real token, and replaced by `missing_eos_score` where the completion did not end.
Rewards are whitened only where asked (scaled, not shifted), advantages by default; GAE; clipped ratio;
clipped value loss, half of the maximum; every mean is over real tokens alone; logits are divided by the
rollouts' temperature in policy, reference and update alike; no dropout; AdamW with eps 1e-5 and a linearly
falling learning rate. The value function is read from the state before each token; it is a new head on the
policy's trunk or on a copy of it (`separate_value`), or starts as the scalar reward model, rescaled to the
normalised reward (`value_start`).

Deviations: rollouts stop at the end of sequence instead of running to a fixed length and being cut there;
position ids are those of the unpadded sequence; gradients are clipped to norm 1.

Old log-probabilities, reference and values are computed on the very micro-batches that the updates use,
so that the ratio is exactly 1 before the first step. Where one micro-batch holds a whole iteration, the pass
that finds them is also the forward pass of the first step: nothing has changed in between. State is
checkpointed after every iteration.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alignment_bench.digests import generator
from alignment_bench.errors import Diverged
from alignment_bench.ledger import Spend, current_spend, forward_cost, report, training_cost
from alignment_bench.training.batches import Batch, Row, collate, token_logprobs
from alignment_bench.training.optimise import linear_schedule, make_optimiser, precision
from alignment_bench.training.ppo_formulas import gae, policy_loss, token_rewards, value_loss, whitened
from alignment_bench.training.preference import ScalarHead
from alignment_bench.training.settings import PPOSettings
from alignment_bench.training.start import Start


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled completion as ids, its reward-model score, and whether it ended by itself."""

    row: Row
    score: float
    ended: bool


@dataclass(slots=True)
class Experience:
    """One micro-batch of rollouts with what was true before the update; tensors are [B, C]."""

    batch: Batch
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    fresh: tuple[Tensor, Tensor] | None = None
    """log-probabilities and values with their graph, while no step was taken since"""


class ActorCritic:
    """The policy that is trained, its frozen reference and its value head, on one device."""

    def __init__(
        self,
        model: Any,
        settings: PPOSettings,
        seed: int,
        fresh_adapter: bool,
        value: ScalarHead | None = None,
    ) -> None:
        """The reference is the model as it is now; a `fresh_adapter` of its changed nothing yet.

        `value` is what the value function starts from, trunk and all; None: a new head, drawn from `seed`.
        """
        self.model = model
        self.settings = settings
        self.reference = Start(model, fresh_adapter)
        if value is None:
            value = ScalarHead(copy.deepcopy(model) if settings.separate_value else model, seed)
        elif not settings.separate_value:
            raise ValueError("a value function with a start of its own needs separate_value")
        self.value = value
        self.trained = torch.nn.ModuleList([model, self.value])
        self.parameters_policy = sum(p.numel() for p in model.parameters())
        self.trunks = 2 if settings.separate_value else 1

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities and values at each completion token, [B, C] each.

        The value at position t is read from the hidden state before token t.
        """
        columns = batch.completion.shape[1]
        output = self.model(
            input_ids=batch.ids,
            attention_mask=batch.attention,
            position_ids=batch.positions,
            logits_to_keep=columns + 1,
            output_hidden_states=not self.settings.separate_value,
            use_cache=False,
        )
        logprobs = token_logprobs(output.logits[:, :-1], batch, self.settings.temperature)
        if self.settings.separate_value:
            hidden = self.value.model(
                input_ids=batch.ids,
                attention_mask=batch.attention,
                position_ids=batch.positions,
                logits_to_keep=1,
                output_hidden_states=True,
                use_cache=False,
            ).hidden_states[-1]
        else:
            hidden = output.hidden_states[-1]
        before = hidden[:, -columns - 1 : -1].float()
        values = before @ self.value.weight + self.value.bias
        return logprobs, values.masked_fill(~batch.mask, 0.0)

    @torch.no_grad()
    def reference_logprobs(self, batch: Batch) -> Tensor:
        """Log-probabilities under the frozen start of training, [B, C]."""
        columns = batch.completion.shape[1]
        logits = self.reference(
            input_ids=batch.ids,
            attention_mask=batch.attention,
            position_ids=batch.positions,
            logits_to_keep=columns + 1,
            use_cache=False,
        ).logits
        return token_logprobs(logits[:, :-1], batch, self.settings.temperature)


def train_ppo(
    actor: ActorCritic,
    roll_out: Callable[[Any, int], Sequence[Rollout]],
    seed: int,
    pad: int,
    device: str,
    partial: Path,
) -> list[dict[str, float]]:
    """Trains the actor's model in place; returns one row of diagnostics per iteration.

    `roll_out(model, iteration)` samples and scores `rollouts` completions of the model as it is, at the
    settings' temperature. Where they are further than `stop_at_kl` from the start, training ends with the
    model that drew them: the last row then has no loss. `partial` holds the checkpoint from which a killed
    run goes on, with the same result.
    """
    settings, model = actor.settings, actor.model
    optimiser = make_optimiser(actor.trained, settings.learning_rate, eps=1e-5)
    start, log = restore(partial, actor, optimiser)
    for iteration in range(start, settings.iterations):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * linear_schedule(iteration, settings.iterations, 0.0)
        model.eval()
        rollouts = roll_out(model, iteration)
        row = one_iteration(actor, optimiser, rollouts, (seed, iteration), pad, device)
        log.append({"iteration": float(iteration), **row})
        if "loss" not in row:
            break
        checkpoint(partial, actor, optimiser, iteration + 1, log)
    model.eval()
    return log


def one_iteration(
    actor: ActorCritic,
    optimiser: torch.optim.Optimizer,
    rollouts: Sequence[Rollout],
    seed: tuple[int, int],
    pad: int,
    device: str,
) -> dict[str, float]:
    """Experience, then `epochs` passes of `minibatches` steps each; diagnostics of the iteration.

    Beyond `stop_at_kl` there is no pass, and no `loss` among the diagnostics.
    """
    settings = actor.settings
    experience, stats = collect(actor, rollouts, pad, device)
    if settings.stop_at_kl is not None and stats["kl_to_reference"] > settings.stop_at_kl:
        # No step follows that would pay for the pass it shares.
        unpaid = actor.trunks * sum(e.batch.tokens for e in experience if e.fresh is not None)
        report(Spend(tokens_scored=unpaid, flops=forward_cost(actor.parameters_policy, unpaid)))
        actor.trained.eval()
        return stats
    noise = generator("ppo minibatches", *seed)
    losses: list[float] = []
    actor.trained.train()
    for _ in range(settings.epochs):
        order = noise.permutation(len(experience))
        for part in np.array_split(order, min(settings.minibatches, len(order))):
            losses.append(step(actor, optimiser, [experience[int(i)] for i in part]))
    actor.trained.eval()
    return {**stats, "loss": sum(losses) / len(losses)}


def collect(
    actor: ActorCritic, rollouts: Sequence[Rollout], pad: int, device: str
) -> tuple[list[Experience], dict[str, float]]:
    """Everything the update needs, computed before it, on length-sorted micro-batches.

    They are small enough for every minibatch to have one of its own.
    """
    settings = actor.settings
    ordered = sorted(rollouts, key=lambda rollout: rollout.row.length)
    size = min(settings.micro_batch, max(1, len(ordered) // settings.minibatches))
    whole = len(ordered) <= size
    fresh: tuple[Tensor, Tensor] | None = None
    seen: list[tuple[Batch, Tensor, Tensor, Tensor]] = []
    kl = 0.0
    actor.trained.train()  # no dropout anywhere: the same numbers as in the update, bit for bit
    for start in range(0, len(ordered), size):
        part = ordered[start : start + size]
        batch = collate([rollout.row for rollout in part], pad, device)
        with precision(settings.bf16, device):
            reference = actor.reference_logprobs(batch)
        # Under an autocast of its own: one keeps its casts of weights, and those made above have no graph.
        with torch.set_grad_enabled(whole), precision(settings.bf16, device):
            logprobs, values = actor.forward(batch)
        if whole:
            fresh = logprobs, values
            logprobs, values = logprobs.detach(), values.detach()
        scores = torch.tensor([effective_score(r, settings.missing_eos_score) for r in part], device=device)
        rewards = token_rewards(
            logprobs, reference, scores, batch.mask, settings.kl_coefficient, settings.kl_estimator
        )
        seen.append((batch, logprobs, values, rewards))
        kl += float((logprobs - reference).sum())
        passes = 1 if whole else actor.trunks + 1  # a pass that trains as well is paid for there
        cost = forward_cost(actor.parameters_policy, batch.tokens) * passes
        report(Spend(tokens_scored=batch.tokens * passes, flops=cost))
    masks = [batch.mask for batch, _, _, _ in seen]
    paid = [rewards for _, _, _, rewards in seen]
    if settings.whiten_rewards:
        paid = whitened(paid, masks, shift=False)
    estimates = [
        gae(rewards, values, batch.mask, settings.gamma, settings.gae_lambda)
        for (batch, _, values, _), rewards in zip(seen, paid, strict=True)
    ]
    advantages = [advantage for advantage, _ in estimates]
    if settings.whiten_advantages:
        advantages = whitened(advantages, masks)
    experience = [
        Experience(batch, logprobs, values, advantage, returns, fresh)
        for (batch, logprobs, values, _), advantage, (_, returns) in zip(
            seen, advantages, estimates, strict=True
        )
    ]
    stats = {
        "reward": sum(r.score for r in rollouts) / len(rollouts),
        "kl_to_reference": kl / len(rollouts),
        "ended": sum(r.ended for r in rollouts) / len(rollouts),
        "tokens": sum(float(mask.sum()) for mask in masks) / len(rollouts),
    }
    return experience, stats


def effective_score(rollout: Rollout, missing_eos_score: float | None) -> float:
    """The rollout's score, replaced (not reduced) where it did not end and there is a rule for that."""
    return rollout.score if rollout.ended or missing_eos_score is None else missing_eos_score


def step(actor: ActorCritic, optimiser: torch.optim.Optimizer, part: Sequence[Experience]) -> float:
    """One optimiser step on a minibatch, accumulated over its micro-batches; returns the loss."""
    settings = actor.settings
    terms = sum(int(e.batch.mask.sum()) for e in part)
    total = 0.0
    for e in part:
        if e.fresh is None:
            with precision(settings.bf16, e.batch.ids.device.type):
                logprobs, values = actor.forward(e.batch)
        else:
            (logprobs, values), e.fresh = e.fresh, None
        surrogate = policy_loss(logprobs, e.logprobs, e.advantages, settings.clip)
        error = value_loss(values, e.values, e.returns, settings.value_clip)
        loss = ((surrogate + settings.value_coefficient * error) * e.batch.mask).sum() / terms
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
        cost = training_cost(actor.parameters_policy, e.batch.tokens) * actor.trunks
        report(Spend(tokens_trained=e.batch.tokens, flops=cost))
    torch.nn.utils.clip_grad_norm_(actor.trained.parameters(), settings.max_grad_norm)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    if not torch.isfinite(torch.tensor(total)):
        raise Diverged("learning_rate: the PPO loss became infinite or NaN (lower it)")
    return total


def checkpoint(
    partial: Path,
    actor: ActorCritic,
    optimiser: torch.optim.Optimizer,
    iteration: int,
    log: list[dict[str, float]],
) -> None:
    """Writes the state after an iteration; the file is replaced whole."""
    trained = {name: p for name, p in actor.trained.named_parameters() if p.requires_grad}
    state = {
        "weights": {name: p.detach() for name, p in trained.items()},
        "optimiser": optimiser.state_dict(),
        "iteration": iteration,
        "log": log,
        "spend": current_spend().to_json(),
    }
    scratch = partial / f"ppo.{os.getpid()}"
    torch.save(state, scratch)
    os.replace(scratch, partial / "ppo.pt")


def restore(
    partial: Path, actor: ActorCritic, optimiser: torch.optim.Optimizer
) -> tuple[int, list[dict[str, float]]]:
    """Loads the checkpoint of a killed run, if there is one; the next iteration and the log so far."""
    path = partial / "ppo.pt"
    if not path.exists():
        return 0, []
    state = torch.load(path, weights_only=True)
    named = dict(actor.trained.named_parameters())
    with torch.no_grad():
        for name, value in state["weights"].items():
            named[name].copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    report(Spend.from_json(state["spend"]))
    return int(state["iteration"]), list(state["log"])

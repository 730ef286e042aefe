"""PPO's formulas, each on tensors [B, C] of B completions and C columns, `mask` True on real tokens.

Schulman et al. 2017 (arXiv 1707.06347); GAE: Schulman et al. 2016 (arXiv 1506.02438); on completions as in
Huang et al. 2024 (arXiv 2403.17031). Nothing under the mask's padding reaches a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor


def kl_estimate(logprobs: Tensor, reference: Tensor, estimator: Literal["k1", "k3"]) -> Tensor:
    """KL(policy || reference) at each sampled token, from that token alone: k1 the log ratio, unbiased and
    of either sign; k3 = exp(-k1) - 1 + k1, unbiased as well and never negative."""
    ratio = logprobs - reference
    return ratio if estimator == "k1" else torch.expm1(-ratio) + ratio


def token_rewards(
    logprobs: Tensor,
    reference: Tensor,
    scores: Tensor,
    mask: Tensor,
    kl_coefficient: float,
    estimator: Literal["k1", "k3"] = "k1",
) -> Tensor:
    """Per-token rewards [B, C]: KL penalty everywhere, the score [B] added at the last real token."""
    rewards = -kl_coefficient * kl_estimate(logprobs, reference, estimator)
    last = (mask.sum(1) - 1).clamp(min=0).unsqueeze(1)
    rewards = rewards.scatter_add(1, last, scores.unsqueeze(1).to(rewards.dtype))
    return rewards.masked_fill(~mask, 0.0)


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates and returns, [B, C] each; the value after the last token is 0."""
    values = values.masked_fill(~mask, 0.0)
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        next_value = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(following)
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = (delta + gamma * gae_lambda * following) * mask[:, t]
        advantages[:, t] = following
    return advantages, advantages + values


def policy_loss(logprobs: Tensor, old: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Clipped surrogate per token, [B, C], to be minimised."""
    ratio = torch.exp(logprobs - old)
    return torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))


def value_loss(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half of the larger of the plain and the clipped squared error per token, [B, C]."""
    clipped = old + (values - old).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)


def whitened(values: Sequence[Tensor], masks: Sequence[Tensor], shift: bool = True) -> list[Tensor]:
    """Scaled to variance 1 over all real tokens of all parts, and to mean 0 unless `shift` is off."""
    real = torch.cat([value[mask] for value, mask in zip(values, masks, strict=True)])
    mean, scale = real.mean(), real.std(unbiased=False) + 1e-8
    back = 0.0 if shift else mean
    return [
        ((value - mean) / scale + back).masked_fill(~mask, 0.0)
        for value, mask in zip(values, masks, strict=True)
    ]

"""Training sizes that go with a model's size: what a method's field means when it is left at None.

A tier lowers or raises training sizes, never the price of an act. Values a method was tuned to for one
task and model will take precedence over these.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tier:
    """Defaults for models of one order of magnitude."""

    name: str
    learning_rate: float
    """of supervised fine-tuning"""
    epochs: int
    batch_size: int
    micro_batch: int
    lora_rank: int
    bf16: bool
    reward_learning_rate: float
    """of reward models and preference losses"""
    reward_epochs: int
    ppo_learning_rate: float
    ppo_iterations: int
    ppo_rollouts: int
    separate_value: bool
    """PPO's value function has its own copy of the model"""
    ilf_rounds: int
    selection: str
    """how ILF picks among refinements"""


TINY = Tier(
    name="tiny",
    learning_rate=1e-3,
    epochs=3,
    batch_size=16,
    micro_batch=64,
    lora_rank=0,
    bf16=False,
    reward_learning_rate=1e-3,
    reward_epochs=3,
    ppo_learning_rate=3e-4,
    ppo_iterations=28,
    ppo_rollouts=64,
    separate_value=False,
    ilf_rounds=3,
    selection="likelihood",
)
SMALL = Tier(
    name="small",
    learning_rate=2e-4,
    epochs=2,
    batch_size=8,
    micro_batch=4,
    lora_rank=16,
    bf16=True,
    reward_learning_rate=2e-4,
    reward_epochs=2,
    ppo_learning_rate=5e-5,
    ppo_iterations=6,
    ppo_rollouts=32,
    separate_value=False,
    ilf_rounds=1,
    selection="reward_model",
)


def tier_of(parameters: int) -> Tier:
    """The tier of a model with that many weights."""
    return TINY if parameters < 10_000_000 else SMALL

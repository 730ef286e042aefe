"""Training sizes that go with a model's size: what a method's field means when it is left at None.

A tier lowers or raises training sizes, never the price of an act. Values a method was tuned to for one
task and model will take precedence over these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Tier:
    """Defaults for models of one order of magnitude."""

    name: str
    learning_rate: float
    """of supervised fine-tuning"""
    epochs: int
    batch_size: int
    micro_batch: int
    """rows that go through the model at once; a matter of memory"""
    lora_rank: int
    bf16: bool
    reward_learning_rate: float
    """of reward models and preference losses"""
    reward_epochs: int
    ppo_learning_rate: float
    ppo_iterations: int
    ppo_rollouts: int
    online_learning_rate: float
    """of GRPO and RLOO"""
    online_dpo_learning_rate: float
    online_steps: int
    """steps of sampling and updating in online DPO, GRPO and RLOO"""
    online_rollouts: int
    """completions drawn in such a step"""
    separate_value: bool
    """PPO's value function has its own copy of the model"""
    expert_rounds: int
    expert_prompts: int
    """prompts in each round of expert iteration"""
    expert_samples: int
    """answers to each of them"""
    alt_iterations: int
    alt_prompts: int
    """prompts in each iteration of ALT"""
    alt_samples: int
    """answers to each of them"""
    alt_epochs: int
    quark_rounds: int
    quark_prompts: int
    """prompts answered once in each of Quark's rounds"""
    quark_steps: int
    """optimiser steps in each of them"""
    hindsight_learning_rate: float
    """of Chain of Hindsight"""
    hindsight_epochs: int
    review_learning_rate: float
    """of learning to write critiques in a form of their own (SRT, self-rewarding)"""
    review_epochs: int
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
    online_learning_rate=3e-4,
    online_dpo_learning_rate=5e-4,
    online_steps=28,
    online_rollouts=64,
    separate_value=False,
    expert_rounds=3,
    expert_prompts=200,
    expert_samples=8,
    alt_iterations=2,
    alt_prompts=160,
    alt_samples=10,
    alt_epochs=2,
    quark_rounds=4,
    quark_prompts=800,
    quark_steps=60,
    hindsight_learning_rate=2e-3,
    hindsight_epochs=2,
    review_learning_rate=3e-3,
    review_epochs=8,
    ilf_rounds=3,
    selection="likelihood",
)
SMALL = Tier(
    name="small",
    learning_rate=2e-4,
    epochs=2,
    batch_size=8,
    micro_batch=2,
    lora_rank=16,
    bf16=True,
    reward_learning_rate=2e-4,
    reward_epochs=2,
    ppo_learning_rate=5e-5,
    ppo_iterations=6,
    ppo_rollouts=32,
    online_learning_rate=5e-5,
    online_dpo_learning_rate=5e-5,
    online_steps=6,
    online_rollouts=32,
    separate_value=False,
    expert_rounds=1,
    expert_prompts=48,
    expert_samples=4,
    alt_iterations=2,
    alt_prompts=32,
    alt_samples=10,
    alt_epochs=1,
    quark_rounds=3,
    quark_prompts=96,
    quark_steps=16,
    hindsight_learning_rate=2e-4,
    hindsight_epochs=1,
    review_learning_rate=1e-3,
    review_epochs=5,
    ilf_rounds=1,
    selection="reward_model",
)


def tier_of(parameters: int, device: str = "cpu") -> Tier:
    """The tier of a model with that many weights, on a CPU or a CUDA device.

    On a CPU two rows at once take as long as four, each half as long, and leave gigabytes free; a GPU would
    idle.
    """
    if parameters < 10_000_000:
        return TINY
    return SMALL if device == "cpu" else replace(SMALL, micro_batch=4)

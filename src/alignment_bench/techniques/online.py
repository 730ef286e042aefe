"""What the methods that go through `lab.online` share: steps that the budget pays for, and what is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from alignment_bench.errors import BadInput, OverBudget, Problem
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import Kind, RewardModel
from alignment_bench.training.trl_settings import OnlineSettings

if TYPE_CHECKING:
    from alignment_bench.lab import Lab

Judge = Literal["model", "teacher", "preferences"]
"""a reward model, the teacher's score of every rollout, or its preference in every pair"""


def groups(rollouts: int, group: int) -> int:
    """Prompts of a step of so many rollouts. Raises BadInput where the groups would not be whole."""
    if rollouts % group:
        message = f"{rollouts} rollouts are no whole number of groups of {group}"
        raise BadInput([Problem("rollouts", message, f"use a multiple of {group}")])
    return rollouts // group


def places(asked: int | None, usual: int, group: int) -> int:
    """Prompts of a step: for the rollouts asked for, or for as many of the usual as make whole groups."""
    return max(1, usual // group) if asked is None else groups(asked, group)


def affordable_steps(judge: Judge, wanted: int, prompts: int, group: int, lab: Lab) -> int:
    """How many of the wanted steps the budget pays for, where the teacher judges; a cut is a footnote."""
    if judge == "model":
        return wanted
    channel: Literal["score", "prefer"] = "score" if judge == "teacher" else "prefer"
    acts = prompts * group if judge == "teacher" else prompts
    steps = lab.feedback.affordable(channel) // acts
    if steps < 1:
        raise OverBudget(f"the budget does not pay for one step of {acts} {channel} acts")
    if steps < wanted:
        lab.note(f"{steps} of {wanted} steps, the budget ends there")
    return min(steps, wanted)


def train(
    policy: LogitPolicy,
    prompts: Sequence[Prompt],
    judge: Judge,
    kind: Kind,
    settings: OnlineSettings,
    lab: Lab,
) -> LogitPolicy:
    """The policy after training, with its course as a footnote and as measures."""
    reward: RewardModel | Literal["teacher", "preferences"]
    if judge == "model":
        reward = model = lab.reward_model(policy, prompts, kind=kind)
        if model.card.accuracy is not None:
            lab.measure("reward_model_accuracy", model.card.accuracy)
    else:
        reward = judge
    trained, log = lab.online(policy, prompts, reward, settings)
    first, last = log[0], log[-1]
    course = f"{settings.steps} steps of {settings.rollouts} rollouts in groups of {settings.group}"
    if "reward" in last:
        lab.measure("proxy_reward", last["reward"])
        course += f"; reward {first['reward']:+.2f} -> {last['reward']:+.2f}"
    else:
        course += f"; {sum(row['labelled'] for row in log) / len(log):.0%} of pairs labelled"
    if "kl_to_reference" in last:
        lab.measure("kl_to_start", last["kl_to_reference"])
        course += f", KL to start {last['kl_to_reference']:.2f} nat a sequence"
    lab.note(f"{course}, ended {last['ended']:.0%}")
    return trained

"""PPO as a job: the loop of `training.ppo` on rollouts of the policy as it is, scored as they come.

torch takes seconds to import: only a job that runs does, never one whose result is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed, generator
from alignment_bench.job_keys import digest_prompts
from alignment_bench.jobs import JobResult, Workplace
from alignment_bench.lines import dump_lines, load_lines
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Prompt
from alignment_bench.reward_models import RewardModel
from alignment_bench.work import Work, model_policy

if TYPE_CHECKING:
    from alignment_bench.training.settings import PPOSettings

Scorer = Callable[[Sequence[Prompt], Sequence[Completion]], Sequence[float]]


def ppo(
    work: Work,
    policy: LogitPolicy,
    prompts: Sequence[Prompt],
    reward: Scorer,
    reward_digest: str,
    settings: PPOSettings,
    decoding: Decoding,
    seed: int,
    value_start: RewardModel | None = None,
) -> tuple[LogitPolicy, list[dict[str, float]], JobResult]:
    """The policy after PPO against `reward`, and one row of diagnostics per iteration.

    Rollouts are drawn at the settings' temperature. `value_start` is the scalar reward model that the
    value function starts from; None: a new head.
    """
    start = model_policy(policy)
    decoding = replace(decoding, temperature=settings.temperature)

    def job(place: Workplace) -> None:
        from alignment_bench.models.loading import make_room
        from alignment_bench.models.storage import save_policy
        from alignment_bench.training.batches import Row
        from alignment_bench.training.ppo import ActorCritic, Rollout, train_ppo
        from alignment_bench.training.scalar import value_head

        order = generator("ppo prompts", seed).permutation(len(prompts))

        def roll_out(model: Any, iteration: int) -> list[Rollout]:
            first = iteration * settings.rollouts
            chosen = [prompts[int(order[(first + k) % len(order)])] for k in range(settings.rollouts)]
            # A prompt that occurs k times gets k samples of its own, not k copies of one.
            times = Counter(prompt.id for prompt in chosen)
            distinct = list({prompt.id: prompt for prompt in chosen}.values())
            lists = start.generate_with(
                model,
                distinct,
                n=max(times.values()),
                decoding=decoding,
                seed=derive_seed("ppo", seed, iteration),
            )
            make_room(start.n_parameters)  # the sampler's copy and cache go before the reward model comes
            rows = {prompt.id: iter(row) for prompt, row in zip(distinct, lists, strict=True)}
            completions = [next(rows[prompt.id]) for prompt in chosen]
            scores = reward(chosen, completions)
            make_room(start.n_parameters)
            return [
                Rollout(Row(tuple(start.render(p)), c.tokens), float(s), c.end != "length")
                for p, c, s in zip(chosen, completions, scores, strict=True)
            ]

        model = start.load_for_training(settings.lora_rank, seed)
        fresh_adapter = start.fresh_adapter(settings.lora_rank)
        value = None if value_start is None else value_head(value_start, settings.lora_rank, seed)
        actor = ActorCritic(model, settings, derive_seed("value head", seed), fresh_adapter, value)
        log = train_ppo(actor, roll_out, seed, start.pad, start.device, place.partial)
        save_policy(place.folder / "policy", model, parent=start)
        dump_lines(place.folder / "log.jsonl", log)
        del model, value, actor
        make_room(start.n_parameters)

    inputs = {
        "policy": policy.digest,
        "prompts": digest_prompts(prompts),
        "reward": reward_digest,
        "value_start": None if value_start is None else value_start.digest,
        "settings": asdict(settings),
        "decoding": asdict(decoding),
        "seed": seed,
    }
    result = work.run("ppo", inputs, job)
    return work.trained(result), load_lines(result.folder / "log.jsonl"), result

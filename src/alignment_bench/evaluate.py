"""Scoring one policy: draw the samples that the evaluators need, then let each evaluator score them.

Both are jobs, so a killed run repeats neither. What answering the test prompts cost is booked apart from
what alignment cost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isinf, isnan, nan
from pathlib import Path
from typing import Any

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import derive_seed
from alignment_bench.evaluation import VIEW, Evaluator, Evidence, SampleSpec, Scores, Selective
from alignment_bench.feedback import Judge
from alignment_bench.job_keys import digest_prompts, wrapper_sources
from alignment_bench.jobs import JobResult, Workplace
from alignment_bench.ledger import Spend, metering, report, report_bills
from alignment_bench.policy import LogitPolicy, Policy
from alignment_bench.prompts import Example
from alignment_bench.work import Work

Samples = dict[str, list[list[Completion]]]
BILLS = "bills.json"
"""in an evaluator's job: what each answer took that its judge bought"""


@dataclass(frozen=True)
class Panel:
    """Who scores, on what, and drawn how: the same for every cell that may be compared."""

    evaluators: Mapping[str, Evaluator]
    evaluator_digests: Mapping[str, str]
    judge: Judge
    judge_digest: str
    examples: Sequence[Example]
    data_digest: str
    decoding: Decoding
    seed: int

    def specs(self, policy: Policy) -> tuple[SampleSpec, ...]:
        """Every sample specification that some evaluator reads, once; names must mean one thing."""
        found: dict[str, SampleSpec] = {}
        for name, evaluator in self.evaluators.items():
            if isinstance(evaluator, Selective):
                read = evaluator.used(policy, self.judge)
            else:
                read = evaluator.needs.samples
            for spec in read:
                if found.setdefault(spec.name, spec) != spec:
                    raise ValueError(f"evaluator {name!r} redefines the sample specification {spec.name!r}")
        return tuple(found.values())


def draw(work: Work, policy: Policy, panel: Panel) -> tuple[Samples, dict[str, str], Spend]:
    """The policy's answers to the test prompts by specification, their job keys, and what they cost."""
    prompts = [example.prompt for example in panel.examples]
    samples: Samples = {}
    keys: dict[str, str] = {}
    spend = Spend()
    for spec in panel.specs(policy):
        seed = derive_seed("evaluation", panel.seed, spec.name)
        samples[spec.name], result = work.sample(policy, prompts, spec.n, spec.decoding(panel.decoding), seed)
        keys[spec.name] = result.key
        spend = spend + result.spend
    return samples, keys, spend


def score(
    work: Work,
    policy: Policy,
    base: LogitPolicy,
    panel: Panel,
    drawn: tuple[Samples, dict[str, str]],
    base_drawn: tuple[Samples, dict[str, str]],
) -> dict[str, dict[str, Scores]]:
    """Scores by evaluator and metric."""
    evidence = Evidence(
        prompts=[example.prompt for example in panel.examples],
        keys=[example.key for example in panel.examples],
        samples=drawn[0],
        base_samples=base_drawn[0],
        policy=policy,
        base=base,
        judge=panel.judge,
        decoding=panel.decoding,
        seed=panel.seed,
    )
    out = {}
    for name, evaluator in panel.evaluators.items():
        inputs = {
            "evaluator": panel.evaluator_digests[name],
            "judge": panel.judge_digest,
            "policy": policy.digest,
            "wrappers": wrapper_sources(policy),
            "base": base.digest,
            "samples": drawn[1],
            "base_samples": base_drawn[1],
            "data": panel.data_digest,
            "prompts": digest_prompts(evidence.prompts),
            "decoding": asdict(panel.decoding),
            "seed": panel.seed,
            "runtime": work.runtime.keyed(),
        }
        out[name] = _score_one(work, name, evaluator, evidence, inputs)
    return out


def _score_one(
    work: Work, name: str, evaluator: Evaluator, evidence: Evidence, inputs: Mapping[str, Any]
) -> dict[str, Scores]:
    def do(place: Workplace) -> Spend:
        with metering() as meter:
            scores = checked(name, evaluator, evidence)
        stored = {metric: {**asdict(one), "values": _plain(metric, one)} for metric, one in scores.items()}
        text = json.dumps(stored, allow_nan=False)
        (place.folder / "scores.json").write_text(text, "utf-8")
        if meter.bills:
            bills = {name: spend.to_json() for name, spend in meter.bills.items()}
            (place.folder / BILLS).write_text(json.dumps(bills), "utf-8")
        return meter.total

    result = work.noted("score", {"name": name, **inputs}, do)
    _report(result)
    return _read(result.folder / "scores.json")


def _report(result: JobResult) -> None:
    """Tells the open meter what a judge took that is a language model: an answer that several evaluators
    looked at was paid once."""
    path = result.folder / BILLS
    if path.exists():
        stored = json.loads(path.read_text("utf-8"))
        report_bills({name: Spend.from_json(spend) for name, spend in stored.items()})
    else:
        report(result.spend)


def checked(name: str, evaluator: Evaluator, evidence: Evidence) -> dict[str, Scores]:
    """The evaluator's scores; every declared metric there, one value a prompt or a reason."""
    needs = evaluator.needs
    declared = [metric.name for metric in evaluator.metrics]
    if needs.logits and not isinstance(evidence.policy, LogitPolicy):
        reason = "the policy has no next-token distribution of its own"
        return {metric: Scores(missing=reason) for metric in declared}
    if needs.references and not all(key.references for key in evidence.keys):
        return {metric: Scores(missing="some examples have no reference") for metric in declared}
    scores = dict(evaluator(evidence))
    if set(declared) - set(scores) or {name.partition(VIEW)[0] for name in scores} - set(declared):
        raise ValueError(f"evaluator {name!r} declares {sorted(declared)} but returned {sorted(scores)}")
    for metric, values in scores.items():
        if not values.missing and len(values.values) != len(evidence.prompts):
            raise ValueError(
                f"evaluator {name!r}: {metric} has {len(values.values)} values, "
                f"there are {len(evidence.prompts)} prompts"
            )
    return scores


def _plain(metric: str, scores: Scores) -> list[float | None]:
    """Values as JSON holds them: None for a prompt without one (nan). Raises ValueError on infinity."""
    if any(isinf(value) for value in scores.values):
        raise ValueError(f"{metric} has an infinite value: give nan for a prompt that cannot be scored")
    return [None if isnan(value) else value for value in scores.values]


def _read(path: Path) -> dict[str, Scores]:
    stored = json.loads(path.read_text("utf-8"))
    return {
        metric: Scores(
            tuple(nan if value is None else value for value in values["values"]),
            values["missing"],
            values["note"],
        )
        for metric, values in stored.items()
    }

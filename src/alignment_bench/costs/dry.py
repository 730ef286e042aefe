"""Jobs without their work: the real keys, stand-in files, and a count of what the work would have been.

`DryWork` is `Work` whose trainings leave a stand-in policy; everything else runs as it is, on stand-ins.
What the results hold already is read from there, so that a plan of a half finished run starts where that
run would go on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignment_bench.completions import Completion
from alignment_bench.costs import units
from alignment_bench.costs.stand_ins import Known, Pool, Rehearsal, rows_of, store_stand_in
from alignment_bench.costs.units import Units
from alignment_bench.digests import digest
from alignment_bench.jobs import JobResult, JobStore, Workplace, key_of
from alignment_bench.ledger import Spend, metering
from alignment_bench.lessons import Lesson
from alignment_bench.lines import dump_lines
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.policy import LogitPolicy
from alignment_bench.reward_models import RewardCard
from alignment_bench.runtime import TINY_PARAMETERS, Runtime
from alignment_bench.work import Work, model_policy

if TYPE_CHECKING:
    from alignment_bench.job_keys import Pair
    from alignment_bench.reward_models import Kind, RewardModel
    from alignment_bench.training.settings import Objective, Settings

Doing = Callable[[Workplace], Spend | None]
READ_BACK = ("sample", "logprobs", "answers", "rewards", "ask")
"""kinds whose stored files are read as they are; of a trained policy only the digest is"""


LOG = dict.fromkeys(
    ("iteration", "step", "loss", "reward", "kl_to_reference", "ended", "tokens", "accuracy", "margin"), 0.5
)
"""a row of what a training would have logged"""


@dataclass
class Planned:
    """A job that some cells need: what it is, what it takes, and whether it is done already."""

    key: str
    kind: str
    units: Units
    spend: Spend
    stored: bool
    cells: list[int] = field(default_factory=list)
    """places of the cells that need it, the first that meets it first"""


class DryStore(JobStore):
    """Notes every job; leaves stand-in files in a scratch folder, and nothing among the results."""

    def __init__(self, scratch: Path, real: Path) -> None:
        self.root = scratch
        self.real = real
        self.jobs: dict[str, Planned] = {}
        self.cell = 0
        """place of the cell that is being planned"""
        self.tests = 0
        """test prompts of that cell"""
        self.readable = True
        """whether the policy that is scored has probabilities to read"""
        self.found: Path | None = None
        """the stored folder of the job that is being replaced, if there is one"""

    def run(self, kind: str, inputs: Mapping[str, Any], work: Doing) -> JobResult:
        """What is stored, in the results or by this plan, else what `work` leaves in the scratch folder."""
        key = key_of(kind, inputs)
        planned = self.jobs.get(key)
        if planned is not None:
            if self.cell not in planned.cells:
                planned.cells.append(self.cell)
            return JobResult(key, self._folder(planned), planned.spend, stored=True)
        real = self.real / kind / key
        stored = (real / "job.json").exists()
        if stored and kind in READ_BACK:
            result = self._read(key, real)
            self.jobs[key] = Planned(key, kind, {}, result.spend, True, [self.cell])
            return result
        folder = self.root / kind / key
        shutil.rmtree(folder, ignore_errors=True)  # of a rehearsal that broke off in this job
        folder.mkdir(parents=True)
        self.found = real if stored else None
        with units.counting() as asked, metering() as meter:
            spend = Spend()
            if kind == "score":
                self._score(str(inputs["name"]), folder)
            else:
                spend = work(Workplace(folder, folder)) or spend
        units.add(asked, {units.JOB: 1.0})
        spend = meter.total + spend
        self.jobs[key] = Planned(key, kind, {} if stored else asked, spend, stored, [self.cell])
        return JobResult(key, folder, spend, stored)

    def _folder(self, planned: Planned) -> Path:
        root = self.real if planned.stored and planned.kind in READ_BACK else self.root
        return root / planned.kind / planned.key

    def _score(self, name: str, folder: Path) -> None:
        """An evaluator's job: its prompts are counted, nothing is judged."""
        (folder / "scores.json").write_text("{}", "utf-8")
        unit = name if self.readable else name + units.UNREAD
        units.count({units.EVALUATE + unit: float(self.tests), units.EVALUATE_ONCE + name: 1.0})


class DryWork(Work):
    """`Work` whose trainings leave stand-ins."""

    def __init__(self, store: DryStore, rehearsal: Rehearsal, runtime: Runtime, parameters: int) -> None:
        super().__init__(store, runtime, parameters)
        self.dry = store
        self.rehearsal = rehearsal
        self._instead: Doing | None = None

    @contextmanager
    def instead(self, doing: Doing) -> Iterator[None]:
        """The next job is done like this."""
        self._instead = doing
        try:
            yield
        finally:
            self._instead = None

    def run(self, kind: str, inputs: dict[str, Any], work: Doing) -> JobResult:
        """The job, or what stands in for it."""
        doing, self._instead = self._instead or work, None
        return super().run(kind, inputs, doing)

    def training(
        self,
        policy: LogitPolicy,
        asked: Units,
        spend: Spend,
        taught: Mapping[str, Pool] | None = None,
        lora_rank: int = 0,
    ) -> Doing:
        """A training that takes these units and leaves a policy with nothing but a digest, and an empty
        log."""
        start = model_policy(policy)

        def doing(place: Workplace) -> Spend:
            self.rehearsal.forget()
            units.count({units.LOAD_TRAIN: 1.0, units.SAVE: 1.0, **asked})
            self.leave(place.folder, "policy", start, taught, lora_rank)
            dump_lines(place.folder / "log.jsonl", [LOG])
            return spend

        return doing

    def leave(
        self,
        folder: Path,
        name: str,
        start: ModelPolicy,
        taught: Mapping[str, Pool] | None = None,
        lora_rank: int = 0,
    ) -> None:
        """A stand-in of what training `start` gives: under the stored policy's digest where there is one."""
        found = self.dry.found
        identity = digest(["planned", folder.name, name])
        if found is not None:
            identity = str(json.loads((found / name / "policy.json").read_text("utf-8"))["digest"])
        store_stand_in(folder / name, start, identity, "adapter" if lora_rank else "full")
        if identity != start.digest:
            self.rehearsal.known[identity] = Known(start.digest, taught or {})

    def finetune(
        self,
        policy: LogitPolicy,
        lessons: Sequence[Lesson],
        settings: Settings,
        seed: int,
        objective: Objective,
        reference: LogitPolicy | None = None,
        plain_texts: Sequence[str] = (),
    ) -> tuple[LogitPolicy, JobResult]:
        """`Work.finetune` without the training."""
        length = self.rehearsal.length
        lengths = [length(one.prompt) + len(one.completion.tokens) for one in lessons]
        asked = units.trained(lengths, settings)
        beside = list(plain_texts[: len(lessons)])
        extra = 0
        if beside:
            few = [len(model_policy(policy).plain_ids(text)) for text in beside[:32]]
            extra = round(settings.epochs * len(beside) * sum(few) / len(few))
            asked[units.TRAIN_TOKEN] += extra
        tokens = settings.epochs * sum(lengths)
        spent = trained_spend(model_policy(policy), tokens + extra)
        if objective.kl_coefficient:
            asked |= {units.SCORE_BATCH: asked[units.TRAIN_STEP], units.SCORE_TOKEN: float(tokens)}
            spent = spent + Spend(tokens_scored=tokens, flops=spent.flops / 3)
            asked[units.LOAD] = 1.0
        with self.instead(self.training(policy, asked, spent, taught_by(lessons), settings.lora_rank)):
            return super().finetune(policy, lessons, settings, seed, objective, reference, plain_texts)

    def reward_model(
        self,
        policy: LogitPolicy,
        pairs: Sequence[Pair],
        ties_dropped: int,
        kind: Kind,
        beta: float,
        settings: Settings,
        seed: int,
    ) -> tuple[RewardModel, JobResult]:
        """`Work.reward_model` without the training; its scores are noise."""
        start = model_policy(policy)
        length = self.rehearsal.length
        longer = [length(p) + max(len(a.tokens), len(b.tokens)) for p, a, b in pairs]
        both = [2 * length(p) + len(a.tokens) + len(b.tokens) for p, a, b in pairs]
        share = 0.9 if len(pairs) >= 20 else 1.0
        train = round(share * len(pairs))
        asked = units.trained(longer[:train], settings)
        tokens = sum(both[:train])
        asked[units.TRAIN_TOKEN] = float(settings.epochs * tokens)
        passes = 3 if kind == "likelihood_ratio" else 1
        rows = start.score_rows
        asked[units.SCORE_TOKEN] = float(passes * sum(both))
        asked[units.SCORE_BATCH] = float(passes * -(-2 * len(pairs) // rows))
        calls = 2.0 if train == len(pairs) else 4.0  # of scoring: chosen or rejected, trained on or held out
        if kind == "scalar":
            asked[units.LOAD_TRAIN] = calls
        else:  # large ones give way to each other
            asked[units.LOAD] = 2.0 * (calls if start.n_parameters >= TINY_PARAMETERS else 1.0)
        spent = trained_spend(start, settings.epochs * tokens) + Spend(
            tokens_scored=passes * sum(both), flops=2.0 * start.n_parameters * passes * sum(both)
        )

        def doing(place: Workplace) -> Spend:
            self.rehearsal.forget()
            units.count({units.LOAD_TRAIN: 1.0, units.SAVE: 1.0})
            units.count(asked)
            self.leave(place.folder, "policy", start, None, settings.lora_rank)
            store_stand_in(place.folder / "reference", start, start.digest, start.weights)
            held = len(pairs) - train
            card = RewardCard(kind, beta, 0.0, 1.0, train, ties_dropped, held, None)
            if self.dry.found is not None:
                card = RewardCard(**json.loads((self.dry.found / "reward.json").read_text("utf-8")))
            if kind == "scalar":
                head = place.folder / "head.safetensors"
                if self.dry.found is not None:
                    shutil.copy(self.dry.found / "head.safetensors", head)
                else:
                    head.write_bytes(place.folder.name.encode())
            (place.folder / "reward.json").write_text(json.dumps(asdict(card)), "utf-8")
            return spent

        with self.instead(doing):
            return super().reward_model(policy, pairs, ties_dropped, kind, beta, settings, seed)

    def copy(self, policy: LogitPolicy, stream: str) -> tuple[LogitPolicy, JobResult]:
        """`Work.copy` without the weights."""
        with self.instead(self.training(policy, {}, Spend())):
            return super().copy(policy, stream)

    def settle(
        self, policy: LogitPolicy, words: Sequence[str], like: Sequence[str], seed: int
    ) -> tuple[LogitPolicy, JobResult]:
        """`Work.settle` without the weights."""
        with self.instead(self.training(policy, {}, Spend())):
            return super().settle(policy, words, like, seed)


def trained_spend(start: ModelPolicy, tokens: int) -> Spend:
    """What the training loops report for so many tokens."""
    return Spend(tokens_trained=tokens, flops=6.0 * start.n_parameters * tokens)


def taught_by(lessons: Sequence[Lesson]) -> dict[str, Pool]:
    """What a policy that learnt these lessons gives, by layout."""
    found: dict[str, list[Completion]] = {}
    for one in lessons:
        if one.weight > 0 and not one.unlikely:
            found.setdefault(one.prompt.layout, []).append(one.completion)
    return {layout: rows_of(completions) for layout, completions in found.items()}

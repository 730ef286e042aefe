"""The probe of one setting: a few samples of its base to borrow, and the rates of this machine.

It measures what the plan needs and nothing else, keeps what it found in the cache folder, and says where a
number comes from. The key of what is kept names the model, its format, the machine, precision, threads,
training sizes, data, evaluators, judge, teacher and the code that does the work.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from alignment_bench import __version__
from alignment_bench.completions import Completion, Decoding
from alignment_bench.costs import measuring, units
from alignment_bench.costs.clock import Clock, peak_bytes
from alignment_bench.costs.machine import machine, sources
from alignment_bench.costs.stand_ins import Pool
from alignment_bench.digests import digest
from alignment_bench.errors import BenchError
from alignment_bench.feedback import COMPLETIONS_SHOWN, Ask, Channel
from alignment_bench.hosting import Hosted
from alignment_bench.job_keys import digest_prompts
from alignment_bench.jobs import CORE_VERSION, write_durably
from alignment_bench.ledger import Spend, metering
from alignment_bench.models.conversion import cache
from alignment_bench.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Set

    from alignment_bench.models.policy import ModelPolicy
    from alignment_bench.plan import Setting

SCHEMA = 1
Item = TypeVar("Item")
Measuring = Literal["auto", "true", "false"]
BORROWED = {"tiny": (64, 8), "small": (4, 4)}
"""prompts that the base answers for a pool, and answers to each, by tier"""
SHOWN = {"tiny": 32, "small": 4}
"""test prompts on which evaluators are timed"""

WHOLE = ("lm_eval", "retention")
"""evaluators that answer other prompts than the task's"""
UNJUDGED = ("kl", "length", "rouge", "nll_reference", "similarity", "grounding", "diversity", "perplexity")
"""evaluators that ask no judge"""


class NotMeasured(BenchError):
    """A rate is not known, and must not be measured."""


class Probe:
    """Samples and rates for one setting, measured when they are first needed."""

    def __init__(self, setting: Setting, base: ModelPolicy, wanted: Measuring = "auto") -> None:
        """`wanted`: true measures again what was kept, false nothing that was not."""
        self.setting = setting
        self.wanted = wanted
        self.base = base
        self.clock = Clock(setting.runtime.device)
        self.path = cache() / "costs" / f"{self.identity()[:32]}.json"
        self.rates: dict[str, float] = {}
        self.spends: dict[str, Spend] = {}
        """by evaluator, what it spends on a prompt"""
        self.pools: dict[str, Pool] = {}
        self.pieces: list[measuring.Piece] = []
        """of sampling, timed as the pools were drawn"""
        self.unknown: dict[str, str] = {}
        """units that could not be measured, and why"""
        self.peak = 0.0
        """bytes that the probe's process held at most"""
        self.kept = False
        """whether anything comes from an earlier probe"""
        if wanted != "true":
            self._read()

    def identity(self) -> str:
        """Digest of everything that rates and samples depend on."""
        setting = self.setting
        return digest(
            {
                "schema": SCHEMA,
                "core": [CORE_VERSION, __version__, sources()],
                "machine": machine(),
                "model": self.base.digest,
                "runtime": [setting.runtime.keyed(training=False), setting.runtime.device],
                "tier": asdict(setting.tier),
                "data": setting.data.digest,
                "evaluators": dict(setting.evaluator_digests),
                "judge": setting.judge_digest,
                "teacher": setting.teacher_digest,
                "decoding": [asdict(setting.decoding), asdict(setting.rollout_decoding)],
            }
        )

    def draw(self, prompts: Sequence[Prompt], decoding: Decoding) -> Pool:
        """Samples of the base on a `few` of these prompts, in rows of one prompt."""
        n = BORROWED[self.setting.tier.name][1]
        few = self.few(prompts)
        layout = few[0].layout
        # What is shown in slots is borrowed itself, and no reason to draw again.
        key = digest([digest_prompts([p.using(layout) for p in few]), layout, asdict(decoding)])
        if key not in self.pools:
            self._allowed(f"samples of the base in layout {layout}")
            drawn, piece = measuring.sampled(self.base, few, n, decoding, self.clock, seed=0)
            self.pieces.append(piece)
            self.pools[key] = [row if decoding.temperature else row[:1] for row in drawn]
        return self.pools[key]

    def few(self, items: Sequence[Item]) -> list[Item]:
        """As many as are answered for a pool, evenly from a list that may be in some order."""
        count = min(BORROWED[self.setting.tier.name][0], len(items))
        return [items[k * len(items) // count] for k in range(count)]

    def shown(self) -> list[Prompt]:
        """Training prompts to measure on, as plain questions."""
        return self.few([example.prompt for example in self.setting.data.train])

    def survey(self, channel: Channel) -> list[Ask]:
        """Questions to the teacher about the samples: each on an answer of its own, or on two that differ."""
        prompts = self.shown()
        keys = {example.prompt.id: example.key for example in self.setting.data.train}
        wanted = COMPLETIONS_SHOWN[channel]
        asks = []
        for first in (0, 1, 2):
            for prompt, row in zip(prompts, self.draw(prompts, self.setting.rollout_decoding), strict=False):
                texts = list(dict.fromkeys(c.text for c in row))[first * wanted :][:wanted]
                if len(texts) == wanted and (wanted or not first):
                    asks.append(Ask(prompt, keys[prompt.id], tuple(texts)))
        return asks

    def measure(self, needed: Set[str]) -> None:
        """Measures every needed unit whose rate is not known yet."""
        missing = needed - set(self.rates) - set(self.unknown)
        if not missing:
            return
        self._allowed(", ".join(sorted(missing)))
        setting, base, clock = self.setting, self.base, self.clock
        prompts = self.shown()

        def rows() -> list[tuple[Prompt, Completion]]:
            pool = self.draw(prompts, setting.rollout_decoding)
            return [
                (p, c)
                for k in range(len(pool[0]))
                for p, row in zip(prompts, pool, strict=False)
                for c in row[k : k + 1]
            ]

        if missing & {units.LOAD}:
            self.rates |= measuring.loading(base, clock)
        if any(name.startswith("draw.") for name in missing):
            self.pieces += measuring.drawing(base, prompts, setting.rollout_decoding, clock)
            self.rates |= measuring.fitted(self.pieces)
        if any(name.startswith("score.") for name in missing):
            self.rates |= measuring.scoring(base, rows(), clock)
        if missing & {units.TRAIN_STEP, units.TRAIN_TOKEN, units.LOAD_TRAIN, units.SAVE}:
            self.rates |= measuring.training(base, rows(), setting.tier, clock)
        if missing & {units.JOB}:
            self.rates |= measuring.storing(clock)
        if missing & {units.TRL_IMPORT, units.TRL, units.TRL_STEP}:
            self.rates |= measuring.through_trl(base, rows(), setting.tier, clock, self.rates)
        names = {n.removeprefix(units.EVALUATE_ONCE) for n in missing if n.startswith(units.EVALUATE_ONCE)}
        for name in sorted(names):
            self._evaluate(name)
        self.peak = max(self.peak, peak_bytes())
        for name in missing - set(self.rates) - set(self.unknown):
            self.unknown[name] = "nothing measures it"

    def _allowed(self, what: str) -> None:
        if self.wanted == "false":
            raise NotMeasured(f"probe=false, and no earlier plan has kept {what}: leave probe= out")

    def _evaluate(self, name: str) -> None:
        """Times an evaluator on a few test prompts, twice: what the first call takes more is taken once."""
        from alignment_bench.evaluate import checked
        from alignment_bench.evaluation import Evidence

        setting = self.setting
        evaluator = setting.evaluators[name]
        if reason := self._untimed(name):
            self._no_rate(name, reason)
            return
        examples = self.few(setting.data.test)[: SHOWN[setting.tier.name]]
        asked = [example.prompt for example in setting.data.test]

        def evidence(first: int, last: int) -> Evidence:
            part = examples[first:last]
            prompts = [example.prompt for example in part]
            samples = {}
            for spec in evaluator.needs.samples:
                rows = self.draw(asked, spec.decoding(setting.decoding))[first:last]
                samples[spec.name] = [[row[k % len(row)] for k in range(spec.n)] for row in rows]
            return Evidence(
                prompts=prompts,
                keys=[example.key for example in part],
                samples=samples,
                base_samples=samples,
                policy=self.base,
                base=self.base,
                judge=setting.judge,
                decoding=setting.decoding,
                seed=0,
            )

        try:
            few, many = evidence(0, 1), evidence(1, len(examples))
            with self.clock.timing() as first, metering():
                checked(name, evaluator, few)
            with self.clock.timing() as second, metering() as meter:
                checked(name, evaluator, many)
        except Exception as error:  # a plugin's own: the plan says that its time is missing
            self._no_rate(name, f"{type(error).__name__}: {error}")
            return
        count = max(1, len(many.prompts))
        each = second.seconds / count
        self.rates[units.EVALUATE + name] = each
        self.rates[units.EVALUATE_ONCE + name] = max(0.0, first.seconds - each)
        reads = meter.total.tokens_scored > 0
        self.rates[units.EVALUATE + name + units.UNREAD] = 0.0 if reads else each
        self.spends[name] = Spend(
            tokens_scored=round(meter.total.tokens_scored / count), flops=meter.total.flops / count
        )

    def _untimed(self, name: str) -> str:
        """Why an evaluator is not tried out for its time; empty where it is."""
        setting = self.setting
        if setting.task.executes or setting.evaluators[name].needs.executes:
            return "it runs programs that a model wrote"
        if name.partition(":")[0] in WHOLE:
            return "it runs whole benchmarks"
        if isinstance(setting.judge, Hosted) and name.partition(":")[0] not in UNJUDGED:
            return f"judge {setting.judge.name} runs a model or calls an endpoint"
        return ""

    def _no_rate(self, name: str, reason: str) -> None:
        for unit in (units.EVALUATE + name, units.EVALUATE_ONCE + name, units.EVALUATE + name + units.UNREAD):
            self.unknown[unit] = reason

    def keep(self) -> None:
        """Stores what is known; where the cache cannot be written, the next plan measures again."""
        stored = {
            "schema": SCHEMA,
            "rates": self.rates,
            "unknown": self.unknown,
            "spends": {name: spend.to_json() for name, spend in self.spends.items()},
            "pieces": self.pieces,
            "peak": self.peak,
            "processor": self.clock.processor,
            "wall": self.clock.wall,
            "pools": {k: [[asdict(c) for c in row] for row in pool] for k, pool in self.pools.items()},
        }
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self.path, json.dumps(stored))

    def _read(self) -> None:
        try:
            stored = json.loads(self.path.read_text("utf-8"))
            self.rates = dict(stored["rates"])
            self.unknown = dict(stored["unknown"])
            self.spends = {name: Spend.from_json(spend) for name, spend in stored["spends"].items()}
            self.peak = float(stored["peak"])
            self.pieces = [(dict(asked), float(seconds)) for asked, seconds in stored["pieces"]]
            self.clock.processor, self.clock.wall = float(stored["processor"]), float(stored["wall"])
            self.pools = {
                key: [[_completion(c) for c in row] for row in pool] for key, pool in stored["pools"].items()
            }
            self.kept = True
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # damaged: measured again, and written over
            self.rates, self.unknown, self.spends, self.pools, self.pieces = {}, {}, {}, {}, []
            self.peak, self.clock = 0.0, Clock(self.setting.runtime.device)

    @property
    def share(self) -> float:
        """Processor seconds in a second of the wall clock while the probe ran: below its threads where
        others use the machine."""
        return self.clock.processor / self.clock.wall if self.clock.wall else 1.0


def _completion(stored: dict[str, Any]) -> Completion:
    return Completion(stored["text"], tuple(stored["tokens"]), stored["end"])

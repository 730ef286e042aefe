"""Every shipped method end to end on a real small model and real posts, at tiny sizes (minutes, all told).

Twelve posts to learn from, four to answer. What is asked of each method: it ends in a policy of its own, is
charged for what it bought and for nothing else, says what it approximated, and its answers are text about the
post, without a word of the forms that it was trained in. That it helps is not asked: it cannot be seen at
this size.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from alignment_bench import cli, registry, results
from alignment_bench.budgets import human_prices
from alignment_bench.evaluators.grounding import supported
from alignment_bench.models import catalog
from alignment_bench.results import CellRecord, StoredSample

TRAIN, TEST, TOKENS = 12, 4, 32
FORMS = re.compile(
    r"<\||\b(wanted|weakness|suggestion|score):|\b(good|bad|great|poor|excellent|terrible) answer\b"
    r"|\bquality (one|two|three|four|five)\b",
    re.IGNORECASE,
)
"""what prompts are built of, and no answer of a model that never read them would hold"""


@dataclass(frozen=True)
class Case:
    """A method at a size for this test: its label, its budget, and what the run is to record."""

    label: str
    buys: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    """beginnings or parts of its footnotes"""
    budget: str = "750s"
    """12 comparisons or scores, 4 critiques, 3 demonstrations"""
    unless: str = ""
    """part of the one reason for which it may end as not applicable"""
    kl: str = "measured"
    """`zero`, `measured`, `bound`, or `none` for a wrapper without probabilities of its own"""
    ties: str = ""
    """part of the footnote that is there exactly where a comparison tied"""


REWARD = ("prefer",)
MODEL = ("reward model (likelihood ratio)", "not measured (too few pairs)")
REVIEWS = ("critique", "score", "refine")
CASES = (
    Case("alt:iterations=2:prompts=2:samples=5:keep=1", REWARD, (*MODEL, "iteration 2: 10 of 10")),
    Case("base", kl="zero"),
    Case("base_copy", kl="zero"),
    Case("best_of_n:n=2", REWARD, MODEL, kl="bound"),
    Case("coh:batch_size=4", REWARD, ("plain text: training prompts",), ties="ties and not trained on"),
    Case("critique_fine_tuning", ("critique",)),
    Case("dpo:epochs=1", REWARD, ties="comparisons trained on"),
    Case(
        "expert_iteration:prompts_per_round=6:samples=2:epochs=1", REWARD, (*MODEL, "1 rounds of 6 prompts")
    ),
    Case("grpo:steps=2:rollouts=4:group=2", REWARD, (*MODEL, "2 steps of 4 rollouts")),
    Case("ilf:refinements=2:selection=likelihood", ("critique",), ("refinements left out",)),
    Case("kto:epochs=1", REWARD, ("binary labels made of",)),
    Case("online_dpo:steps=2:rollouts=4", REWARD, (*MODEL, "2 steps of 4 rollouts")),
    Case("ppo:iterations=1:rollouts=4", REWARD, (*MODEL, "1 iterations of 4")),
    Case("quark:rounds=2:prompts=5:steps=2:batch_size=4", REWARD, (*MODEL, "round 2: pool 10")),
    Case("rloo:steps=2:rollouts=4:group=2", REWARD, (*MODEL, "2 steps of 4 rollouts")),
    Case("self_refine:critique_tokens=24", kl="none"),
    Case("sft+self_rerank:by=likelihood:n=2", ("demonstrate",), kl="none"),
    Case(
        "self_rewarding:seed_share=0.7:iterations=1:audit=0:batch_size=4:learning_rate=0.0003",
        ("demonstrate", "score"),
        ("judging learned from 11 of 11", "not audited", "from 6 fresh prompts"),
        budget="1500s",
        unless="the policy judges its answers to each of 6 prompts alike",
    ),
    Case("sft", ("demonstrate",)),
    Case(
        "srt:stage=1:audit=0:epochs=2:critique_tokens=32",
        REVIEWS,
        ("reviews have all elements", "score no less than the answer", "not audited"),
        budget="5000s",
        kl="none",
    ),
    # Without scores of its own every pair that differs counts, so stage 2 has something to learn from.
    Case(
        "srt:parts=no_score:fresh=3:audit=0:epochs=2:critique_tokens=32",
        REVIEWS,
        ("reviews have all elements", "stage 2: ", "from 3 fresh prompts"),
        budget="2100s",
        kl="none",
    ),
)


@dataclass(frozen=True)
class Bench:
    """Runs in this process on the sixteen posts; every job once for all methods."""

    folder: Path

    @property
    def results(self) -> Path:
        """Where everything is stored."""
        return self.folder / "results"

    def run(self, label: str, budget: str) -> CellRecord:
        """The record of one label."""
        cli.main(
            [
                "run",
                f"methods={label}",
                "task=tldr",
                "model=smollm2",
                f"task.data={self.folder / 'posts.jsonl'}",
                f"task.holdout={TEST / (TRAIN + TEST)}",
                f"budget={budget}",
                f"decoding.max_tokens={TOKENS}",
                "evaluators=kl,length",
                f"results={self.results}",
                f"out={self.folder / 'table.txt'}",
                "device=cpu",
                "threads=1",
                "workers=1",
                "tuned=none",
                "quiet=true",
            ]
        )
        found, damaged = results.read_all(self.results)
        assert not damaged
        (record,) = [r for r in found if r.label == label and r.budget == budget]
        return record

    def answers(self, record: CellRecord) -> list[StoredSample]:
        """What it answered at the task's own decoding."""
        stored = results.read_samples(results.cell_folder(self.results, record.digest))
        return [sample for sample in stored if sample.spec == "task"]

    def posts(self) -> dict[str, str]:
        """Every post by its id."""
        lines = (self.folder / "posts.jsonl").read_text("utf-8").splitlines()
        return {row["id"]: row["prompt"] for row in map(json.loads, lines)}

    def tied(self, record: CellRecord) -> bool:
        """Whether the teacher called any comparison that was bought a tie."""
        asked = [key for key, kind in record.code["jobs"].items() if kind == "ask"]
        stored = [self.results / "jobs" / "ask" / key / "records.jsonl" for key in asked]
        lines = [json.loads(line) for path in stored for line in path.read_text("utf-8").splitlines()]
        assert len(lines) >= record.spend["acts"]["prefer"]
        return any(line["preference"] == "tie" for line in lines)

    def read(self, record: CellRecord) -> dict[str, float]:
        """What the stored answers look like, in shares; `lines` are the answers to read in a failure."""
        posts, answers = self.posts(), self.answers(record)
        texts = [answer.completion for answer in answers]
        letters = [sum(c.isalpha() for c in t) / len(re.sub(r"\s", "", t)) for t in texts if t.strip()]
        varied = [len(set(a.tokens)) / len(a.tokens) for a in answers if len(a.tokens) >= 8]
        own = [supported(a.completion, posts[a.prompt_id]) for a in answers]
        others = [supported(a.completion, t) for a in answers for i, t in posts.items() if i != a.prompt_id]
        return {
            "said": sum(bool(t.strip()) for t in texts) / len(texts),
            "letters": statistics.fmean(letters),
            "varied": sum(share > 0.3 for share in varied) / max(1, len(varied)),
            "different": len(set(texts)) / len(texts),
            "ended": sum(a.end == "eos" for a in answers) / len(answers),
            "own": statistics.fmean(own),
            "others": statistics.fmean(others),
        }


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The shortest sixteen posts, where posts and model are there."""
    if "ALIGNMENT_BENCH_VALIDATION_DATA" not in os.environ:
        pytest.skip("ALIGNMENT_BENCH_VALIDATION_DATA does not name the folder of published data")
    path = Path(os.environ["ALIGNMENT_BENCH_VALIDATION_DATA"]) / "tldr_posts_with_reference.jsonl"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in the folder of published data")
    if not catalog.resolve("smollm2").ready:
        pytest.skip("smollm2 is not on this machine: run `bench fetch smollm2`")
    rows = sorted(map(json.loads, path.read_text("utf-8").splitlines()), key=lambda row: len(row["post"]))
    folder = tmp_path_factory.mktemp("smollm2")
    lines = [
        {"id": f"p{i}", "prompt": row["post"], "reference": row["reference"]}
        for i, row in enumerate(rows[: TRAIN + TEST])
    ]
    (folder / "posts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return Bench(folder)


@pytest.fixture(scope="module")
def base(bench: Bench) -> CellRecord:
    """The unaligned base's record."""
    return bench.run("base", "750s")


def test_every_shipped_method_has_a_case() -> None:
    tried = {part.partition(":")[0] for case in CASES for part in case.label.split("+")}
    assert tried == set(registry.shipped("methods"))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label.partition(":")[0])
def test_method_on_real_posts(bench: Bench, base: CellRecord, case: Case) -> None:
    record = bench.run(case.label, case.budget)
    check_spend(record, case)
    for part in case.says:
        assert any(part in note for note in record.notes), (part, record.notes)
    if case.ties:
        assert any(case.ties in note for note in record.notes) == bench.tied(record), record.notes
    if case.unless and record.status == "not_applicable":
        assert case.unless in record.reason
        return
    assert record.status == "ok", record.reason + str(record.code.get("traceback", ""))
    assert len(record.prompt_ids) == TEST
    assert (record.code["policy"] == base.code["policy"]) == (case.label == "base")
    answers = bench.answers(record)
    check_ends(answers)
    if case.label != "base":
        assert [a.completion for a in answers] != [b.completion for b in bench.answers(base)]
    texts = [answer.completion for answer in answers]
    assert not [text for text in texts if FORMS.search(text)]
    seen = bench.read(record)
    assert seen["said"] >= 0.9, (seen, texts)
    assert seen["letters"] >= 0.8, (seen, texts)
    assert seen["varied"] >= 0.7, (seen, texts)
    assert seen["different"] >= 0.5, (seen, texts)
    assert seen["ended"] >= 0.2, (seen, texts)
    assert seen["own"] > 1.5 * seen["others"], (seen, texts)
    check_kl(record, case.kl)


def check_spend(record: CellRecord, case: Case) -> None:
    """It bought on its channels and on no other, at their price, and used most of the budget."""
    acts, prices = record.spend["acts"], human_prices()
    assert set(acts) == set(case.buys)
    paid = sum(prices[channel].seconds * count for channel, count in acts.items())
    assert record.spend["annotator_seconds"] == pytest.approx(paid)
    assert paid <= record.budget_amount
    assert paid > record.budget_amount / 2 or not case.buys
    assumed = sorted(channel for channel in acts if prices[channel].assumed)
    assert (f"assumed price: {', '.join(assumed)}" in record.notes) == bool(assumed)


def check_ends(answers: Sequence[StoredSample]) -> None:
    """The end that is recorded is the one that the ids have."""
    last = Counter(answer.tokens[-1] for answer in answers if answer.end == "eos")
    assert len(last) == 1, last  # every answer that ended did so with the one id that ends a turn
    (eos,) = last
    for answer in answers:
        assert eos not in answer.tokens[:-1]
        assert (len(answer.tokens) == TOKENS and answer.tokens[-1] != eos) == (answer.end == "length")
        assert len(answer.tokens) <= TOKENS


def check_kl(record: CellRecord, expected: str) -> None:
    """KL to the base: measured and above 0, 0, a bound, or said to be unknown."""
    (kl,) = [metric for metric in record.scores if metric.name == "kl_to_base"]
    if expected == "none":
        assert kl.missing and not kl.values
        return
    assert all(math.isfinite(value) for value in kl.values)
    mean = statistics.fmean(kl.values)
    if expected == "zero":
        assert mean == 0
    elif expected == "bound":
        assert "upper bound" in kl.note
    else:
        assert 1e-4 < mean < 50  # it has moved, and has not become another model

"""The audit of judges: measures against hand-computed values, rules, controls, and published pairs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from alignment_bench import embedding
from alignment_bench.cells import CellRecord
from alignment_bench.cli import main
from alignment_bench.errors import BadInput, CorruptResult
from alignment_bench.feedback import Verdict
from alignment_bench.hosting import Host
from alignment_bench.jobs import JobStore, Workplace
from alignment_bench.judges.always_longer import AlwaysLonger
from alignment_bench.judges.random_choice import RandomChoice
from alignment_bench.judges.reference_panel import ReferencePanel
from alignment_bench.judging import cards, measures
from alignment_bench.judging.audit import Audit, audit
from alignment_bench.judging.audit_page import FORMATS, render
from alignment_bench.judging.human_pairs import HumanPair, read_pairs
from alignment_bench.judging.measures import Judged
from alignment_bench.judging.pairwise import Choice, Pairing, both_orders
from alignment_bench.judging.rules import RULES
from alignment_bench.ledger import Spend, report
from alignment_bench.runtime import Runtime
from alignment_bench.statistics import Interval

RULE = {rule.measure: rule for rule in RULES}


def made_up(count: int = 400, seed: int = 0, like_length: float = 0.6) -> list[HumanPair]:
    """Pairs of texts "good..." and "bad..." of random lengths; people choose the longer one that often."""
    noise = np.random.default_rng(seed)
    pairs = []
    for i in range(count):
        one, other = noise.choice(200, 2, replace=False) + 10
        longer_first = bool(one > other)
        first_is_good = (noise.random() < like_length) == longer_first
        words = ("good", "bad!") if first_is_good else ("bad!", "good")
        texts = [word.ljust(int(size), "x") for word, size in zip(words, (one, other), strict=True)]
        models = ("ours", "theirs") if i % 3 else ("theirs", "theirs")
        label = 1 if first_is_good else 2
        pairs.append(HumanPair(f"p{i}", f"prompt {i}", *texts, label, f"g{i // 2}", *models))  # type: ignore[arg-type]
    return pairs


@dataclass(frozen=True)
class Reader:
    """A judge whose answer about (first, second) is a function of the two texts, in the order shown."""

    name: ClassVar[str] = "reader"
    family: ClassVar[str] = "reader"
    against_reference: ClassVar[bool] = True
    answer: Callable[[str, str], float | None]
    model: str = ""

    def unfit(self, keys: Sequence[Any]) -> str | None:
        return None

    def compare(self, prompts: Any, keys: Any, first: Any, second: Any) -> list[Verdict]:
        def ask(pairings: Sequence[Pairing]) -> list[Choice]:
            return [Choice(self.answer(p.shown_first, p.shown_second)) for p in pairings]

        return both_orders(ask, prompts, keys, first, second)

    def caption(self) -> str:
        return "reader: made up"


def knowing(first: str, second: str) -> float:
    """The answer people give."""
    return float(first.startswith("good"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(JobStore(tmp_path / "jobs"), Runtime("cpu", "auto", 1))


def judged(pairs: Sequence[HumanPair], verdicts: Sequence[float]) -> Judged:
    return Judged(tuple(pairs), np.array(verdicts, float), (True,) * len(pairs))


def labelled(
    *labels: int, groups: Sequence[str] = (), lengths: Sequence[tuple[int, int]] = ()
) -> list[HumanPair]:
    sizes = lengths or [(2, 1)] * len(labels)
    names = groups or [str(i) for i in range(len(labels))]
    return [
        HumanPair(str(i), "p", "a" * one, "b" * other, label, group)  # type: ignore[arg-type]
        for i, (label, group, (one, other)) in enumerate(zip(labels, names, sizes, strict=True))
    ]


def test_agreement_counts_decided_pairs_and_half_for_a_tie() -> None:
    found = measures.agreement(judged(labelled(1, 1, 2, 0), [1.0, 0.5, 0.9, 1.0]))
    assert found.mean == pytest.approx((1 + 0.5 + 0) / 3) and found.n_prompts == 3


def test_kappa_is_cohens() -> None:
    """The textbook table 20, 5 / 10, 15: observed .7, expected .5, kappa .4; its error by resampling."""
    pairs = labelled(*[1] * 25, *[2] * 25)
    verdicts = [1.0] * 20 + [0.0] * 5 + [1.0] * 10 + [0.0] * 15
    found = measures.kappa(judged(pairs, verdicts))
    assert found is not None and found.mean == pytest.approx(0.4) and found.se is not None
    noise, draws = np.random.default_rng(0), []
    for _ in range(1000):
        at = noise.integers(0, 50, 50)
        again = measures.kappa(judged([pairs[i] for i in at], [verdicts[i] for i in at]))
        assert again is not None
        draws.append(again.mean)
    assert found.se == pytest.approx(np.std(np.array(draws, float)), rel=0.06)


def test_kappa_over_three_classes_and_where_there_is_none() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    noise = np.random.default_rng(1)
    people, ours = noise.choice([0, 1, 2], 90), noise.choice([0.0, 0.5, 1.0], 90, p=[0.5, 0.2, 0.3])
    found = measures.kappa(judged(labelled(*people), ours))
    classes = [{1: "1.0", 2: "0.0", 0: "0.5"}[label] for label in people]
    assert found is not None
    assert found.mean == pytest.approx(sklearn.cohen_kappa_score(classes, [str(one) for one in ours]))
    assert measures.kappa(judged(labelled(1, 1), [1.0, 1.0])) is None


def test_pairs_of_one_group_are_not_independent() -> None:
    """Every pair told ten times: the same means, and no narrower an interval where the groups are known."""
    pairs, verdicts = made_up(60), [float(i % 3 > 0) for i in range(60)]
    once = judged([replace(p, group=p.id) for p in pairs], verdicts)
    ten = [replace(p, id=f"{p.id}-{k}", group=p.id) for p in pairs for k in range(10)]
    often = judged(ten, [v for v in verdicts for _ in range(10)])
    alone = judged([replace(p, group=p.id) for p in ten], often.verdicts)
    for measure in (measures.agreement, measures.kappa, measures.length_slope, measures.balanced_agreement):
        a, b, wrong = (measure(one) for one in (once, often, alone))
        assert a is not None and b is not None and wrong is not None
        assert b.mean == pytest.approx(a.mean) and b.se == pytest.approx(a.se, rel=1e-6)
        assert wrong.se == pytest.approx(a.se / np.sqrt(10), rel=0.02)


def test_no_measure_depends_on_which_text_a_file_puts_first() -> None:
    pairs = made_up(80)
    verdicts = np.random.default_rng(2).random(80)
    turned = [
        replace(
            p,
            first=p.second,
            second=p.first,
            label={1: 2, 2: 1, 0: 0}[p.label],
            first_model=p.second_model,
            second_model=p.first_model,
        )
        for p in pairs
    ]
    there, back = judged(pairs, verdicts), judged(turned, 1 - verdicts)
    for measure in (measures.agreement, measures.length_slope, measures.balanced_agreement, measures.ties):
        assert _close(measure(there), measure(back))
    assert _close(measures.self_preference(there, ["ours"]), measures.self_preference(back, ["ours"]))


def _close(one: Interval | None, other: Interval | None) -> bool:
    assert one is not None and other is not None
    return (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high))


@pytest.mark.parametrize("like_length", [0.2, 0.5, 0.9])
def test_a_rule_on_length_alone_is_seen_through(like_length: float) -> None:
    """However often people choose the longer text: with lengths balanced it is right half of the time."""
    pairs = made_up(300, like_length=like_length)
    longer = judged(pairs, [float(len(p.first) > len(p.second)) for p in pairs])
    found = measures.balanced_agreement(longer)
    assert (
        found is not None
        and found.mean == pytest.approx(0.5)
        and RULE["balanced_agreement"].outcome(found) == "fail"
    )
    agreement = measures.agreement(longer)
    assert agreement.mean == pytest.approx(like_length, abs=0.08)
    slope, own = measures.length_slope(longer), measures.length_slope(judged(pairs, [p.value for p in pairs]))
    assert slope is not None and slope.low is not None and slope.low > 0 and own is not None and own.mean == 0
    ours, people = measures.prefers_longer(longer)
    assert ours is not None and ours.mean == 1 and people is not None and people.mean == agreement.mean


def test_balanced_agreement_needs_both_halves() -> None:
    both = labelled(1, 1, 1, 2, lengths=[(2, 1)] * 4)
    found = measures.balanced_agreement(judged(both, [1.0, 1.0, 0.0, 0.0]))
    assert found is not None and found.mean == pytest.approx((2 / 3 + 1) / 2)
    assert measures.balanced_agreement(judged(both[:3], [1.0, 1.0, 0.0])) is None
    equal = labelled(1, 2, lengths=[(2, 2)] * 2)
    assert measures.length_slope(judged(equal, [1.0, 0.0])) is None
    assert measures.prefers_longer(judged(equal, [1.0, 0.0])) == (None, None)


def test_self_preference_is_beyond_what_people_grant() -> None:
    pairs = [
        replace(pair, first_model=one, second_model=other)
        for pair, (one, other) in zip(
            labelled(1, 2, 1, 2), [("me", "you"), ("you", "me"), ("me", "me"), ("you", "me")], strict=True
        )
    ]
    fair = measures.self_preference(judged(pairs, [1.0, 0.0, 0.0, 0.0]), ["me"])
    vain = measures.self_preference(judged(pairs, [1.0, 0.0, 1.0, 0.5]), ["me"])
    assert fair is not None and fair.mean == 0 and fair.n_prompts == 3
    assert vain is not None and vain.mean == pytest.approx(-0.5 / 3)
    assert measures.self_preference(judged(pairs, [1.0] * 4), ["nobody"]) is None


@pytest.mark.parametrize(
    ("measure", "mean", "half", "outcome"),
    [
        ("agreement", 0.6, 0.05, "pass"),
        ("agreement", 0.52, 0.05, "fail"),  # not shown: the burden is on the judge
        ("agreement", 0.4, 0.05, "fail"),
        ("swap_consistency", 0.9, 0.05, "pass"),
        ("swap_consistency", 0.76, 0.05, "open"),
        ("swap_consistency", 0.6, 0.05, "fail"),
        ("first_slot_advantage", -0.3, 0.05, "fail"),  # the second place is a place too
        ("first_slot_advantage", 0.3, 0.05, "fail"),
        ("first_slot_advantage", -0.08, 0.05, "open"),
        ("first_slot_advantage", 0.02, 0.05, "pass"),
        ("length_slope", 0.5, 0.1, "fail"),
        ("length_slope", 0.3, 0.1, "open"),
        ("length_slope", -0.5, 0.1, "pass"),
        ("unparsed", 0.0, None, "pass"),
        ("unparsed", 1.0, None, "fail"),
    ],
)
def test_outcomes(measure: str, mean: float, half: float | None, outcome: str) -> None:
    low, high = (None, None) if half is None else (mean - half, mean + half)
    found = Interval(mean, low, high, 0.0 if half is None else half / 2, None, 1, 50, 50, None, "")
    assert RULE[measure].outcome(found) == outcome
    assert RULE[measure].outcome(None) == "n/a"


def test_one_pair_shows_nothing() -> None:
    (one,) = made_up(1)
    found = measures.agreement(judged([one], [one.value]))
    assert found.low is None and RULE["agreement"].outcome(found) == "fail"


def test_every_rule_has_a_source_and_a_measure(host: Host) -> None:
    card = audit(Reader(knowing), "reader", made_up(40), "made up", host).card  # type: ignore[arg-type]
    assert all(rule.source and rule.measure in card.values for rule in RULES)


def test_a_good_judge_passes_and_both_controls_fail(host: Host) -> None:
    found = audit(Reader(knowing, model="theirs"), "reader", made_up(), "made up", host)  # type: ignore[arg-type]
    card = found.card
    assert card.failed == () and set(card.outcomes.values()) == {"pass"}
    assert (card.pairs, card.groups, card.own, card.cost.questions) == (400, 200, ("theirs",), 800)
    longer, chance = found.controls
    assert (longer.judge, chance.judge) == ("always_longer", "random_choice")
    assert longer.outcomes["balanced_agreement"] == longer.outcomes["length_slope"] == "fail"
    assert chance.outcomes["agreement"] == chance.outcomes["swap_consistency"] == "fail"
    assert longer.failed and chance.failed


def mean_of(found: Audit, measure: str) -> float:
    value = found.card.values[measure]
    assert value is not None and value.mean is not None
    return value.mean


@pytest.mark.parametrize(("place", "advantage"), [(1.0, 1.0), (0.0, -1.0)])
def test_a_judge_that_names_a_place_is_caught(host: Host, place: float, advantage: float) -> None:
    """Its verdicts are all ties, which look unbiased: only the single answers show it."""
    found = audit(Reader(lambda a, b: place), "reader", made_up(), "made up", host)  # type: ignore[arg-type]
    assert mean_of(found, "ties") == 1 and mean_of(found, "agreement") == 0.5
    assert mean_of(found, "swap_consistency") == 0
    assert mean_of(found, "first_slot_advantage") == advantage
    assert {"swap_consistency", "first_slot_advantage", "agreement"} <= {
        name for name, outcome in found.card.outcomes.items() if outcome == "fail"
    }


def test_probabilities_are_audited_by_their_side(host: Host) -> None:
    def leaning(first: str, second: str) -> float:
        return 0.7 if first.startswith("good") else 0.4

    found = audit(Reader(leaning), "reader", made_up(), "made up", host)  # type: ignore[arg-type]
    assert mean_of(found, "swap_consistency") == 1 and mean_of(found, "agreement") == 1
    assert mean_of(found, "first_slot_advantage") == pytest.approx(0.1)


def test_answers_that_cannot_be_parsed_fail_it(host: Host) -> None:
    found = audit(
        Reader(lambda a, b: None if "x" * 150 in a else knowing(a, b)),  # type: ignore[arg-type]
        "reader",
        made_up(),
        "made up",
        host,
    )
    assert 0.2 < mean_of(found, "unparsed") == mean_of(found, "ties") < 0.6
    assert any("cannot be parsed" in line for line in found.card.failed)


def test_vanity_is_measured_against_people(host: Host) -> None:
    """A judge that always picks its own model's text; two thirds of the pairs have one."""
    pairs = [replace(p, first=p.first + p.first_model, second=p.second + p.second_model) for p in made_up()]

    def vain(first: str, second: str) -> float:
        return 0.5 + 0.5 * (first.endswith("ours") - second.endswith("ours"))

    found = audit(Reader(vain), "reader", pairs, "made up", host, own=["ours"])  # type: ignore[arg-type]
    expected = np.mean([1 - p.value for p in pairs if p.first_model == "ours"])
    assert mean_of(found, "self_preference") == pytest.approx(float(expected))
    assert found.card.outcomes["self_preference"] == "fail"


def test_a_judge_that_does_not_ask_both_ways_is_turned_round(host: Host) -> None:
    class Careless(AlwaysLonger):
        def compare(self, prompts: Any, keys: Any, first: Any, second: Any) -> list[Verdict]:
            return [Verdict(1.0) for _ in prompts]

    found = audit(Careless(), "careless", made_up(), "made up", host)
    assert mean_of(found, "swap_consistency") == 0 and mean_of(found, "first_slot_advantage") == 1


def test_pairs_that_it_cannot_judge_are_left_out_for_the_controls_too(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "available", lambda: False)
    pairs = [replace(p, references=("good",)) if i % 4 else p for i, p in enumerate(made_up(40))]
    found = audit(ReferencePanel(), "reference_panel", pairs, "made up", host)
    assert (found.card.pairs, found.card.left_out) == (30, 10)
    assert found.controls[0].pairs == 30 and "10 of 40" in found.card.why_left_out
    with pytest.raises(BadInput, match="can judge none of the 10 pairs"):
        audit(ReferencePanel(), "reference_panel", [p for p in pairs if not p.references], "made up", host)


def test_what_its_jobs_cost_is_charged_whether_stored_or_not(host: Host) -> None:
    @dataclass(frozen=True)
    class Paid(Reader):
        store: JobStore | None = None

        def hosted(self, host: Host) -> Paid:
            return replace(self, store=host.store)

        def compare(self, prompts: Any, keys: Any, first: Any, second: Any) -> list[Verdict]:
            assert self.store is not None

            def work(place: Workplace) -> Spend:
                report(Spend(tokens_generated=7))
                return Spend(calls=3)

            self.store.run("answers", {"of": "test"}, work)
            return super().compare(prompts, keys, first, second)

    for _ in range(2):
        spend = audit(Paid(knowing), "paid", made_up(20), "made up", host).card.cost.spend  # type: ignore[arg-type]
        assert (spend.calls, spend.tokens_generated) == (3, 7)


def test_turning_pairs_round_is_the_audits_cost_not_the_judges(host: Host) -> None:
    class Paid(AlwaysLonger):
        """Scores the texts of each batch in a job of its own, in the order in which they come."""

        def hosted(self, host: Host) -> Paid:
            ready = Paid()
            object.__setattr__(ready, "store", host.store)
            return ready

        def compare(self, prompts: Any, keys: Any, first: Any, second: Any) -> list[Verdict]:
            self.store.run("scores", {"of": [*first]}, lambda place: Spend(calls=len(first)))  # type: ignore[attr-defined]
            return super().compare(prompts, keys, first, second)

    assert audit(Paid(), "paid", made_up(20), "made up", host).card.cost.spend.calls == 20


def test_written_out(host: Host) -> None:
    pairs = made_up()
    good, bad = (
        audit(Reader(answer), "reader", pairs, "made up", host)  # type: ignore[arg-type]
        for answer in (knowing, lambda a, b: 1.0)
    )
    for format in FORMATS:
        text = render(good, format)
        assert text.endswith("\n") and "always_longer" in text and "made up" in text
    assert "reader passes" in render(good, "text") and "reader FAILS: " in render(bad, "text")
    assert "| Cohen's kappa | 1.000" in render(good, "markdown")
    stored = json.loads(render(bad, "json"))
    assert stored["judge"]["failed"] == list(bad.card.failed)
    assert stored["controls"][1]["values"]["agreement"]["low"] < 0.5
    assert [rule["measure"] for rule in stored["rules"]] == [rule.measure for rule in RULES]


def cell(judge: str, source: str) -> CellRecord:
    plain: dict[str, Any] = dict.fromkeys(
        ("task_version", "model", "model_digest", "data", "data_digest", "budget", "init", "format_digest"),
        "x",
    )
    return CellRecord(
        **plain,
        digest=judge,
        label="base",
        method={},
        task="tldr",
        world=None,
        budget_amount=1.0,
        currency="calls",
        teacher="t",
        judge=judge,
        decoding={},
        evaluators=(),
        seed=0,
        captions=("a line",),
        code={"plugins": {"judges/reader": source}},
    )


def test_a_judge_that_failed_marks_every_verdict_it_gave(host: Host, tmp_path: Path) -> None:
    """Those of the same label and source, whatever files it failed on; no other judge's."""
    good, bad = (
        audit(Reader(answer), "reader:n=1", made_up(), "a file", host)  # type: ignore[arg-type]
        for answer in (knowing, lambda a, b: 1.0)
    )
    cells = [cell("reader:n=1", "s1"), cell("reader:n=1", "s2"), cell("reader", "s1")]
    cards.store(tmp_path, good, "s1", "file 1")
    assert cards.marked(cells, tmp_path) == cells and cards.failures(tmp_path, "reader:n=1", "s1") == ()
    cards.store(tmp_path, bad, "s1", "file 2")
    marked = cards.marked(cells, tmp_path)
    assert [record.flags for record in marked] == [(cards.FLAG,), (), ()]
    (line,) = cards.failures(tmp_path, "reader:n=1", "s1")
    assert marked[0].captions == ("a line", line) and line.startswith(f"{cards.FLAG} on a file: reader:n=1: ")
    assert cards.marked(marked, tmp_path) == marked  # once is enough
    path = cards.store(tmp_path, good, "s1", "file 2")
    assert cards.marked(cells, tmp_path) == cells
    cards.store(tmp_path, bad, "s1", "file 2")
    body = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**body, "failed": []}), "utf-8")  # a failure edited away
    with pytest.raises(CorruptResult, match="has changed since"):
        cards.failures(tmp_path, "reader:n=1", "s1")
    path.write_text("{}", "utf-8")
    with pytest.raises(CorruptResult, match="no audit"):
        cards.failures(tmp_path, "reader:n=1", "s1")


def written(folder: Path) -> Path:
    path = folder / "pairs.jsonl"
    names = ("prompt", "first", "second", "label", "id", "group")
    rows = ({name: getattr(pair, name) for name in names} for pair in made_up(120))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, results = written(tmp_path), f"results={tmp_path / 'results'}"
    assert main(["audit", str(path), "judge=always_longer", results]) == 0
    page = capsys.readouterr().out
    assert "120 pairs in 60 groups" in page and "always_longer FAILS" in page and "random_choice" in page
    assert len(list((tmp_path / "results" / "audits").glob("*/*.json"))) == 1
    out = tmp_path / "made" / "card.json"
    command = ["audit", str(path), "judge=random_choice:seed=3", results, "limit=50", "strict=true"]
    assert main([*command, "format=json", f"out={out}"]) == 1
    card = json.loads(out.read_text("utf-8"))
    assert card["judge"]["pairs"] == 50 and card["judge"]["judge"] == "random_choice:seed=3"
    assert "50 of 120 pairs" in card["source"] and capsys.readouterr().out == ""
    assert main(["audit", str(path), "judge=random_choice:seed=3", results]) == 0
    assert len(list((tmp_path / "results" / "audits").glob("*/*.json"))) == 3, "few do not replace all"
    capsys.readouterr()
    assert main(["help", "audit"]) == 0 and "PAIRS.jsonl" in capsys.readouterr().out


def test_the_command_says_all_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(tmp_path / "no.jsonl"), "judge=always_longr", "form=json", "limit=-1"]) == 2
    said = capsys.readouterr().err
    for text in ("no such file", "always_longer", "did you mean format", "at least 0"):
        assert text in said
    assert main(["audit"]) == 2
    said = capsys.readouterr().err
    assert "a file of pairs is missing" in said and "judge: is missing" in said
    assert main(["audit", str(written(tmp_path)), "judge=reference_panel", f"results={tmp_path}"]) == 2
    assert "can judge none" in capsys.readouterr().err


PUBLISHED: dict[str, dict[str, tuple[float, float, float, int]]] = {
    "llmbar.jsonl": {
        "always_longer": (0.459, 0.416, 0.502, 633),
        "random_choice": (0.513, 0.485, 0.542, 633),
    },
    "pandalm_testset.jsonl": {
        "always_longer": (0.677, 0.618, 0.736, 748),
        "random_choice": (0.532, 0.502, 0.562, 748),
    },
    "autoj_pairwise.jsonl": {
        "always_longer": (0.697, 0.661, 0.733, 910),
        "random_choice": (0.502, 0.474, 0.529, 910),
    },
    "summ_pairwise_human_autoj.jsonl": {
        "always_longer": (0.745, 0.612, 0.877, 55),
        "random_choice": (0.468, 0.374, 0.563, 55),
    },
    "news_summ_pairwise_human.jsonl": {
        "reference_panel": (0.462, 0.377, 0.548, 291),
        "always_longer": (0.624, 0.555, 0.693, 291),
        "random_choice": (0.529, 0.488, 0.569, 291),
    },
    "squality_human_feedback.jsonl": {
        "reference_panel": (0.604, 0.536, 0.673, 180),
        "always_longer": (0.565, 0.444, 0.687, 180),
        "random_choice": (0.515, 0.468, 0.561, 180),
    },
}
"""file -> judge -> agreement with people, its interval, and pairs judged: what runs here without a network"""


@pytest.mark.slow
@pytest.mark.skipif(not embedding.available(), reason=embedding.MISSING)
@pytest.mark.skipif(
    "ALIGNMENT_BENCH_VALIDATION_DATA" not in os.environ,
    reason="ALIGNMENT_BENCH_VALIDATION_DATA does not name the folder of published comparisons",
)
@pytest.mark.parametrize("name", PUBLISHED)
def test_on_published_pairs(name: str, host: Host) -> None:
    """Every judge's agreement as recorded, and the two controls fail on every file."""
    _, pairs = read_pairs(Path(os.environ["ALIGNMENT_BENCH_VALIDATION_DATA"]) / name)
    judge = ReferencePanel() if "reference_panel" in PUBLISHED[name] else RandomChoice()
    found = audit(judge, judge.name, pairs, name, host)
    by_name = {card.judge: card for card in found.cards}
    assert by_name.keys() == PUBLISHED[name].keys()
    for who, (mean, low, high, count) in PUBLISHED[name].items():
        value = by_name[who].values["agreement"]
        assert value is not None and by_name[who].pairs == count
        assert (value.mean, value.low, value.high) == pytest.approx((mean, low, high), abs=0.004), who
    assert by_name["always_longer"].outcomes["balanced_agreement"] == "fail"
    assert by_name["random_choice"].outcomes["swap_consistency"] == "fail"

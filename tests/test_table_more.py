"""Tables of several tasks, budgets, prices and judges."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_cells import PROMPTS, cell, failed, scores, three_seeds

from alignment_bench import score_files
from alignment_bench.cells import MetricScores, Values
from alignment_bench.comparison import compare
from alignment_bench.config import parse_table
from alignment_bench.digests import canonical
from alignment_bench.errors import BadInput
from alignment_bench.feedback import Verdict
from alignment_bench.judges.panel import Panel
from alignment_bench.results import CellRecord, write_cell
from alignment_bench.tables.page import Options, render, render_records
from alignment_bench.tables.spend import spend_columns, spend_rows
from alignment_bench.tables.standing import letter, letters

SMOKE = {"budget": "smoke", "budget_amount": 9000.0}


def flat(text: str) -> str:
    return " ".join(text.split())


def test_letters_of_overlapping_sets() -> None:
    assert letters([("c", "b"), ("b", "a")]) == {"c": "a", "b": "ab", "a": "b"}
    assert [letter(place) for place in (0, 25, 26, 52)] == ["a", "z", "a2", "a3"]


def two_budgets() -> list[CellRecord]:
    """ILF is better by .1 at the small budget and by .3 at the smoke one."""
    smoke = [
        cell(label, seed, gain, **SMOKE) for seed in range(3) for label, gain in (("base", 0), ("ilf", 0.3))
    ]
    return [*three_seeds(), *smoke]


def test_a_sweep_is_one_sheet_in_which_every_row_keeps_its_own_base() -> None:
    apart = render_records(two_budgets(), "text")
    assert apart.count("annotator seconds") == 2 and " @ " not in apart
    text = render_records(two_budgets(), "text", options=Options(sweep=True))
    assert text.splitlines()[0] == "tldr, model tiny, budget smoke, small"
    lines = [line.split() for line in text.splitlines() if " @ " in line and "[" in line]
    order = [" ".join(line[:3]) for line in lines[:5]]
    assert order == ["base @ smoke", "base @ small", "base_copy @ small", "ilf @ smoke", "ilf @ small"]
    gains = {" ".join(line[:3]): float(line[6]) for line in lines[:5] if line[0] == "ilf"}
    assert gains["ilf @ smoke"] == pytest.approx(0.3, abs=0.02)
    assert gains["ilf @ small"] == pytest.approx(0.1, abs=0.02)
    said = flat(text)
    assert "budget smoke: 9,000 annotator seconds (2.5 h); budget small: 54,750" in said
    assert "each row is compared with base at its own budget" in said
    # used share of each row's own budget: 54,750 of 9,000 and of 54,750
    assert "608%" in said and "100%" in said


def test_a_sweep_never_merges_what_differs_in_more_than_the_budget() -> None:
    other = [cell("base", 0, teacher="reference", **SMOKE), cell("ilf", 0, 0.2, teacher="reference", **SMOKE)]
    text = render_records([*three_seeds(), *other], "text", options=Options(sweep=True))
    assert " @ " not in text and text.count("annotator seconds") == 2


def other_task(gain: float = 0.2) -> list[CellRecord]:
    """The same methods on another task, with data and evaluators of its own."""
    own = {"task": "dialogue", "data_digest": "dddd", "format_digest": "eeee", "evaluators": ("quality",)}
    made = [(label, seed, by) for seed in range(3) for label, by in (("base", 0.0), ("ilf", gain))]
    return [cell(label, seed, by, **own) for label, seed, by in made]


def test_several_tasks_get_a_summary_of_the_methods_they_share() -> None:
    records = [*three_seeds(), *other_task()]
    text = render_records(records, "text")
    assert text.splitlines()[0] == "2 tasks: dialogue, tldr"
    head = flat(text.partition("dialogue, model tiny")[0])
    assert "P(better than base)" in head and "base_copy" not in head
    (body,) = json.loads(render_records(records, "json"))["tasks"]
    assert body["tasks"] == ["dialogue", "tldr"] and body["left_out"] == []
    (better,) = body["probability_of_improvement"]
    assert better["labels"] == ["ilf", "base"] and better["value"] == 1.0
    middle = {one["labels"][0]: one["value"] for one in body["iqm"]}
    assert middle["ilf"] - middle["base"] == pytest.approx(0.15, abs=0.06)
    assert "tasks:" not in render_records(three_seeds(), "text")


def test_a_task_compared_in_two_ways_is_left_out_of_the_summary_and_said() -> None:
    twice = [replace(record, teacher="reference", digest=record.digest[::-1]) for record in other_task()]
    third = [replace(record, task="code", digest="c" + record.digest[1:]) for record in other_task(0.1)]
    text = flat(render_records([*three_seeds(), *other_task(), *twice, *third], "text"))
    assert "2 tasks: code, tldr" in text and "left out, compared in several ways: dialogue" in text


def test_prices_that_nobody_measured_halved_and_doubled(tmp_path: Path) -> None:
    bought = {"acts": {"score": 890}, "annotator_seconds": 54735.0}
    records = [
        *three_seeds(),
        *(cell("srt", seed, 0.1, spend=bought) for seed in range(3)),
    ]
    for record in records:
        write_cell(tmp_path, record, [])
    text = flat(render(tmp_path, "text", {}, prices="half"))
    assert "assumed prices halved" in text and "hours at half" in text
    (body,) = json.loads(render(tmp_path, "json", {}, prices="double"))["prices"]
    hours = {one["label"]: one["hours"] for one in body["lines"]}
    assert hours["srt"] == pytest.approx(2 * 54735 / 3600)
    assert hours["ilf"] == pytest.approx(54750 / 3600)


class Fixed:
    """A judge that says what it was told, whatever it sees."""

    family, against_reference = "fixed", True

    def __init__(self, name: str, says: list[Verdict]) -> None:
        self.name, self.says = name, says

    def compare(self, *asked: Any) -> list[Verdict]:
        return self.says


def panel(*says: list[Verdict]) -> Panel:
    members = ("always_longer", "random_choice:seed=1", "random_choice:seed=2")[: len(says)]
    made = Panel(members=members)
    object.__setattr__(made, "_seats", tuple(Fixed(one, v) for one, v in zip(members, says, strict=True)))
    return made


def test_a_panel_says_what_each_member_and_each_rest_would_have_decided() -> None:
    yes, no, none = Verdict(0.8), Verdict(0.0), Verdict(0.5, parsed=False)
    whole, views = panel([yes, yes], [no, none], [yes, no]).compare_seated([], [], [], [])
    assert whole == [Verdict(1.0), Verdict(0.5)]
    assert views == {
        "only always_longer": [yes, yes],
        "only random_choice:seed=1": [no, none],
        "only random_choice:seed=2": [yes, no],
        "without always_longer": [Verdict(0.5), Verdict(0.0)],
        "without random_choice:seed=1": [Verdict(1.0), Verdict(0.5)],
        "without random_choice:seed=2": [Verdict(0.5), Verdict(1.0)],
    }
    _, of_two = panel([yes], [no]).compare_seated([], [], [], [])
    assert set(of_two) == {"only always_longer", "only random_choice:seed=1"}, "the rest of two is the other"


def judged(label: str, seed: int, panel: float, **views: float) -> CellRecord:
    """A cell whose panel preferred the method by so much, and its members by so much each."""
    names = {"a": "only a", "b": "only b", "rest": "without a"}

    def metric(name: str, gain: float) -> MetricScores:
        values = scores(f"{label}{name}", seed, gain)
        return MetricScores(name, "share", "higher", tuple(values))

    found = [metric("win_rate_vs_base", panel)]
    found += [metric(f"win_rate_vs_base@{names[view]}", gain) for view, gain in views.items()]
    return cell(label, seed, scores=tuple(found), judge="panel:members=[a,b]")


def panelled() -> list[CellRecord]:
    """To the panel and to b ILF is better than base, to a it is worse."""
    cells = [("base", {"panel": 0.0, "a": 0.0, "b": 0.0}), ("ilf", {"panel": 0.1, "a": -0.2, "b": 0.2})]
    return [judged(label, seed, **gains) for seed in range(3) for label, gains in cells]


def test_each_judge_has_its_column_and_a_result_that_hangs_on_one_is_said(tmp_path: Path) -> None:
    for record in panelled():
        write_cell(tmp_path, record, [])
    plain = render(tmp_path, "text", {})
    assert "@" not in plain and "only a" not in plain
    text = flat(render(tmp_path, "text", {}, judges="each"))
    assert "win_rate_vs_base ↑ by judge" in text
    assert (
        "the best set hangs on the judge: ilf (under panel:members=[a,b], only b); base (under only a)"
        in text
    )
    (body,) = json.loads(render(tmp_path, "json", {}, judges="each"))["judges"]
    assert body["same_best_set"] is False
    alone = np.stack([scores("ilfwin_rate_vs_base@only a", seed, -0.2) for seed in range(3)])
    assert body["judges"]["only a"]["methods"]["ilf"]["mean"] == pytest.approx(float(alone.mean()))


def test_cells_judged_once_by_each_of_two_judges_stand_side_by_side() -> None:
    other = [
        cell(label, 0, gain, judge="lm", code=code("lm")) for label, gain in (("base", 0.0), ("ilf", 0.2))
    ]
    first = [cell(label, 0, gain, code=code("gold")) for label, gain in (("base", 0.0), ("ilf", 0.1))]
    text = flat(render_records([*first, *other], "text", options=Options(judges="each")))
    assert "quality ↑ by judge" in text and "the best set is the same under every judge: ilf" in text


def code(judge: str) -> dict[str, Any]:
    return {"core": "1", "plugins": {f"judges/{judge}": judge}}


def test_where_only_one_judge_spoke_there_is_nothing_to_compare() -> None:
    with pytest.raises(BadInput, match="no stored cell was scored by several judges"):
        render_records(three_seeds(), "text", options=Options(judges="each"))


def test_what_a_panels_members_said_is_stored_and_is_no_column_of_its_own() -> None:
    (block,) = compare(panelled())
    assert [column.name for column in block.columns] == ["win_rate_vs_base"]


def test_the_request_for_more(tmp_path: Path) -> None:
    request = parse_table([f"results={tmp_path}", "sweep=true", "prices=half", "judges=each", "format=html"])
    assert (request.sweep, request.prices, request.judges, request.format) == (True, "half", "each", "html")
    with pytest.raises(BadInput) as caught:
        parse_table([f"results={tmp_path}", "sweep=maybe", "prices=third", "judges=all", "pricse=half"])
    assert {problem.field for problem in caught.value.problems} == {"sweep", "prices", "judges", "pricse"}


def test_scores_are_read_alike_in_whatever_layout_they_are_written() -> None:
    one = {"name": "quality", "unit": "", "better": "higher", "missing": "", "note": 'a "values":[ note'}
    lost = {**one, "name": "none", "values": [], "missing": 'no "scores":[ here'}
    body: dict[str, Any] = {"clusters": ["a", "a"], "prompt_ids": ['p"scores":[', "q"]}
    small = {**one, "name": "c", "values": [1e-300, 0.30000000000000004]}
    body["scores"] = [{**one, "values": [0.1, None]}, lost, small]
    shared: score_files.Shared = {}
    fast = score_files.parse(canonical(body).encode(), shared)
    assert len(shared) == 1 and score_files.parse(canonical(body).encode(), shared)[0] is fast[0]
    assert score_files.parse(json.dumps(body, indent=1).encode(), {}) == fast
    (prompts, clusters), (first, empty, tiny) = fast
    assert (prompts, clusters) == (('p"scores":[', "q"), ("a", "a"))
    assert first.values == (0.1, float("nan")) and first.note == one["note"] and first.better == "higher"
    assert empty.values == () and empty.missing == lost["missing"]
    assert tiny.values == (1e-300, 0.30000000000000004)


@pytest.mark.parametrize("space", ["", " "])
@pytest.mark.parametrize("values", ['"a"', "1,,2", "[1]", "{}"])
def test_scores_that_are_no_numbers_are_refused(values: str, space: str) -> None:
    one = f'{{"better":"higher","missing":"","name":"q","note":"","unit":"","values":{space}[1,{values}]}}'
    text = f'{{"clusters":[],"prompt_ids":[],"scores":{space}[{one}]}}'
    with pytest.raises((ValueError, TypeError)):
        score_files.parse(text.encode(), {})


def test_values_read_back_are_a_sequence_of_the_same_floats() -> None:
    values = Values([0.1, None, 2])
    assert values == (0.1, float("nan"), 2.0) and values != (0.1, 0.0, 2.0) and values[2] == 2.0
    assert (len(values), values[:1], bool(Values([]))) == (3, (0.1,), False)
    assert np.asarray(values).dtype == np.float64 and next(iter(values)) == 0.1
    assert hash(Values([1.0, 2.0])) == hash((1.0, 2.0)) and Values([]) == ()
    for wrong in (["a"], [[1.0]], None):
        with pytest.raises((ValueError, TypeError)):
            Values(wrong)  # type: ignore[arg-type]
    assert len(cell("base").scores[1].values) == PROMPTS


def _again(records: list[CellRecord], unit: str = "score", **changes: Any) -> list[CellRecord]:
    """The same cells in another setting, their quality in this unit."""
    return [
        replace(
            one,
            digest=one.digest[::-1],
            scores=tuple(replace(m, unit=unit) if m.name == "quality" else m for m in one.scores),
            **changes,
        )
        for one in records
    ]


def test_one_method_of_several_tasks_is_compared_with_the_base_that_is_not_shown() -> None:
    records = [*three_seeds(), *_again(three_seeds(), task="toxicity")]
    (task,) = json.loads(render_records(records, "json", (), Options(labels={"ilf"})))["tasks"]
    (better,) = task["probability_of_improvement"]
    assert better["labels"] == ["ilf", "base"] and better["value"] == 1


def test_tasks_in_different_units_have_no_common_mean_and_still_a_table() -> None:
    records = [*three_seeds(), *_again(three_seeds(), "share", task="toxicity")]
    text = " ".join(render_records(records, "text").split())
    assert "no IQM: main metrics of these tasks have no common mean: score" in text
    (task,) = json.loads(render_records(records, "json"))["tasks"]
    assert task["iqm"] == [] and len(task["probability_of_improvement"]) == 2


def test_a_metric_that_no_prompt_counts_in_is_na() -> None:
    first, second = [float("nan")] * 15 + [0.5] * 15, [0.5] * 15 + [float("nan")] * 15
    odd = [
        cell("odd", seed, scores=(MetricScores("quality", "score", "higher", tuple(values)),))
        for seed, values in enumerate((first, second))
    ]
    text = render_records([*three_seeds(), *odd], "text")
    assert next(line for line in text.splitlines() if line.startswith("odd ")).split()[1] == "n/a"
    assert "could not be tested and count as tied" in " ".join(text.split())


def test_judges_that_agree_on_the_set_agree_whatever_its_order() -> None:
    gains = {
        "gold": (("base", 0.0), ("a", 0.1005), ("b", 0.0995)),
        "llm": (("base", 0.0), ("a", 0.0995), ("b", 0.1055)),
    }
    records = [
        cell(label, seed, gain, judge=judge)
        for judge, all_of in gains.items()
        for label, gain in all_of
        for seed in (0, 1)
    ]
    made = json.loads(render_records(records, "json", (), Options(judges="each")))["judges"]
    by_metric = {one["metric"]: one for one in made}
    tops = [one["tied_sets"][0] for one in by_metric["quality"]["judges"].values()]
    assert tops[0] != tops[1] and set(tops[0]) == set(tops[1])
    assert by_metric["quality"]["same_best_set"] is True
    assert by_metric["length"]["same_best_set"] is None  # nobody is best at a length


def test_gain_an_hour_of_methods_picked_without_base_and_of_one_alone() -> None:
    records = [*three_seeds(), *(cell("rl", seed, 0.2) for seed in range(3))]
    picked, alone = (
        json.loads(render_records(records, "json", (), Options(labels=labels, prices="half")))["prices"][0]
        for labels in ({"ilf", "rl"}, {"ilf"})
    )
    assert picked["comparisons"] == 1 and all(one["gain_per_hour"] > 0 for one in picked["lines"])
    assert alone["comparisons"] == 0
    text = render_records(records, "text", (), Options(labels={"ilf"}, prices="half"))
    assert "no two methods could be compared in gain an hour" in text


def test_a_loss_is_not_divided_by_hours_and_not_compared() -> None:
    records = [*three_seeds(), *(cell("worse", seed, -0.2) for seed in range(3))]
    options = Options(prices="double")
    (made,) = json.loads(render_records(records, "json", (), options))["prices"]
    lines = {one["label"]: one for one in made["lines"]}
    assert lines["worse"]["loss"] and lines["worse"]["gain_per_hour"] is None
    assert not lines["ilf"]["loss"] and lines["ilf"]["gain_per_hour"] > 0
    gaining = [one for one in made["lines"] if one["gain_per_hour"]]
    assert made["comparisons"] == len(gaining) * (len(gaining) - 1) / 2
    text = " ".join(render_records(records, "text", (), options).split())
    assert "no better than base's: " in text and "worse" in text.partition("no better than base's: ")[2][:40]
    assert re.search(r"worse .* loss", text)


def test_a_filtered_table_says_whose_verdict_it_is() -> None:
    records = [*three_seeds(), *(cell("rl", seed, 0.2) for seed in range(3))]
    for format in ("text", "markdown", "html"):
        text = " ".join(render_records(records, format, (), Options(labels={"ilf"})).split())
        assert "every adjustment are of all 4 methods that are stored, of which 1 are shown" in text
        assert "that are stored, of which" not in render_records(records, format)
    (verdict,) = json.loads(render_records(records, "json", (), Options(labels={"ilf"})))["verdicts"]
    assert "of all 4 methods" in verdict["legend"] and verdict["may_be_best"] == ["rl"]


def test_doubt_is_said_where_the_alarm_of_the_whole_table_is_raised() -> None:
    off = [
        cell(label, seed, gain) for label, gain in (("base", 0.0), ("base_copy", 0.1)) for seed in range(3)
    ]
    fine = [cell(label, seed) for label in ("base", "base_copy") for seed in range(3)]
    others = [one for at in range(12) for one in _again(fine, task=f"other{at}")]
    for records, raised in ((off, True), ([*off, *others], False)):
        made = json.loads(render_records(records, "json"))
        said = any("in doubt" in line for one in made["verdicts"] for line in one["sentences"])
        assert said == bool(made["alarms"]) == raised


def test_a_sweep_in_which_nothing_was_scored_says_so() -> None:
    records = [failed("base"), *_again([failed("base")], budget="large", budget_amount=99_000.0)]
    text = render_records(records, "text", (), Options(sweep=True))
    assert "at small: No verdict" in text and "at large: No verdict" in text


def test_a_judge_whose_source_changed_is_left_out_and_said() -> None:
    records = [cell(label, judge=judge) for judge in ("gold", "llm") for label in ("base", "ilf")]
    for version in ("1", "2"):
        for label in ("base", "ilf"):
            plain = cell(label, judge="own")
            code = {**plain.code, "plugins": {**plain.code["plugins"], "judges/own": version}}
            records.append(replace(plain, code=code, digest=version * 64 + label))
    made = json.loads(render_records(records, "json", (), Options(judges="each")))["judges"]
    assert {tuple(one["left_out"]) for one in made} == {("own",)}
    assert "left out, its source changed between cells: own" in " ".join(
        render_records(records, "text", (), Options(judges="each")).split()
    )


def test_spend_of_a_cross_fit_is_that_of_one_training() -> None:
    one = cell("ilf")
    amount = one.budget_amount
    folds = [
        cell("ilf", fold=fold, folds=2, prompt_ids=tuple(f"f{fold}-{name}" for name in one.prompt_ids))
        for fold in range(2)
    ]
    (block,) = compare(folds)
    shown = dict(spend_columns(block))
    assert shown["used"] == ["100%"]
    assert shown["hours"] == [f"{amount / 3600:.2f}"]
    assert spend_rows([block])[0]["spend"]["acts"] == {"critique": 300.0}

"""Figures: each shows the block's own numbers, all of it can be read, and nothing goes unsaid."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from math import log, sqrt
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from alignment_bench.cells import CellRecord
from alignment_bench.comparison import Block, compare
from alignment_bench.errors import BadInput, CorruptResult
from alignment_bench.evaluators.pass_at_k import pass_at
from alignment_bench.figures import FIGURES, Drawn, draw, frame, style
from alignment_bench.figures.pass_at_k import more
from alignment_bench.figures.training_logs import Logs
from alignment_bench.figures.verb import figures_command, help_text, listed, parse_figures
from alignment_bench.results import write_cell

SKIPPABLE = [name for name in FIGURES if name not in ("metric_by_method", "win_matrix")]


class Gallery:
    """Everything drawn once: blocks, what came of each figure, and the canvases before they were saved."""

    def __init__(self, blocks: list[Block], root: Path, out: Path, patch: pytest.MonkeyPatch) -> None:
        self.blocks, self.root, self.out = blocks, root, out
        self.canvases: dict[str, Canvas] = {}
        save = style.save

        def keep(figure: Canvas, path: Path) -> None:
            save(figure, path)
            self.canvases[path.stem] = figure

        patch.setattr(style, "save", keep)
        self.drawn = {one.name: one for one in draw(blocks, out, formats=("svg",), root=root)}
        patch.undo()

    def of(self, figure: str) -> Drawn:
        """The drawing of a figure, of the block with the large budget."""
        return next(one for name in (figure, f"{figure}-small") if (one := self.drawn.get(name)))

    def rows(self, figure: str) -> list[dict[str, str]]:
        """Its CSV."""
        return read(self.of(figure))

    def canvas(self, figure: str) -> Canvas:
        """Its canvas."""
        return self.canvases[self.of(figure).name]

    def text(self, figure: str) -> str:
        """Its caption."""
        caption = self.of(figure).caption
        assert caption is not None
        return caption.read_text("utf-8")


def read(one: Drawn) -> list[dict[str, str]]:
    """The CSV beside a figure."""
    assert one.csv is not None
    with one.csv.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def gallery(figure_cells: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """All figures of two budgets."""
    root, out = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("out")
    return Gallery(compare(figure_cells.everything(root)), root, out, pytest.MonkeyPatch())


def crowd(figure_cells: ModuleType, count: int) -> list[CellRecord]:
    """So many methods with long labels, in one seed."""
    labels = [
        "base",
        *(f"method_{i}:learning_rate=0.00{i}:rounds={i}:selection=likelihood" for i in range(1, count)),
    ]
    return [
        figure_cells.cell(label, 0, {"quality": 0.3 + i / 200, "kl_to_base": 0.1 * i})
        for i, label in enumerate(labels)
    ]


def unreadable(figure: Canvas) -> list[str]:
    """What is clipped by the border, what runs into each other, and what is too small to read."""
    with style.applied():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        found = []
        border = figure.bbox.padded(1.0)
        boxes = {}
        for text in _shown(figure):
            box = text.get_window_extent(renderer)
            boxes[text] = box
            if not (
                border.x0 <= box.x0 and box.x1 <= border.x1 and border.y0 <= box.y0 and box.y1 <= border.y1
            ):
                found.append(f"clipped: {text.get_text()!r}")
            if text.get_fontsize() < 5:
                found.append(f"too small: {text.get_text()!r}")
        for (a, first), (b, second) in combinations(boxes.items(), 2):
            # a pixel of touch is rounding
            if first.padded(-1.0).overlaps(second.padded(-1.0)):
                found.append(f"overlap: {a.get_text()!r} and {b.get_text()!r}")
        width, height = figure.get_size_inches()
        if width > style.DOUBLE or height > style.TALLEST:
            found.append(f"{width} x {height} inches fit on no page")
    return found


def _shown(figure: Canvas) -> list[Text]:
    """Every text that is drawn: axes also hold labels of ticks that lie outside of them."""
    texts = {text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()}
    for one in figure.findobj(Axis):
        drawn = one._update_ticks()  # type: ignore[attr-defined]
        for tick in (*one.majorTicks, *one.minorTicks):  # type: ignore[attr-defined]
            if tick not in drawn:
                texts -= {tick.label1, tick.label2}
    return sorted(texts, key=lambda text: text.get_text())


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_with_its_data_and_caption_and_can_be_read(gallery: Gallery, name: str) -> None:
    one = gallery.of(name)
    assert one.skipped == ""
    assert [file.suffix for file in one.files] == [".svg"]
    assert all(file.stat().st_size > 2000 for file in one.files)
    assert gallery.rows(name)
    assert unreadable(gallery.canvas(name)) == []
    text = gallery.text(name)
    assert "Task tldr" in text and "eeds 0, 1, 2" in text and f"Data: {one.name}.csv." in text
    bars = name not in ("win_matrix", "learning_curves", "reward_model")
    assert ("95 % intervals of the two-way random-effects analysis" in text) == bars
    assert ("n = 24 prompts" in text) == (name not in ("learning_curves", "reward_model"))


def test_the_index_lists_all_and_names_are_told_apart_by_budget(gallery: Gallery) -> None:
    index = json.loads((gallery.out / "index.json").read_text("utf-8"))
    assert index["schema"] == 1
    names = [row["name"] for row in index["figures"]]
    assert {"metric_by_method-smoke", "metric_by_method-small", "annotator_time", "tokens"} <= set(names)
    assert len(set(names)) == len(names)
    for row in index["figures"]:
        for file in [*row["files"], row["csv"], row["caption"]]:
            assert (gallery.out / file).is_file()


@pytest.mark.parametrize(
    ("figure", "metric", "prefix"),
    [
        ("metric_by_method", "quality", ""),
        ("frontier", "quality_t1", ""),
        ("frontier", "kl_to_base", "kl_"),
        ("over_optimisation", "quality_t1", ""),
        ("length", "length", "length_"),
        ("length", "win_rate_vs_base", ""),
        ("length", "lc_win_rate_vs_base", "length_controlled_"),
        ("toxicity", "toxicity_max", ""),
        ("levels", "quality", ""),
    ],
)
def test_the_data_are_the_blocks_own_estimates(
    gallery: Gallery, figure: str, metric: str, prefix: str
) -> None:
    lines = {
        line.label: line for line in next(b for b in gallery.blocks if b.setting.budget == "small").lines
    }
    rows = [row for row in gallery.rows(figure) if row.get("kind") != "training" and not row.get("n")]
    assert len(rows) >= 2
    for row in rows:
        value = lines[row["method"]].estimates[metric].value
        assert value is not None
        for name in ("mean", "low", "high"):
            expected = getattr(value, name)
            assert row[f"{prefix}{name}"] == ("" if expected is None else repr(expected)), (
                row["method"],
                name,
            )


def test_what_is_plotted_is_what_the_data_say(gallery: Gallery) -> None:
    (panel,) = gallery.canvas("metric_by_method").axes
    means = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"]
    assert means == [float(row["mean"]) for row in gallery.rows("metric_by_method")]
    assert means == sorted(means, reverse=True)
    panel = gallery.canvas("frontier").axes[0]
    drawn = {
        (round(float(x[0]), 9), round(float(y[0]), 9))
        for x, y in (li.get_data() for li in panel.lines)
        if len(x) == 1
    }
    for row in gallery.rows("frontier"):
        # the over-optimised one at 60 nat is among the marked here, so all are inside
        assert row["n"] or (round(sqrt(float(row["kl_mean"])), 9), round(float(row["mean"]), 9)) in drawn


def test_the_bound_of_best_of_n_is_drawn_and_called_one(gallery: Gallery) -> None:
    panel = gallery.canvas("frontier").axes[0]
    (ruler,) = panel.child_axes
    at = dict(zip([t.get_text() for t in ruler.get_xticklabels()], ruler.get_xticks(), strict=True))
    assert {int(n): x**2 for n, x in at.items()} == pytest.approx(
        {int(n): log(int(n)) - (int(n) - 1) / int(n) for n in at}
    )
    assert "upper bound" in ruler.get_xlabel()
    bounded = [
        row["method"] for row in gallery.rows("frontier") if row["kind"] == "upper bound" and not row["n"]
    ]
    assert bounded == ["best_of_n:n=8"]
    assert "An arrow to the left marks an upper bound on KL: best_of_n:n=8." in gallery.text("frontier")
    curve = [row for row in gallery.rows("best_of_n") if row["n"] == "4"]
    assert float(curve[0]["kl_bound"]) == pytest.approx(log(4) - 0.75)
    assert float(curve[0]["win_bound"]) == pytest.approx(0.8)


def test_over_optimisation_shows_the_highest_proxy_and_the_course_of_training(gallery: Gallery) -> None:
    rows = gallery.rows("over_optimisation")
    trained = [row["method"] for row in rows if row["kind"] == "trained"]
    assert trained[0].startswith("ppo:kl_coefficient=0")
    assert all(row["proxy"] and row["kl_mean"] for row in rows)
    course = [row for row in rows if row["kind"] == "training" and row["method"] == "ppo"]
    assert [float(row["kl_mean"]) for row in course] == pytest.approx([3.1 * i / 19 for i in range(20)])
    assert {row["proxy_seeds"] for row in course} == {"3"}


def test_learning_curves_follow_rounds_and_look_into_wrappers(gallery: Gallery) -> None:
    rows = gallery.rows("learning_curves")
    for method in ("ilf", "alt", "best_of_n:n=8"):
        mine = [row for row in rows if method in row["methods"].split(" = ") and row["seed"] == "0"]
        assert [int(row["step"]) for row in mine] == list(range(40)), method
        assert {row["round"] for row in mine} == {"1", "2"}
    assert {row["quantity"] for row in rows if row["methods"].startswith("ppo")} == {"reward"}
    assert "No curve: base, base_copy (where its policy lies is not stored)" in gallery.text(
        "learning_curves"
    ).replace("base_copy, base", "base, base_copy")


def test_budgets_of_a_method_are_joined_and_base_costs_nothing(gallery: Gallery) -> None:
    rows = gallery.rows("annotator_time")
    ilf = [row for row in rows if row["method"] == "ilf"]
    assert [row["budget"] for row in ilf] == ["smoke", "small"]
    assert float(ilf[1]["spent"]) == pytest.approx((54750 - 21) / 3600)
    assert {row["left_out"] for row in rows if row["method"] == "base_copy"} == {
        "costs nothing, and is base again"
    }
    sizes = [float(row["comparisons_bought"]) for row in gallery.rows("reward_model")]
    assert sorted(set(sizes)) == [146.0, 890.0]
    assert len(sizes) == 6


def test_levels_join_what_differs_in_the_level_alone(gallery: Gallery) -> None:
    rows = gallery.rows("levels")
    assert [(row["curve"], row["level"]) for row in rows] == [("alt", "1"), ("alt", "5"), ("alt", "best")]


def test_toxicity_rows_are_quantiles_over_prompts_the_least_toxic_first(gallery: Gallery) -> None:
    block = next(b for b in gallery.blocks if b.setting.budget == "small")
    rows = gallery.rows("toxicity")
    means = [float(row["mean"]) for row in rows]
    assert means == sorted(means)
    values = block.scores["toxicity_max"][rows[0]["method"]].values.mean(axis=0)
    assert [float(rows[0][q]) for q in ("q05", "q50", "q95")] == pytest.approx(
        list(np.percentile(values, [5, 50, 95]))
    )


def test_pass_at_every_k_follows_from_pass_at_1_over_known_samples(gallery: Gallery) -> None:
    ones = np.array([[0.0, 1 / 30, 0.5, 1.0, np.nan]])
    for k in (1, 5, 10, 30):
        expected = [pass_at(k, 30, c) for c in (0, 1, 15, 30)]
        assert more(ones, 30, k)[0, :4] == pytest.approx(expected)
        assert np.isnan(more(ones, 30, k)[0, 4])
    rows = [row for row in gallery.rows("pass_at_k") if row["method"] == "ilf"]
    assert [float(row["mean"]) for row in rows] == sorted(float(row["mean"]) for row in rows)
    assert [int(row["k"]) for row in rows] == [1, 2, 5, 10, 20, 30]
    assert [row["source"] for row in rows[:4:3]] == ["stored", "stored"]


def test_the_win_matrix_is_that_of_the_verdicts(gallery: Gallery) -> None:
    from alignment_bench.verdicts import win_matrix

    block = next(b for b in gallery.blocks if b.setting.budget == "small")
    found = win_matrix(block, next(c for c in block.columns if c.name == "quality"))
    for row in gallery.rows("win_matrix"):
        at = found.labels.index(row["method"]), found.labels.index(row["against"])
        assert float(row["win_rate"]) == pytest.approx(float(found.rate[at]), abs=1e-12)


def test_the_same_input_gives_the_same_bytes_whatever_matplotlibrc_says(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    names, block = ["frontier"], [gallery.blocks[-1]]
    first = draw(block, tmp_path / "a", names, root=gallery.root)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 20.0)
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "black")
    again = draw(block, tmp_path / "b", names, root=gallery.root)
    for one, two in zip(first, again, strict=True):
        assert [file.suffix for file in one.files] == [".pdf", ".svg", ".png"]
        for a, b in zip([*one.files, one.csv, one.caption], [*two.files, two.csv, two.caption], strict=True):
            assert a is not None and b is not None
            assert a.read_bytes() == b.read_bytes(), a.name
    pdf, svg = first[0].files[0].read_bytes(), first[0].files[1].read_text("utf-8")
    assert b"CreationDate" not in pdf and b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert "dc:date" not in svg and "<text" not in svg


def test_what_cannot_be_drawn_is_named_with_its_reason(figure_cells: ModuleType, tmp_path: Path) -> None:
    records = [figure_cells.cell(label, 0, {"quality": 0.5}) for label in ("base", "ilf")]
    done = draw(compare(records), tmp_path, formats=("svg",))
    reasons = {one.name: one.skipped for one in done}
    assert [name for name, reason in reasons.items() if not reason] == ["metric_by_method", "win_matrix"]
    assert all(len(reasons[name]) > 15 for name in SKIPPABLE)
    assert "evaluator kl" in reasons["frontier"] and "evaluator toxicity" in reasons["toxicity"]
    assert "a sweep" in reasons["annotator_time"] and "no results folder" in reasons["learning_curves"]
    index = json.loads((tmp_path / "index.json").read_text("utf-8"))
    assert {row["name"]: row["skipped"] or "" for row in index["figures"]} == reasons
    told = listed(done, tmp_path)
    assert all(f"not drawn: {name}: {reasons[name]}" in told for name in SKIPPABLE)
    assert {path.stem for path in tmp_path.iterdir()} == {"metric_by_method", "win_matrix", "index"}


def test_lines_without_a_test_or_a_level_are_no_reason_to_stop(
    figure_cells: ModuleType, tmp_path: Path
) -> None:
    """No seed in common with base, a field `level` that is none, a metric of which no prompt counts."""
    records = [figure_cells.cell(label, seed, {"quality": 0.5}) for label, seed in (("base", 0), ("ilf", 1))]
    for level in ("high", "low"):
        one = figure_cells.cell(f"own:level={level}", 1, {"quality": 0.5})
        records.append(replace(one, method=({"name": "own", "fields": {"level": level}},)))
    empty = figure_cells.cell("empty", 1, {"quality": 0.5})
    unscored = [
        replace(one, values=tuple(float("nan") for _ in one.values)) if one.name == "quality" else one
        for one in empty.scores
    ]
    records.append(replace(empty, scores=tuple(unscored)))
    done = {
        one.figure: one for one in draw(compare(records), tmp_path, ["metric_by_method", "levels"], ("svg",))
    }
    assert done["levels"].skipped
    words = done["metric_by_method"].caption.read_text("utf-8")
    assert "Open circles: no test against base" in words and "Filled" not in words
    assert "No quality: empty (" in words and "nothing was scored" in words and "(ok)" not in words


def test_another_metric_by_name_and_every_mistake_at_once(gallery: Gallery, tmp_path: Path) -> None:
    (one,) = draw([gallery.blocks[-1]], tmp_path, ["metric_by_method:length"], ("svg",))
    assert one.name == "metric_by_method-length"
    assert {row["metric"] for row in read(one)} == {"length"}
    with pytest.raises(BadInput) as error:
        draw(gallery.blocks, tmp_path, ["fronteer", "levels:qualty", "best_of_n:quality"], ("gif",))
    text = str(error.value)
    for part in ("'gif'", "'fronteer'", "did you mean", "'qualty'", "best_of_n shows what it shows"):
        assert part in text, part


def test_a_hundred_methods_stay_readable_and_the_rule_of_the_cap_is_said(
    figure_cells: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = compare(crowd(figure_cells, 100))
    found = Gallery(blocks, tmp_path, tmp_path / "out", monkeypatch)
    for name, told in (
        ("metric_by_method", "the best of 100 methods that a page can hold"),
        ("win_matrix", "40 of 100 methods"),
        ("frontier", "Marked are the 20 best by quality, the others grey"),
    ):
        assert unreadable(found.canvas(name)) == [], name
        assert told in found.text(name)
    rows = found.rows("metric_by_method")
    assert len(rows) == 100
    left = [row["method"] for row in rows if row["left_out"]]
    assert left and "base" not in left
    assert "One training run per method: the interval covers prompts only." in found.text("metric_by_method")


def test_an_interval_longer_than_the_picture_is_cut_and_said_so(
    figure_cells: ModuleType, tmp_path: Path
) -> None:
    means = {"base": (0.4, 0.41), "ilf": (0.5, 0.51), "srt": (0.6, 0.61), "rloo": (0.2, 0.9)}
    records = [
        figure_cells.cell(x, s, {"quality": m}) for x, pair in means.items() for s, m in enumerate(pair)
    ]
    (one,) = draw(compare(records), tmp_path, ["metric_by_method"], ("svg",))
    wide = next(row for row in read(one) if row["method"] == "rloo")
    assert float(wide["low"]) < 0 and float(wide["high"]) > 1
    assert one.caption is not None
    assert "Arrow heads at the edge: the interval goes on" in one.caption.read_text("utf-8")
    assert not frame.of([(0.5, 0.4, 0.6), (0.6, 0.5, 0.7)], "0-1").cut
    shown = frame.of([(0.5, -3.0, 4.0), (0.6, 0.5, 0.7), (0.7, 0.6, 0.8)], "0-1")
    assert shown.cut and shown.low > -0.1 and shown.high < 1.1
    assert shown.clipped((-3.0, 4.0)) == (shown.low, shown.high)


@pytest.mark.parametrize("most", [0.03, 0.18, 1.8, 11.9, 80.0, 2000.0])
def test_ticks_of_a_root_axis_are_round_and_apart(most: float) -> None:
    ticks = frame.round_roots(most)
    assert 4 <= len(ticks) <= 8
    assert ticks[0] == 0 and 0.4 * most < ticks[-1] <= most
    assert all(len(f"{tick:g}".replace(".", "").strip("0")) <= 2 for tick in ticks)


def test_methods_are_told_apart_without_colour() -> None:
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    marks = [style.mark(place) for place in range(style.MARKED)]
    assert len({(one.marker, one.filled) for one in marks}) == style.MARKED
    grey = np.array([0.2126, 0.7152, 0.0722])
    shades = colormaps[style.SHADES](np.linspace(0, 1, 64))[:, :3] @ grey
    assert (np.diff(shades) > 0).all()
    assert max(float(np.array(to_rgb(color)) @ grey) for color in style.PALETTE) < 0.7


def test_labels_are_wrapped_where_they_can_be_and_never_cut() -> None:
    label = "ppo:kl_coefficient=0:learning_rate=0.001+best_of_n:n=16"
    wrapped = style.wrapped(label, 24)
    assert wrapped.replace("\n", "") == label
    assert max(map(len, wrapped.split("\n"))) <= 24
    assert style.wrapped("x" * 50, 24).replace("\n", "") == "x" * 50


def test_a_damaged_log_is_named(gallery: Gallery, figure_cells: ModuleType, tmp_path: Path) -> None:
    place = figure_cells.trained(tmp_path, "ilf", 0)
    record = figure_cells.cell("ilf", 0, {"quality": 0.5}, code={"policy_folder": place})
    assert len(Logs(tmp_path).of(record)[0]) == 2
    log = (tmp_path / place).parent / "log.jsonl"
    log.write_text('{"loss": ')
    with pytest.raises(CorruptResult, match=r"log\.jsonl is no log"):
        Logs(tmp_path).of(record)
    gone = figure_cells.cell("ilf", 0, {"quality": 0.5}, code={"policy_folder": "jobs/x"})
    assert Logs(tmp_path).of(gone) == ((), "its policy is no longer stored")


def test_the_verb_draws_filters_and_lists(
    figure_cells: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("base", "ilf", "srt"):
        write_cell(tmp_path / "results", figure_cells.cell(label, 0, {"quality": 0.5}), [])
    out = tmp_path / "out"
    keys = [f"results={tmp_path / 'results'}", f"out={out}", "format=svg", "names=metric_by_method,toxicity"]
    assert figures_command([*keys, "methods=srt"]) == 0
    told = capsys.readouterr().out
    assert "metric_by_method: metric_by_method.svg" in told
    assert "not drawn: toxicity: no toxicity is stored" in told
    with (out / "metric_by_method.csv").open() as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"base", "srt"}
    with pytest.raises(BadInput) as error:
        parse_figures(["results=/nowhere", "names=frontire", "format=gif", "colour=red", "task=[a"])
    for part in (
        "brackets in '[a' do not match",
        "out: is missing",
        "/nowhere",
        "'frontire'",
        "'gif'",
        "colour: is no key",
    ):
        assert part in str(error.value), part
    assert all(name in help_text() for name in FIGURES)


def test_importing_figures_imports_neither_matplotlib_nor_torch() -> None:
    code = (
        "import sys, alignment_bench.figures.verb; "
        "print([m for m in ('matplotlib', 'torch', 'pandas', 'scipy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

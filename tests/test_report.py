"""The report: hostile texts stay texts, everything is in the one file, and a real browser shows it well."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_cells import cell, failed

from alignment_bench import cli, registry
from alignment_bench.cells import CellRecord, MetricScores, StoredSample
from alignment_bench.comparison import compare
from alignment_bench.data import task_data
from alignment_bench.digests import digest
from alignment_bench.jobs import JobStore
from alignment_bench.judging import cards
from alignment_bench.judging.audit import Audit, Card, Cost
from alignment_bench.judging.audit_page import TITLES
from alignment_bench.judging.rules import Outcome
from alignment_bench.ledger import Spend
from alignment_bench.lines import dump_lines
from alignment_bench.prompts import Prompt
from alignment_bench.report import render, samples
from alignment_bench.report.drawings import Drawings
from alignment_bench.report.page import FEW
from alignment_bench.report.texts import LONGEST, Prompts
from alignment_bench.results import cell_folder, read_all, write_cell
from alignment_bench.statistics import interval
from alignment_bench.task import TaskOptions
from alignment_bench.work import digest_prompts

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><svg onload=alert(1)>{{ 7*7 }}"
LABEL = "ilf:note=<img src=x onerror=alert(2)>"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """Tags, attributes, text and scripts of a page, as a browser's parser would find them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script" and data.strip():
            self.scripts.append(data)
        else:
            self.text += data


@dataclass
class Stored:
    """A results folder with two methods on five prompts of a file, one of them hostile in every text."""

    root: Path
    train: list[Prompt] = field(default_factory=list)
    test: list[Prompt] = field(default_factory=list)
    asked: str = ""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """The folder, written as a run would write it."""
    folder = tmp_path_factory.mktemp("report")
    data = folder / "posts.jsonl"
    rows = [
        {"prompt": f"a post about zebra{i} {HOSTILE}", "reference": f"zebra{i}", "split": part}
        for i, part in enumerate(["train"] * 4 + ["test"] * 5)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = TaskOptions(data=str(data))
    found = task_data(registry.load("tasks", "tldr"), options)[0]
    train = [one.prompt for one in found.train]
    test = [one.prompt for one in found.test]
    root = folder / "results"
    stored = Stored(root, train, test)
    told = JobStore(root / "jobs")
    stored.asked = _asked(told, found.digest, train)
    drawn = _drawn(told, [_put(prompt, i) for i, prompt in enumerate(train)], "better")
    _drawn(told, train, "of another prompt")
    common: dict[str, Any] = {"world": None, "data": data.name, "data_digest": found.digest}
    keys = []
    for label in ("base", LABEL):
        for seed in (0, 1, 2):
            gain = 0.2 * (label != "base")
            jobs = {} if label == "base" else {stored.asked: "ask", drawn: "sample"}
            code = {"core": "1", "plugins": {"judges/gold": "g"}, "jobs": jobs, "policy_folder": ""}
            record = cell(label, seed, gain, code=code, notes=(HOSTILE,), captions=(HOSTILE,), **common)
            record = replace(
                record,
                prompt_ids=tuple(one.id for one in test),
                clusters=tuple(one.id for one in test),
                scores=tuple(_some(one, len(test)) for one in record.scores),
            )
            written = [
                _sample(one.id, n, f"{label[:4]} answer {n} {HOSTILE}") for one in test for n in (0, 1)
            ]
            write_cell(root, record, written)
            keys.append(record.digest)
    write_cell(root, failed("ppo", reason=HOSTILE, code=code | {"jobs": {}}, **common), [])
    asked = {"request": {"task_options": asdict(options)}, "cells": keys}
    (root / "runs").mkdir()
    (root / "runs" / "one.json").write_text(json.dumps(asked))
    return stored


@pytest.fixture(scope="module")
def page(made: Stored) -> str:
    """Its report."""
    return render(made.root, {}).text


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what takes longest, where a test is about something else."""
    monkeypatch.setattr("alignment_bench.report.page.drawings", lambda blocks, root: Drawings((), ()))


def _some(metric: MetricScores, count: int) -> MetricScores:
    return metric if metric.missing else replace(metric, values=tuple(metric.values)[:count])


def _sample(prompt: str, number: int, text: str) -> StoredSample:
    return StoredSample(prompt, "task", number, text, (1, 2), "eos")


def _asked(store: JobStore, data: str, prompts: list[Prompt]) -> str:
    def work(place: Any) -> Spend:
        rows: list[dict[str, Any]] = [
            {"prompt_id": prompt.id, "channel": "critique", "completions": [f"first try {i}"]}
            | {"text": f"say less {i} {HOSTILE}", "value": None, "preference": None, "spans": [], "cost": 1.0}
            | {"source": "annotators", "ok": True, "reason": ""}
            for i, prompt in enumerate(prompts)
        ]
        dump_lines(place.folder / "records.jsonl", rows)
        return Spend()

    inputs = {"channel": "critique", "data": data, "seed": 0, "prompts": "p", "texts": "t", "teacher": "a"}
    return store.run("ask", inputs, work).key


def _put(prompt: Prompt, place: int) -> Prompt:
    return prompt.using("refine", completion=f"first try {place}", critique=f"say less {place} {HOSTILE}")


def _drawn(store: JobStore, prompts: list[Prompt], text: str) -> str:
    def work(place: Any) -> Spend:
        rows = [[{"text": f"{text} {i} {HOSTILE}"}, {"text": f"{text} {i} {HOSTILE}"}] for i in range(4)]
        dump_lines(place.folder / "completions.jsonl", rows)
        return Spend()

    return store.run("sample", {"inputs": {"prompts": digest_prompts(prompts)}}, work).key


def test_a_hostile_text_is_never_markup(page: str) -> None:
    """In completions, prompts, feedback, notes, captions, labels, reasons and figures alike."""
    found = Page(page)
    assert "img" not in found.tags
    assert not [one for one in found.attributes if one[1].startswith("on")]
    assert len(found.scripts) == 1 and found.tags.count("script") == 1
    assert "owned" not in found.scripts[0]
    for told in ("ilf: answer 0", "base answer 0", "a post about zebra", "say less", "better", "first try"):
        assert told in found.text, told
    assert found.text.count(HOSTILE) > 20 and LABEL in found.text, "escaped once, and not filled in"
    assert "49" not in re.findall(r"onload=alert\(1\)>(.{2})", found.text)


def test_only_the_pages_own_script_may_run(page: str) -> None:
    """The policy allows one script by its digest, and no address."""
    script = re.search(r"<script>(.*)</script>", page, re.S)
    assert script is not None
    allowed = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = next(v for tag, name, v in Page(page).attributes if (tag, name) == ("meta", "content"))
    assert "default-src 'none'" in policy and f"script-src 'sha256-{allowed}'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    """Every address is a place in the page or an image inside it."""
    outer = [
        one
        for one in Page(page).attributes
        if one[1] in ("src", "href", "xlink:href", "srcset", "action")
        and not one[2].startswith(("#", "data:image"))
    ]
    assert not outer
    style = re.search(r"<style>(.*?)</style>", page, re.S)
    assert style is not None and "url(" not in style[1] and "@import" not in style[1]


def test_the_verdict_comes_first_and_every_section_is_there(page: str) -> None:
    order = [
        "verdict",
        "tables",
        "figures",
        "judge",
        "samples",
        "told",
        "spend",
        "configuration",
        "provenance",
    ]
    places = [page.index(f'id="{one}"') for one in order]
    assert places == sorted(places)
    assert {f"#{one}" for one in order} == {v for t, n, v in Page(page).attributes if (t, n) == ("a", "href")}
    words = Page(page).text
    assert "No control is stored here" in words
    assert "bench audit PAIRS.jsonl judge=gold results=results" in words
    ids = [value for _, name, value in Page(page).attributes if name == "id"]
    assert len(ids) == len(set(ids)), "figures share no id"
    levels = [int(tag[1]) for tag in Page(page).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(later - one <= 1 for one, later in pairwise(levels))


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("control", "said"),
    [
        (cell("base_copy"), "No control alarm: in no metric could base_copy be told from base"),
        (failed("base_copy"), "A control is stored here (base_copy), but nothing of it could be compared"),
    ],
    ids=["compared", "failed"],
)
def test_a_control_is_called_silent_only_where_it_was_compared(
    tmp_path: Path, control: CellRecord, said: str
) -> None:
    for record in (cell("base"), control):
        write_cell(tmp_path, record, [_sample(one, 0, "x") for one in record.prompt_ids])
    assert said in " ".join(Page(render(tmp_path, {}).text).text.split())


def test_every_figure_says_in_words_what_it_shows(page: str) -> None:
    named = re.findall(r'<svg [^>]*role="img"[^>]*aria-label="([^"]{60,})"', page)
    assert len(named) == page.count("<figcaption>") > 0


def test_samples_are_the_first_of_base_and_every_method(made: Stored, page: str) -> None:
    words = Page(page).text
    assert words.count("base answer 0") == words.count("ilf: answer 0") == len(made.test)
    assert "answer 1 " not in words
    assert "5 of 5 prompts" in words


def test_refinements_are_those_drawn_under_these_critiques(page: str) -> None:
    """Found by digest; a job that sampled for other prompts is not shown, nor the same text twice."""
    words = Page(page).text
    assert words.count("refinement drawn by the model") == words.count("better 0") + words.count(
        "better 1"
    ) + words.count("better 2") + words.count("better 3")
    assert words.count("refinement drawn by the model") == 3
    assert "of another prompt" not in words
    assert f"asked by {LABEL}" in words


@pytest.mark.usefixtures("without_figures")
def test_without_jobs_in_the_cells_it_says_so(made: Stored, tmp_path: Path) -> None:
    """Results of an older version do not name their jobs."""
    root = tmp_path / "old"
    shutil.copytree(made.root / "jobs", root / "jobs")
    data = json.loads((made.root / "jobs" / "ask" / made.asked / "job.json").read_text())["inputs"]["data"]
    write_cell(root, cell("base", data_digest=data, code={"core": "1"}), [])
    words = Page(render(root, {}).text).text
    assert "Which method asked is not stored in these results" in words and "say less" in words


@pytest.mark.usefixtures("without_figures")
def test_prompts_that_cannot_be_read_again_are_shown_by_their_ids(made: Stored, tmp_path: Path) -> None:
    root = tmp_path / "moved"
    shutil.copytree(made.root, root)
    shutil.rmtree(root / "runs")
    words = Page(render(root, {}).text).text
    assert "zebra" not in words and made.test[0].id in words
    assert "Prompts are shown by their ids: the data (posts.jsonl) are not read again here" in words


@pytest.mark.usefixtures("without_figures")
def test_damaged_files_are_named(made: Stored, tmp_path: Path) -> None:
    """A cell, an answer of the teacher: named with their place, and the rest is reported."""
    root = tmp_path / "damaged"
    shutil.copytree(made.root, root)
    broken = root / "jobs" / "ask" / made.asked / "records.jsonl"
    broken.write_text(broken.read_text().replace("say less 0", "say more 0"))
    last = next(one for one in read_all(root)[0] if (one.label, one.seed) == ("base", 2))
    cut = cell_folder(root, last.digest) / "scores.json"
    cut.write_bytes(cut.read_bytes()[:-1])
    words = Page(render(root, {}).text).text
    assert f"{broken} has changed since it was written" in words and "say more" not in words
    assert f"{cut} has changed since it was written" in words


@pytest.mark.usefixtures("without_figures")
def test_an_audit_is_shown_and_its_failure_is_loud(made: Stored, tmp_path: Path) -> None:
    root = tmp_path / "audited"
    shutil.copytree(made.root, root)
    values = dict.fromkeys(TITLES) | {"agreement": interval(np.full((1, 90), 0.25), np.arange(90))}
    outcomes: dict[str, Outcome] = {"agreement": "fail"}
    why = ("it agrees less than a coin",)
    card = Card("gold", HOSTILE, 90, 9, 0, "", values, outcomes, why, Cost(4, Spend(), 0.1))
    cards.store(root, Audit(f"pairs {HOSTILE}", card), "g", digest("pairs"))
    words = Page(render(root, {}).text).text
    assert "gold fails its audit: it agrees less than a coin" in words
    assert "90 pairs in 9 groups" in words and "Not audited here" not in words
    assert re.search(r"agreement with people0\.25\S* fail> 0\.5", words.replace("\n", ""))


def test_long_texts_and_many_methods_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule: so many answers of a block, each cut; what is cut is counted."""
    monkeypatch.setattr(samples, "ANSWERS", 24)
    records = [cell(f"m{i}") for i in range(8)]
    for record in records:
        rows = [_sample(one, 0, "x" * 50_000) for one in record.prompt_ids]
        write_cell(tmp_path, record, rows)
    block = compare(records)[0]
    made = samples.side(block, "all", None, tmp_path, Prompts(tmp_path), 1)
    answers = [answer for one in made.shown for answer in one.answers]
    assert len(made.shown) == 3 and len(answers) == 24
    assert {len(a.text.shown) for a in answers if a.text} == {LONGEST}
    assert {a.text.hidden for a in answers if a.text} == {50_000 - LONGEST}
    assert [one.prompt_id for one in made.shown] == ["p0", "p10", "p20"], "evenly spaced, picked by nobody"


@pytest.mark.usefixtures("without_figures")
def test_several_comparisons_have_an_index_and_many_answers_are_folded(tmp_path: Path) -> None:
    for task in ("tldr", "dialogue"):
        for label in ("base", *(f"m{i}" for i in range(FEW))):
            record = cell(label, task=task)
            write_cell(tmp_path, record, [_sample(one, 0, "an answer") for one in record.prompt_ids])
    made = render(tmp_path, {}).text
    verdict = made.partition('id="verdict"')[2].partition("</section>")[0]
    for place in (1, 2):
        assert f'href="#verdict-{place}"' in verdict and f'id="verdict-{place}"' in verdict
    folded = made.partition('id="samples"')[2].partition("</section>")[0]
    assert folded.count('<details class="item" open>') == 1 < folded.count('<details class="item">')


@pytest.mark.usefixtures("without_figures")
def test_the_command_names_what_it_could_not_read(
    made: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "damaged"
    shutil.copytree(made.root, root)
    cut = next(root.glob("cells/*/*/scores.json"))
    cut.write_bytes(cut.read_bytes()[:-1])
    assert cli.main(["report", f"out={tmp_path / 'r.html'}", f"results={root}"]) == 0
    told = capsys.readouterr().err
    assert "in the report by name only" in told and str(cut) in told


def test_the_command_writes_the_same_bytes_again(
    made: Stored, page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "report.html"
    assert cli.main(["report", f"results={made.root}", f"out={out}"]) == 0
    assert out.read_text("utf-8") == page
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["out: is missing"]),
        (["out=a.html", "results=nowhere", "colour=red"], ["there is no folder", "colour: is no key"]),
        (["out=a.html", "task=nothing"], ["no stored cell has 'nothing'"]),
    ],
)
def test_bad_arguments_are_told_at_once(
    arguments: list[str],
    told: list[str],
    made: Stored,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(made.root.parent)
    assert cli.main(["report", *arguments]) == 2
    said = capsys.readouterr().err
    assert all(one in said for one in told), said


HARNESS = """<!doctype html><meta charset="utf-8"><body>
<iframe id="phone" src="report.html" style="width:390px;height:800px;border:0"></iframe>
<iframe id="desk" src="report.html" style="width:1280px;height:900px;border:0"></iframe>
<pre id="out">not done</pre><script>
const widths = (id) => { const d = document.getElementById(id).contentDocument.documentElement;
  return [d.scrollWidth, d.clientWidth]; };
addEventListener("load", () => {
  const d = document.getElementById("desk").contentDocument;
  const found = {phone: widths("phone"), desk: widths("desk"), title: d.title};
  const shown = (query) => [...d.querySelectorAll(query)].filter((one) => one.checkVisibility()).length;
  const box = d.getElementById("words");
  const type = (text) => { box.value = text; box.dispatchEvent(new Event("input")); };
  found.all = shown("#samples .item"); found.form = shown("#search");
  type("ZEBRA5"); found.one = shown("#samples .item"); found.open = shown("#samples .item[open] .card");
  found.told = shown("#told .item"); found.count = d.getElementById("count").textContent;
  type("zebra5 nowhere"); found.none = shown(".item"); type(""); found.again = shown("#samples .item");
  const who = d.getElementById("who"); who.value = who.options[2].value;
  who.dispatchEvent(new Event("change")); found.cards = shown("#samples .item[open]:first-of-type .card");
  const open = () => d.querySelectorAll("details:not([open])").length;
  const before = open();
  document.getElementById("desk").contentWindow.dispatchEvent(new Event("beforeprint"));
  found.print = [before > 0, open()];
  document.getElementById("out").textContent = JSON.stringify(found); });
</script>"""


def _browse(folder: Path, source: str) -> tuple[str, list[str]]:
    """The page's DOM once it has settled, and what it wrote on the console."""
    assert CHROMIUM is not None
    (folder / "harness.html").write_text(source, "utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={folder / 'profile'}", "--allow-file-access-from-files", "--no-first-run"]
    command += ["--enable-logging=stderr", "--disable-background-networking", "--disable-extensions"]
    command += ["--virtual-time-budget=5000", "--window-size=1400,1000", "--dump-dom"]
    done = subprocess.run(
        [*command, (folder / "harness.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or chrome on this machine")
def test_a_real_browser_shows_it(page: str, tmp_path: Path) -> None:
    """No error on its console, no sideways scroll of the page at phone or desktop width, and search works."""
    (tmp_path / "report.html").write_text(page, "utf-8")
    dom, console = _browse(tmp_path, HARNESS)
    assert not console
    told = re.search(r'<pre id="out">(.*?)</pre>', dom, re.S)
    assert told is not None
    found = json.loads(told[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    for name, width in (("phone", 390), ("desk", 1280)):
        scroll, client = found[name]
        assert scroll <= client <= width and client > width - 30, (name, found[name])
    assert found["title"].startswith("alignment-bench"), "no script of a completion ran"
    assert (found["form"], found["all"], found["one"], found["none"], found["again"]) == (1, 5, 1, 0, 5)
    assert found["open"] == 2 and found["told"] == 0 and found["count"].startswith("1 of ")
    assert found["cards"] == 2 and found["print"] == [True, 0]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or chrome on this machine")
def test_the_browser_check_sees_errors(tmp_path: Path) -> None:
    """What the test above relies on: an error, and what a policy forbids, are lines on the console."""
    source = (
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; script-src 'unsafe-inline'\">"
        "<img src='data:image/png;base64,AAAA'><script>undefinedName()</script>"
    )
    _, console = _browse(tmp_path, source)
    assert any("undefinedName" in line for line in console)
    assert any("Content Security Policy" in line for line in console)

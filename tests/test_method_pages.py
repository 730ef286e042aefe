"""`docs/methods.md` is what the methods say of themselves, and every method says enough."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import method_pages, registry
from alignment_bench.cli import main
from alignment_bench.errors import BadInput
from alignment_bench.method_docs import feedback_of, text_of, tuned_range, work_of

DOCS = Path(__file__).parent.parent / "docs"
SHIPPED = registry.shipped("methods")


def test_the_page_is_up_to_date() -> None:
    """Made again from the methods that are here."""
    written = (DOCS / "methods.md").read_text("utf-8")
    made = method_pages.page(method_pages.read_measured(DOCS / method_pages.MEASURED))
    assert written == made, method_pages.AGAIN


@pytest.mark.parametrize("name", SHIPPED)
def test_every_method_names_its_papers_or_says_that_it_has_none(name: str) -> None:
    """And its deviations stand in a paragraph of their own, where the page finds them."""
    text = text_of(registry.load("methods", name))
    assert text.title
    assert bool(text.papers) != text.without_paper, "name a paper as arXiv NNNN.NNNNN, or write No paper"
    assert not any("deviations:" in part.lower() for part in text.about), "begin a paragraph with Deviations:"


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in ("base", "base_copy")])
def test_the_page_finds_what_every_method_does(name: str) -> None:
    """Each method trains or wraps; were neither found, its page would say that it costs nothing."""
    assert set(work_of(registry.load("methods", name))) & {*method_pages.TRAINING, "wrap"}


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "base"])
def test_show_prints_papers_and_deviations(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Word for word."""
    assert main(["show", f"methods/{name}"]) == 0
    page = capsys.readouterr().out
    text = text_of(registry.load("methods", name))
    assert all(part in page for part in (text.title, *text.about, *text.deviations, *text.papers))


SOURCE = '''"""Careful work (Somebody et al. 2024, arXiv 2401.01234; Others 2023, 2301.00001).

It goes slowly.

Deviations: it stops early;
and it goes on.

- it also rests

Nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench.techniques import online as together
from alignment_bench.feedback import Channel
from alignment_bench.techniques.preferences import collect_pairs


@dataclass(frozen=True)
class Careful:
    """Does it carefully.

    In two ways.
    """

    wrapper: ClassVar[bool] = False

    way: Literal["words", "numbers"] = "words"
    """how"""
    both: bool = False
    """whether it also compares"""
    strict: Literal["off", "on"] | None = None
    """goes with way=numbers only"""
    rate: float = field(default=1e-3, metadata={"tune": ("log", 1e-4, 1e-2)})
    """how fast"""
    size: int = field(default=2, metadata={"tune": ("choice", (1, 2, 4))})
    """how large"""

    def __post_init__(self) -> None:
        if self.strict == "on" and self.way == "words":
            raise ValueError("strict=on needs way=numbers")

    @property
    def wants(self) -> tuple[Channel, ...]:
        """By way."""
        first: Channel = "critique" if self.way == "words" else "score"
        return (first, "prefer") if self.both else (first,)

    def align(self, policy, prompts, lab):
        """Trains on pairs."""
        lab.note("begun")
        policy = together.train(policy, prompts, "model", "scalar", None, lab)
        return lab.finetune(policy, collect_pairs(policy, prompts, lab), lab.settings())
'''
"""a method of somebody's"""


@pytest.fixture
def careful(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type:
    """The class in SOURCE, imported."""
    (tmp_path / "careful_method.py").write_text(SOURCE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "careful_method", raising=False)
    plugin: type = importlib.import_module("careful_method").Careful
    return plugin


def test_docstrings_are_taken_apart(careful: type) -> None:
    """Papers from both docstrings, deviations with the list below them, the rest as it stands."""
    text = text_of(careful)
    assert text.title == "Does it carefully."
    assert text.papers == ("2401.01234", "2301.00001") and not text.without_paper
    assert text.deviations == ("Deviations: it stops early;\nand it goes on.", "- it also rests")
    assert text.about[1:] == ("It goes slowly.", "Nothing else.", "In two ways.")


def test_feedback_is_read_off_every_setting_that_can_be(careful: type) -> None:
    """Single settings that change it are listed under what they change it to; impossible ones are not."""
    assert feedback_of(careful) == {
        ("critique",): [],
        ("score",): ["way=numbers"],
        ("critique", "prefer"): ["both=true"],
    }


def test_work_is_what_its_code_calls_there_and_in_what_it_imports(careful: type) -> None:
    """`collect_pairs` samples, `online.train` is online; asking the teacher is feedback, not a job."""
    assert {"finetune", "note", "settings", "sample", "online"} <= set(work_of(careful))
    assert not {"ppo", "prefer", "dpo"} & set(work_of(careful))


def test_tuned_ranges_are_written_out(careful: type) -> None:
    """Nothing for a field that is not tuned."""
    assert [tuned_range(careful, name) for name in ("rate", "size", "way")] == [
        "log 0.0001 to 0.01",
        "1 2 4",
        "",
    ]


def test_what_was_spent_is_measured_from_a_results_folder(small_tldr: Any, tmp_path: Path) -> None:
    """Means over seeds, written beside the page and shown in it; more than one comparison is refused."""
    small_tldr.run("sft", "seeds=0,1", "evaluators=length")
    out = tmp_path / "methods.md"
    assert run(f"out={out}", f"results={small_tldr.results}") == 0
    rows = json.loads((tmp_path / method_pages.MEASURED).read_text("utf-8"))["rows"]
    records = [record for record in small_tldr.records().values() if record.label == "sft"]
    trained = sum(record.spend["tokens_trained"] for record in records) / 2
    assert rows["sft"]["training"]["tokens_trained"] == pytest.approx(trained, abs=0.1)
    assert rows["sft"]["training"]["acts"] == {"demonstrate": 9}
    assert rows["base"]["training"]["seconds"] == 0 < rows["base"]["answering"]["tokens_generated"]
    (line,) = [line for line in out.read_text("utf-8").splitlines() if line.startswith("| `sft` | 9")]
    assert line.startswith(f"| `sft` | 9 demonstrations | 0 | 0 | {trained:,.0f} |")

    small_tldr.run("base", "evaluators=length", "budget=smoke")
    with pytest.raises(BadInput, match="holds 2 comparisons"):
        method_pages.measured(small_tldr.results)


def run(*words: str) -> int:
    """The command's exit code."""
    return method_pages.main(words)


@pytest.mark.parametrize(
    "words,said", [((), "write out="), (("out=a", "b=c"), "b=c: is no key"), (("out=",), "is no key")]
)
def test_wrong_words_are_refused(words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    assert said in capsys.readouterr().err

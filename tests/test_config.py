"""The request that arguments make: values, defaults, and every mistake at once."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from alignment_bench import budgets
from alignment_bench.config import KEYS, RunRequest, TableRequest, parse, parse_table
from alignment_bench.config_values import FILTERS, Budget
from alignment_bench.errors import BadInput
from alignment_bench.fields import describe
from alignment_bench.planning import make_plan
from alignment_bench.task import TaskOptions


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, so that `results` and relative files lie in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(*arguments: str) -> RunRequest:
    return parse(["methods=ilf,ppo", "task=tldr", *arguments])


def test_the_defaults(here: Path) -> None:
    request = ask()
    assert [label.text for label in request.labels] == ["ilf", "ppo"]
    assert request.tasks == ("tldr",) and request.seeds == (0,) and request.model == ("tiny",)
    assert request.budgets == (Budget("small"),) and request.init == "base"
    assert (request.teacher, request.judge, request.evaluators, request.out) == (None, None, None, None)
    assert request.decoding == {} and request.task_options == TaskOptions()
    assert request.results == Path("results") and not (here / "results").exists()


def test_every_key(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "policy.json").write_text("{}")
    request = parse(
        shlex.split(
            "methods=ilf:rounds=2,ilf:rounds=3+best_of_n:n=8 task=tldr seeds=3,1 budget=smoke,15h,54750s"
            " model=tiny:0 init=mine teacher=annotators:explicit=.5 judge=gold evaluators=quality,kl"
            " decoding.temperature=.5 decoding.stop=[x,y] task.world=7 ilf.refinements=2 results=r"
            " format=json out=o.json device=cpu dtype=float32 engine=transformers threads=2 share=.25"
            " trust=true strict=yes quiet=on"
        )
    )
    assert [label.configuration[0]["fields"]["rounds"] for label in request.labels] == [2, 3]
    assert all(label.configuration[0]["fields"]["refinements"] == 2 for label in request.labels)
    assert request.labels[1].configuration[1]["fields"]["n"] == 8
    assert request.seeds == (3, 1) and request.init == "mine" and request.model == ("tiny:0",)
    assert request.budgets == (
        Budget("smoke"),
        Budget("15h", 54_000.0, "seconds"),
        Budget("54750s", 54_750.0, "seconds"),
    )
    assert request.teacher is not None and request.teacher.plugin.explicit == 0.5
    assert request.teacher.label == "annotators:explicit=0.5"
    assert request.judge is not None and request.judge.label == "gold"
    assert request.evaluators == ("quality", "kl")
    assert request.decoding == {"temperature": 0.5, "stop": ("x", "y")}
    assert request.task_options.world == 7
    assert (request.results, request.format, request.out) == (Path("r"), "json", Path("o.json"))
    assert (request.device, request.dtype, request.threads, request.share) == ("cpu", "float32", 2, 0.25)
    assert (request.trust, request.strict, request.quiet) == (True, True, True)


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("2.5h", 9000.0, "seconds"),
        (".5h", 1800.0, "seconds"),
        ("10s", 10.0, "seconds"),
        ("2000calls", 2000.0, "calls"),
    ],
)
def test_explicit_budgets(here: Path, text: str, amount: float, currency: str) -> None:
    (budget,) = ask(f"budget={text}").budgets
    assert (budget.amount, budget.currency) == (amount, currency)
    assert (
        budgets.amount_of(budget.name, budget.amount, budget.currency, budget.currency or "seconds") == amount
    )


def test_a_model_that_reads_english_takes_data(here: Path) -> None:
    rows = [{"id": f"p{i}", "prompt": f"post {i}", "reference": "short"} for i in range(5)]
    (here / "d.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    request = ask("task.data=d.jsonl", "model=smollm2", "task.columns=[prompt:post]", "task.limit=3")
    assert request.task_options == TaskOptions(data="d.jsonl", columns=("prompt:post",), limit=3)
    with pytest.raises(BadInput) as caught:
        ask("task.data=d.jsonl")
    assert [problem.field for problem in caught.value.problems] == ["task.data"]


def test_everything_wrong_is_said_at_once(here: Path) -> None:
    with pytest.raises(BadInput) as caught:
        parse(
            shlex.split(
                "methods=ilff,ilf:rounds=0 task=tldrr seeds=1,1,x budget=huge teacher=annotator judge=golden"
                " evaluators=qualty decoding.top_p=2 task.wrld=3 model=tinny init=nowhere results=/dev/null/x"
                " threads=-1 device=tpu epochs=3 ppo.epochs=2 format=pdf init=base nonsense"
            )
        )
    fields = {problem.field for problem in caught.value.problems}
    assert fields == set(
        shlex.split(
            "methods ilf.rounds task seeds budget teacher judge evaluators decoding.top_p task.wrld model"
            " init results threads device epochs ppo.epochs format nonsense"
        )
    )
    assert all(problem.message and problem.fix for problem in caught.value.problems)
    assert len(caught.value.problems) == len(set(caught.value.problems))


def test_a_key_of_a_later_verb_is_unknown(here: Path) -> None:
    for key in ("price", "trials", "launcher", "folds", "pool", "accept", "tracker"):
        with pytest.raises(BadInput) as caught:
            ask(f"{key}=1")
        assert caught.value.problems[0].field == key


def test_a_teacher_that_cannot_do_what_a_method_wants(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alignment_bench import registry

    annotators = registry.load("teachers", "annotators")
    monkeypatch.setattr(annotators, "channels", ("score",))
    with pytest.raises(BadInput) as caught:
        parse(["methods=self_rewarding", "task=tldr", "teacher=annotators"])
    assert "demonstrate" in str(caught.value) and "bench list teachers" in str(caught.value)
    request = ask("teacher=annotators")  # what these need could be on record: that is known with the data
    with pytest.raises(BadInput) as caught:
        make_plan(request, lambda text: None)
    assert "critique" in str(caught.value) and "prefer" in str(caught.value)


def test_a_budget_in_the_wrong_currency(here: Path) -> None:
    with pytest.raises(BadInput) as caught:
        ask("teacher=annotators", "budget=100calls")
    assert [problem.field for problem in caught.value.problems] == ["budget"]


def test_the_recorded_request_is_json_and_says_everything(here: Path) -> None:
    record: dict[str, Any] = ask("teacher=annotators", "decoding.stop=[a]", "budget=15h").recorded()
    assert json.loads(json.dumps(record)) == record
    assert set(KEYS) <= set(record)
    assert (
        record["teacher"] == "annotators"
        and record["decoding"] == {"stop": ["a"]}
        and record["budget"] == ["15h"]
    )
    assert record["methods"]["ilf"][0]["name"] == "ilf"


def test_every_key_is_explained() -> None:
    about = {row.name: row.help for row in describe(RunRequest)}
    assert all(about.values()) and set(KEYS.values()) < set(about)


def test_the_request_for_a_table(here: Path) -> None:
    (here / "r").mkdir()
    request = parse_table(
        ["results=r", "format=csv", "methods=ilf:layers=[1,2],ppo", "seeds=0,1", "model=tiny:0"]
    )
    filters = {"methods": ("ilf:layers=[1,2]", "ppo"), "seeds": ("0", "1"), "model": ("tiny:0",)}
    assert request == TableRequest(Path("r"), "csv", None, filters)
    assert set(filters) < set(FILTERS)


def test_what_a_table_cannot_be_asked(here: Path) -> None:
    with pytest.raises(BadInput) as caught:
        parse_table(["results=none", "formt=csv", "format=pdf", "seeds=1,,2"])
    assert {problem.field for problem in caught.value.problems} == {"results", "formt", "format", "seeds"}

"""The label grammar, the conversion of field values, and what two labels may not be."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignment_bench import registry
from alignment_bench.errors import BadInput, Problem
from alignment_bench.fields import Unsuitable, build, convert, describe, show_value, spell
from alignment_bench.labels import Label, Part, parse_label, parse_labels, parse_part, resolve_labels


@dataclass(frozen=True)
class Train:
    """Trains."""

    rounds: int = field(default=1, metadata={"min": 1, "max": 9})
    """how many rounds"""
    rate: float = 1e-3
    """the learning rate,
    in a docstring of two lines"""
    kind: Literal["right", "none"] = "right"
    """which feedback"""
    layers: tuple[int, ...] = ()
    limit: int | None = None
    """at most so many; none: all"""
    family: str = "mine"
    wrapper: ClassVar[bool] = False
    wants: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.rounds == 4:
            raise BadInput([Problem("rounds", "four is unlucky", "choose another number")])
        if self.rounds == 5:
            raise ValueError("five is too many")


@dataclass(frozen=True)
class Wrap:
    """Wraps."""

    n: int = 4
    """how many"""
    wrapper: ClassVar[bool] = True
    wants: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Base:
    """Nothing."""

    wrapper: ClassVar[bool] = False
    wants: ClassVar[tuple[str, ...]] = ()


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three methods of this file in place of the real ones."""
    known = {"train": Train, "wrap": Wrap, "base": Base}

    def load(group: str, name: str, field: str | None = None) -> Any:
        if name not in known:
            raise BadInput([Problem(field or group, f"no method is called {name!r}", "did you mean train?")])
        return known[name]

    monkeypatch.setattr(registry, "load", load)
    monkeypatch.setattr(registry, "names", lambda group: tuple(sorted(known)))
    monkeypatch.setattr(registry, "shipped", lambda group: tuple(sorted(known)))


def resolve(text: str, **overrides: dict[str, str]) -> tuple[list[dict[str, Any]], list[Problem]]:
    problems: list[Problem] = []
    labels = resolve_labels(parse_labels(text, problems), overrides, problems)
    return [{"text": label.text, "parts": label.configuration} for label in labels], problems


def test_the_grammar() -> None:
    assert parse_label("train:rounds=3:layers=[1,2]+wrap:n=16") == Label(
        "train:rounds=3:layers=[1,2]+wrap:n=16",
        (Part("train", (("rounds", "3"), ("layers", "[1,2]"))), Part("wrap", (("n", "16"),))),
    )


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("train:rate=1e+5", (("rate", "1e+5"),)),
        ("train:rate=1e+5+wrap", (("rate", "1e+5"),)),
        ("train:where=http://host:80/x", (("where", "http://host:80/x"),)),
        ("train:a=[x:y=1,z+w]", (("a", "[x:y=1,z+w]"),)),
    ],
)
def test_separators_inside_values_do_not_separate(text: str, fields: tuple[tuple[str, str], ...]) -> None:
    assert parse_label(text).parts[0].fields == fields


@pytest.mark.parametrize(
    ("text", "part_of_message"),
    [
        ("", "a name is missing"),
        ("train+", "a name is missing"),
        ("+wrap", "a name is missing"),
        ("train:rounds", "'train:rounds' is not a name with fields"),
        ("train:rounds=", "its value is empty"),
        ("train:rounds=1:rounds=2", "is given twice"),
        ("train:layers=[1,2", "brackets"),
        ("train:layers=1]", "brackets"),
        ("tr ain", "not a name"),
        ("train-3", "not a name"),
    ],
)
def test_what_is_not_in_the_grammar(text: str, part_of_message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_label(text)
    assert part_of_message in str(caught.value)


def test_commas_split_labels_only_outside_brackets() -> None:
    rows, problems = resolve("train:layers=[1,2],train:layers=[1],wrap")
    assert not problems
    assert [row["parts"][0]["fields"].get("layers") for row in rows] == [[1, 2], [1], None]


def test_an_override_sets_every_label_and_inline_wins() -> None:
    rows, problems = resolve("train,train:rounds=7,train:rate=1+wrap", train={"rounds": "3"}, wrap={"n": "2"})
    assert not problems
    assert [row["parts"][0]["fields"]["rounds"] for row in rows] == [3, 7, 3]
    assert rows[2]["parts"][1]["fields"] == {"n": 2}


def test_every_problem_is_collected() -> None:
    _, problems = resolve(
        "train:rounds=x:rate=fast:kind=rigth:depth=2,nobody,train:rounds=12", train={"kind": "3"}
    )
    fields = [problem.field for problem in problems]
    assert sorted(set(fields)) == ["methods", "train.depth", "train.kind", "train.rate", "train.rounds"]
    text = "\n".join(str(problem) for problem in problems)
    assert "'x' is not a whole number (int:" in text
    assert "right | none: did you mean right? Allowed: right, none" in text
    assert "train has no field 'depth'" in text
    assert "it must be at least 1 and at most 9" in text


@pytest.mark.parametrize("rounds", ["4", "5"])
def test_what_the_class_itself_refuses_is_a_problem(rounds: str) -> None:
    rows, (problem,) = resolve(f"train:rounds={rounds}")
    assert not rows
    assert ("unlucky" in str(problem)) == (rounds == "4")
    assert ("too many" in str(problem)) == (rounds == "5")


def test_identity_cannot_be_set() -> None:
    _, (problem,) = resolve("train:family=other")
    assert "train has no field 'family'" in problem.message
    assert "family" not in [row.name for row in describe(Train)]


@pytest.mark.parametrize(
    "text",
    ["train,train", "train,train:rounds=1", "train:rate=.001,train", "wrap,base+wrap", "wrap:n=4,wrap"],
)
def test_two_labels_of_one_configuration_are_refused(text: str) -> None:
    _, (problem,) = resolve(text)
    assert "are the same configuration" in problem.message


def test_different_configurations_are_not_twins() -> None:
    assert not resolve("train,train:rounds=2,train+wrap,train+wrap:n=5,wrap,wrap+wrap,base")[1]


def test_only_wrappers_follow_a_plus() -> None:
    _, (problem,) = resolve("train+base")
    assert "base in 'train+base' is not a wrapper" in problem.message and problem.fix == "wrappers are wrap"


def test_all_is_every_method_that_stands_alone() -> None:
    assert [row["text"] for row in resolve("all")[0]] == ["base", "train"]
    assert [row["text"] for row in resolve("all,wrap")[0]] == ["base", "train", "wrap"]


def test_an_override_of_an_absent_method_is_a_problem() -> None:
    _, (problem,) = resolve("train", wrap={"n": "3"})
    assert problem.field == "wrap.n" and "no label" in problem.message


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("3", int, 3),
        ("-3", int, -3),
        (".5", float, 0.5),
        ("1e-4", float, 1e-4),
        ("3", float, 3.0),
        ("on", bool, True),
        ("False", bool, False),
        ("none", int | None, None),
        ("7", int | None, 7),
        ("x", str | None, "x"),
        ("b", Literal["a", "b"], "b"),
        ("2", Literal[1, 2], 2),
        ("[a,b]", tuple[str, ...], ("a", "b")),
        ("a,b", tuple[str, ...], ("a", "b")),
        ("[]", tuple[str, ...], ()),
        ("[1,2.5]", tuple[int, float], (1, 2.5)),
        ("a/b", Path, Path("a/b")),
    ],
)
def test_conversion(text: str, wanted: Any, value: Any) -> None:
    found = convert(text, wanted)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3.5", int),
        ("three", int),
        ("fast", float),
        ("nan", float),
        ("inf", float),
        ("maybe", bool),
        ("none", int),
        ("x", int | None),
        ("c", Literal["a", "b"]),
        ("[1,x]", tuple[int, ...]),
        ("[1]", tuple[int, float]),
        ("a,,b", tuple[str, ...]),
        ("x", dict[str, str]),
    ],
)
def test_what_cannot_be_converted_says_what_can(text: str, wanted: Any) -> None:
    with pytest.raises(Unsuitable) as caught:
        convert(text, wanted)
    assert caught.value.fix


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none())
def test_a_shown_value_converts_back(value: Any) -> None:
    assert convert(show_value(value), type(value) if value is not None else int | None) == value


@given(st.text(alphabet="ab:=+,[]1e.", max_size=12))
def test_the_parser_accepts_or_refuses_but_never_breaks(text: str) -> None:
    problems: list[Problem] = []
    labels = parse_labels(text, problems)
    assert labels or problems
    for label in labels:
        assert all(part.name for part in label.parts)


def test_help_comes_from_the_docstrings_under_fields() -> None:
    rows = {row.name: row for row in describe(Train)}
    assert rows["rounds"] == dataclasses.replace(
        rows["rounds"], type="int", default="1", help="how many rounds"
    )
    assert rows["rate"].help == "the learning rate,\nin a docstring of two lines"
    assert rows["layers"].help == ""
    assert rows["kind"].type == "right | none" and rows["limit"].type == "int or none"
    assert spell(tuple[int, ...]) == "[int,...]"


def test_a_required_field_must_be_given() -> None:
    @dataclass(frozen=True)
    class Needy:
        where: str

    problems: list[Problem] = []
    assert build(Needy, {}, "needy.", problems) is None
    assert problems[0].field == "needy.where" and "needy.where=VALUE" in problems[0].fix
    assert build(Needy, {"where": "here"}, "needy.", []) == Needy("here")


def test_a_teacher_takes_inline_fields() -> None:
    assert parse_part("annotators:critic_noise=.2", "teacher") == Part(
        "annotators", (("critic_noise", ".2"),)
    )

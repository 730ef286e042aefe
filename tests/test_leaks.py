"""Nothing secret can be reached from what a method is given, and the search would find it if it could."""

from __future__ import annotations

import ast
import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import alignment_bench.evaluators
import alignment_bench.methods
import pytest
from alignment_bench import run
from alignment_bench.errors import BenchError
from alignment_bench.ledger import Ledger
from alignment_bench.prompts import Key, Message, Prompt
from alignment_bench.world.gold import quality

KEY = Key("tldr-0-test-1", ("a reference",), facts={"who": "nobody"})
METHODS = ["ilf", "ppo:iterations=2:rollouts=8", "best_of_n:n=2", "ilf+best_of_n:n=2"]


@pytest.mark.parametrize("label", METHODS)
def test_a_method_can_reach_nothing_secret(
    label: str, small_tldr: Any, small_world: ModuleType, reachable: ModuleType
) -> None:
    """Neither before nor after its work, walking from exactly what `run.align` hands over."""
    cell = small_tldr.cell(label)
    secrets = reachable.secrets_of(test=cell.setting.data.test, train=cell.setting.data.train)
    leaks: list[str] = []
    walked: list[int] = []

    def look(policy: Any, prompts: Any, lab: Any) -> None:
        leaks.extend(secrets.leaks(policy=policy, prompts=prompts, lab=lab))
        walked.append(sum(1 for _ in reachable.walk(policy=policy, prompts=prompts, lab=lab)))

    small_tldr.align(small_world.with_plugin(cell, lambda plugin: small_world.Spy(plugin, look, look)))
    assert len(walked) == 2 * len(cell.parts)
    assert min(walked) > 24 * 3, "the walk must at least have seen the training prompts"
    assert leaks == []


class Slotted:
    """Hides something in a slot."""

    __slots__ = ("__hidden", "open")

    def __init__(self, secret: Any) -> None:
        self.__hidden = secret

    def method(self) -> Any:
        """Something to bind."""
        return self.__hidden


class Plain:
    """Hides something in an attribute."""

    def __init__(self, secret: Any) -> None:
        self.deep = {"deeper": [(secret,)]}

    def method(self) -> Any:
        """Something to bind."""
        return self.deep


def closure_over(secret: Any) -> Callable[[], Any]:
    """A function that remembers."""
    return lambda: secret


def default_of(secret: Any) -> Callable[..., Any]:
    """A function with the secret as default value."""

    def function(known: Any = secret) -> Any:
        return known

    return function


def keyword_default_of(secret: Any) -> Callable[..., Any]:
    """A function with the secret as a keyword's default value."""

    def function(*, known: Any = secret) -> Any:
        return known

    return function


def decorated(secret: Any) -> Callable[..., Any]:
    """A function that wraps one that remembers."""
    inner = closure_over(secret)

    @functools.wraps(inner)
    def outer() -> Any:
        return None

    return outer


def attribute_of_function(secret: Any) -> Callable[..., Any]:
    """A function with an attribute."""

    def function() -> None:
        return None

    function.__dict__["note"] = secret
    return function


def running_generator(secret: Any) -> Iterator[int]:
    """A generator that has begun, with the secret in a local variable."""

    def generator() -> Iterator[int]:
        kept = secret
        yield 1
        yield len(str(kept))

    started = generator()
    next(started)
    return started


def class_attribute(secret: Any) -> Any:
    """An instance of a class that holds the secret."""
    return type("Holder", (), {"held": secret, "__module__": __name__})()


HIDING_PLACES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda secret: secret,
    "attribute": Plain,
    "slot": Slotted,
    "closure": closure_over,
    "default": default_of,
    "keyword default": keyword_default_of,
    "wrapped function": decorated,
    "function attribute": attribute_of_function,
    "partial": lambda secret: functools.partial(print, secret),
    "partial keyword": lambda secret: functools.partial(print, sep=secret),
    "bound self": lambda secret: Plain(secret).method,
    "bound self with slots": lambda secret: Slotted(secret).method,
    "bound built-in": lambda secret: [secret].append,
    "generator": running_generator,
    "class attribute": class_attribute,
    "nested dict": lambda secret: {"a": {"b": {"c": secret}}},
    "dict key": lambda secret: {(1, secret.prompt_id): 0, ("x", Slotted(secret)): 1},
    "mapping proxy": lambda secret: MappingProxyType({"a": secret}),
    "set": lambda secret: frozenset({Slotted(secret)}),
    "deque": lambda secret: deque([secret]),
    "iterator": lambda secret: iter([secret]),
    "dict values": lambda secret: {"a": secret}.values(),
    "chain": lambda secret: itertools.chain([1], [secret]),
    "property": lambda secret: type(
        "Holder", (), {"p": property(lambda self, s=secret: s), "__module__": __name__}
    )(),
    "cached property": lambda secret: type(
        "Holder", (), {"p": functools.cached_property(closure_over(secret)), "__module__": __name__}
    )(),
    "static method": lambda secret: type(
        "Holder", (), {"m": staticmethod(closure_over(secret)), "__module__": __name__}
    )(),
}


@dataclass
class Lablike:
    """A lab that is not careful."""

    feedback: Any


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_the_walk_finds_a_planted_key(place: str, reachable: ModuleType) -> None:
    """Wherever a Key is hidden, and says on which way it can be reached."""
    secrets = reachable.Secrets(types=(Key,))
    assert secrets.leaks(policy=object(), prompts=[], lab=Lablike(None)) == []
    leaks = secrets.leaks(policy=object(), prompts=[], lab=Lablike(HIDING_PLACES[place](KEY)))
    assert leaks
    assert all(leak.startswith("lab.feedback") and leak.endswith("is a Key") for leak in leaks)


@pytest.mark.parametrize("place", ["policy", "prompts", "lab"])
def test_a_key_planted_in_a_real_cell_is_found(
    place: str, small_tldr: Any, small_world: ModuleType, reachable: ModuleType
) -> None:
    """The same walk that finds nothing in what a real method is given finds what is added to it."""
    cell = small_tldr.cell("base")
    secrets = reachable.secrets_of(test=cell.setting.data.test, train=cell.setting.data.train)
    leaks: dict[str, list[str]] = {}

    def look(policy: Any, prompts: Any, lab: Any) -> None:
        leaks["clean"] = secrets.leaks(policy=policy, prompts=prompts, lab=lab)
        hidden = closure_over(cell.setting.data.train[0].key)
        if place == "policy":
            policy.notes.append(hidden)
        elif place == "prompts":
            prompts.append(hidden)
        else:
            lab.feedback = functools.partial(lab.feedback.critique, hidden)
        leaks["planted"] = secrets.leaks(policy=policy, prompts=prompts, lab=lab)

    small_tldr.align(small_world.with_plugin(cell, lambda plugin: small_world.Spy(plugin, look)))
    assert leaks["clean"] == []
    assert any(leak.startswith(place) and leak.endswith("is a Key") for leak in leaks["planted"])


@pytest.mark.parametrize(
    "secret",
    [
        quality,
        functools.partial(quality, "text"),
        Ledger("seconds", 1.0),
        Prompt("tldr-0-test-1", (Message("user", "a post"),)),
        {"note": "he said that the test post reads: nobody knows this post"},
        b"in bytes: nobody knows this post",
    ],
    ids=["gold", "gold in a partial", "ledger", "test prompt", "test text", "test text in bytes"],
)
def test_the_walk_finds_other_secrets(secret: Any, reachable: ModuleType) -> None:
    """Gold functions, accounts, test prompts by id and by text."""
    train, test = _example("train-1", "a training post"), _example("tldr-0-test-1", "nobody knows this post")
    secrets = reachable.secrets_of(test=[test], train=[train])
    assert secrets.leaks(prompts=[train.prompt], lab=Lablike(None)) == []
    assert secrets.leaks(prompts=[train.prompt], lab=Lablike(closure_over([secret])))


def _example(name: str, post: str) -> Any:
    from alignment_bench.prompts import Example

    return Example(Prompt(name, (Message("user", post),)), Key(name, (f"in short: {post}",)))


def test_labs_of_two_cells_do_not_know_each_other(
    small_tldr: Any, small_world: ModuleType, reachable: ModuleType
) -> None:
    """With both cells open at once, neither lab leads to the other's account, handle or spending."""
    cells = small_tldr.cells("sft,base_copy")
    seen: dict[str, Any] = {}

    def outer(policy: Any, prompts: Any, lab: Any) -> None:
        inner_cell = small_world.with_plugin(cells["sft"], lambda plugin: small_world.Spy(plugin, after=inner))
        seen["outer lab"] = lab
        small_tldr.align(inner_cell)
        seen["outer spent"] = lab.spent

    def inner(policy: Any, prompts: Any, lab: Any) -> None:
        theirs, ours = seen["outer lab"], lab
        seen["inner spent"], seen["outer while inner"] = ours.spent, theirs.spent
        seen["shared"] = [
            found.path
            for found in reachable.walk(lab=ours)
            if isinstance(found.value, str) and found.value == theirs._handle
        ]
        seen["accounts"] = reachable.Secrets(types=(Ledger,)).leaks(ours=ours, theirs=theirs)

    small_tldr.align(small_world.with_plugin(cells["base_copy"], lambda p: small_world.Spy(p, before=outer)))
    assert seen["inner spent"].acts == {"demonstrate": 9}
    assert seen["outer while inner"].acts == {} and seen["outer spent"].acts == {}
    assert seen["shared"] == [] and seen["accounts"] == []


def test_a_lab_is_closed_after_align(small_tldr: Any, small_world: ModuleType) -> None:
    """A method that keeps its lab can use it neither to ask nor to compute, nor to look at an account."""
    kept: list[Any] = []
    cell = small_tldr.cell("base")
    spy = small_world.Spy(cell.parts[0].plugin, before=lambda *given: kept.append(given))
    small_tldr.align(small_world.with_plugin(cell, lambda plugin: spy))
    policy, prompts, lab = kept[0]
    uses: list[Callable[[], Any]] = [
        lambda: lab.spent,
        lambda: lab.feedback.demonstrate(prompts[:1]),
        lambda: lab.sample(policy, prompts[:1]),
        lambda: lab.note("too late"),
    ]
    for use in uses:
        with pytest.raises(BenchError, match="this lab is closed"):
            use()


@pytest.mark.parametrize("channel", ["critique", "score", "prefer", "demonstrate", "refine"])
def test_no_feedback_on_test_prompts(channel: str, small_tldr: Any, small_world: ModuleType) -> None:
    """A prompt that carries the id of a test prompt is refused on every channel, and nothing is charged."""
    cell = small_tldr.cell("base")
    test_prompt = cell.setting.data.test[0].prompt
    outcome: dict[str, Any] = {}

    def ask(policy: Any, prompts: Any, lab: Any) -> None:
        controller_share(lab)
        answer = policy.encode("i am happy.")
        shown = {"prefer": [[answer], [answer]], "demonstrate": []}.get(channel, [[answer]])
        with pytest.raises(BenchError, match="training prompts only") as caught:
            getattr(lab.feedback, channel)([test_prompt], *shown)
        outcome["message"], outcome["spent"] = str(caught.value), lab.spent

    small_tldr.align(small_world.with_plugin(cell, lambda plugin: small_world.Spy(plugin, ask)))
    assert test_prompt.id in outcome["message"]
    assert outcome["spent"].acts == {} and outcome["spent"].annotator_seconds == 0


def controller_share(lab: Any) -> None:
    """Gives the open lab the whole budget, which a cell of `base` has no share of."""
    from alignment_bench import controller

    controller.of(lab._handle).ledger.open_part(1.0)


def test_a_forged_prompt_gets_feedback_on_the_real_one(small_tldr: Any, small_world: ModuleType) -> None:
    """The teacher reads the stored prompt of that id: changed words or slots reach nobody."""
    cell = small_tldr.cell("base")
    asked: list[Any] = []

    @dataclass(frozen=True)
    class Listening:
        inner: Any

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def answer(self, channel: Any, asks: Any, *, seed: int) -> Any:
            asked.extend(asks)
            return self.inner.answer(channel, asks, seed=seed)

    def ask(policy: Any, prompts: Any, lab: Any) -> None:
        controller_share(lab)
        lab.feedback.demonstrate([Prompt(prompts[0].id, (Message("user", "tell me all"),))])

    setting = cell.setting
    assert setting.teacher_digest  # computed from the real teacher, before it is replaced
    cell = small_world.with_teacher(cell, Listening)
    cell.setting.__dict__["teacher_digest"] = setting.teacher_digest
    small_tldr.align(small_world.with_plugin(cell, lambda plugin: small_world.Spy(plugin, ask)))
    assert [a.prompt for a in asked] == [setting.data.train[0].prompt]


def test_a_method_that_mutates_its_prompts_harms_nobody(small_tldr: Any, small_world: ModuleType) -> None:
    """Each part of each cell gets a list of its own, of objects that cannot be changed."""
    cells = small_tldr.cells("sft,ilf+best_of_n:n=2")
    before = [e.prompt for e in cells["sft"].setting.data.train]
    seen: list[list[Prompt]] = []

    def vandalise(policy: Any, prompts: Any, lab: Any) -> None:
        with pytest.raises(AttributeError):
            prompts[0].id = "changed"
        seen.append(list(prompts))
        prompts.clear()

    def pass_on(policy: Any, prompts: Any, lab: Any) -> Any:
        return policy

    for cell in (cells["sft"], cells["ilf+best_of_n:n=2"]):
        idle = type("Idle", (), {"align": staticmethod(pass_on)})()
        small_tldr.align(small_world.with_plugin(cell, lambda plugin, i=idle: small_world.Spy(i, vandalise)))
    assert seen == [before] * 3
    assert [e.prompt for e in cells["sft"].setting.data.train] == before
    assert run.panel_of(cells["sft"]).examples == cells["sft"].setting.data.test


FORBIDDEN_TO_METHODS = ("world", "teachers", "judges", "controller", "jobs", "work", "run", "plan", "data", "evaluate")


def imported(source: str) -> set[str]:
    """Every module a file could import: import statements anywhere in it, and module names in strings."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            found |= {node.value.partition(":")[0]} if node.value.startswith("alignment_bench.") else set()
    return found


def offences(folder: Path, forbidden: tuple[str, ...]) -> list[str]:
    """Every import in the folder's files of one of the package's forbidden parts."""
    banned = [f"alignment_bench.{name}" for name in forbidden]
    return [
        f"{file.name} imports {module}"
        for file in sorted(folder.glob("*.py"))
        for module in sorted(imported(file.read_text("utf-8")))
        if any(module == name or module.startswith(f"{name}.") for name in banned)
    ]


def folder_of(package: ModuleType) -> Path:
    """Where an installed package lies."""
    return Path(next(iter(package.__path__)))


def test_shipped_methods_import_nothing_of_the_world() -> None:
    """Nor teachers, judges, accounts or other plugins; only what a method may know of the package."""
    folder = folder_of(alignment_bench.methods)
    assert len(list(folder.glob("*.py"))) > 6
    assert offences(folder, (*FORBIDDEN_TO_METHODS, "methods", "evaluators", "benchmarks")) == []


def test_shipped_evaluators_import_no_teacher() -> None:
    """The teacher's noisy voice scores nothing; gold comes through the judge."""
    folder = folder_of(alignment_bench.evaluators)
    assert len(list(folder.glob("*.py"))) > 4
    banned = ("teachers", "world", "judges", "controller", "jobs", "run", "plan", "methods", "evaluators")
    assert offences(folder, banned) == []


@pytest.mark.parametrize(
    "line",
    [
        "import alignment_bench.world.gold",
        "from alignment_bench.world import gold",
        "from alignment_bench import world",
        "def f():\n    from alignment_bench.judges.gold import Gold",
        "import importlib\nx = importlib.import_module('alignment_bench.world.gold')",
        "x = 'alignment_bench.teachers.annotators:PLUGIN'",
    ],
)
def test_the_import_rule_can_fail(line: str, tmp_path: Path) -> None:
    """However the import is written."""
    (tmp_path / "cheat.py").write_text(line)
    assert offences(tmp_path, FORBIDDEN_TO_METHODS)

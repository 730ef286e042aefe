"""Nothing secret can be reached from what a method is given, and labs serve only their own cell."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from alignment_bench import controller, run
from alignment_bench.errors import BenchError
from alignment_bench.ledger import Ledger
from alignment_bench.prompts import Message, Prompt

METHODS = ["ilf", "ppo:iterations=2:rollouts=8", "best_of_n:n=2", "ilf+best_of_n:n=2"]


@pytest.mark.parametrize("label", METHODS)
def test_a_method_can_reach_nothing_secret(
    label: str, small_tldr: Any, small_world: ModuleType, reachable: ModuleType
) -> None:
    """Neither before nor after its work, walking from exactly what `aligning.align` hands over."""
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
        hidden = functools.partial(print, cell.setting.data.train[0].key)
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


def test_labs_of_two_cells_do_not_know_each_other(
    small_tldr: Any, small_world: ModuleType, reachable: ModuleType
) -> None:
    """With both cells open at once, neither lab leads to the other's account, handle or spending."""
    cells = small_tldr.cells("sft,base_copy")
    seen: dict[str, Any] = {}

    def outer(policy: Any, prompts: Any, lab: Any) -> None:
        inner_cell = small_world.with_plugin(
            cells["sft"], lambda plugin: small_world.Spy(plugin, after=inner)
        )
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
    controller.of(lab._handle).ledger.open_part(1.0)


def test_a_forged_prompt_gets_feedback_on_the_real_one(small_tldr: Any, small_world: ModuleType) -> None:
    """The teacher reads the stored prompt of that id: changed words or slots reach nobody."""
    cell, teacher = small_world.overheard(small_tldr.cell("base"))

    def ask(policy: Any, prompts: Any, lab: Any) -> None:
        controller_share(lab)
        lab.feedback.demonstrate([Prompt(prompts[0].id, (Message("user", "tell me all"),))])

    small_tldr.align(small_world.with_plugin(cell, lambda plugin: small_world.Spy(plugin, ask)))
    ((channel, asks, _),) = teacher.heard
    assert channel == "demonstrate"
    assert [a.prompt for a in asks] == [cell.setting.data.train[0].prompt]


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

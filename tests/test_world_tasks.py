"""The five built-in tasks: their splits, their references, and what they say to data of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alignment_bench import data, registry
from alignment_bench.digests import digest
from alignment_bench.errors import BadInput
from alignment_bench.judges.gold import quality
from alignment_bench.task import TaskOptions
from alignment_bench.testing import check_task
from alignment_bench.world import VERSION, tasks
from alignment_bench.world.tasks import DEVELOPMENT, TASKS, TEST, TRAIN

GENRES = {
    "tldr": "summary",
    "toxicity": "reply",
    "dialogue": "reply",
    "code": "program",
    "word_removal": "removal",
}


@pytest.mark.parametrize("name", TASKS)
def test_the_shipped_task_is_complete(name: str) -> None:
    """Its file declares the built-in generator and names only plugins that exist."""
    check_task(name)
    task = registry.load("tasks", name)
    assert task.builtin == f"alignment_bench.world.tasks:{name}"
    assert task.main_metric == "quality" and task.evaluators[0] == "quality"
    for layout in ("answer", "refine", "improve"):
        assert "{prompt}" in task.layouts[layout].user


@pytest.mark.parametrize("name", TASKS)
def test_facts_are_distinct_and_splits_disjoint(name: str) -> None:
    """Over train and test of one world of each kind: 2,000 facts, none twice, none of them pretraining's."""
    seen: list[str] = []
    for world in (0, DEVELOPMENT):
        made = TASKS[name](world)
        assert (len(made.train), len(made.test)) == (TRAIN, TEST)
        assert f"version {VERSION}" in made.source and ("development" in made.source) == (world > 0)
        seen += [digest(_asked_for(dict(e.key.facts))) for e in made.train + made.test]
        ids = [e.prompt.id for e in made.train + made.test]
        assert len(set(ids)) == len(ids) and all(e.key.prompt_id == e.prompt.id for e in made.train)
    assert len(set(seen)) == len(seen) == 2 * (TRAIN + TEST)


def _asked_for(facts: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in facts.items() if name not in tasks.WORDING}


@pytest.mark.parametrize("name", TASKS)
def test_keys_carry_facts_and_a_perfect_reference(name: str) -> None:
    """References are the good writer's; gold reads the facts of the task's genre."""
    made = TASKS[name](3).test[:100]
    assert {e.key.facts["genre"] for e in made} == {GENRES[name]}
    references = [e.key.references[0] for e in made]
    assert all(len(e.key.references) == 1 for e in made)
    assert quality(references, [e.key.facts for e in made]) == [1.0] * len(made)


def test_toxicity_and_dialogue_share_a_genre_and_no_prompt() -> None:
    """One has the heated messages, the other the calm ones."""
    heated, calm = TASKS["toxicity"](0), TASKS["dialogue"](0)
    assert all(e.key.facts["heated"] for e in heated.train)
    assert not any(e.key.facts["heated"] for e in calm.train)


@pytest.mark.parametrize("name", TASKS)
def test_a_world_is_a_function_of_its_seed(name: str) -> None:
    """Same seed, same digest; another seed, other prompts."""
    assert TASKS[name](5).digest == TASKS[name](5).digest != TASKS[name](6).digest


@pytest.mark.parametrize("name", sorted(set(TASKS) - {"tldr"}))
def test_own_data_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    """Where a task reads neither plain columns nor published data sets."""
    task = replace(registry.load("tasks", name), sources=())
    file = tmp_path / "own.jsonl"
    file.write_text('{"prompt": "a", "reference": "b"}\n')
    for options in (
        TaskOptions(data=str(file)),
        TaskOptions(data="no/such", columns=("prompt:x",), holdout=2),
    ):
        with pytest.raises(BadInput) as caught:
            data.task_data(task, options)
        (problem,) = caught.value.problems
        assert problem.field == "task.data" and "built-in prompts only" in problem.message
        assert problem.fix == "drop task.data"

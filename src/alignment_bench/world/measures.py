"""What a base's own words are worth: its answers, its rewrites, and its answers to described requests."""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.feedback import Ask
from alignment_bench.judges.gold import Gold
from alignment_bench.teachers.annotators import Annotators
from alignment_bench.world.acceptance import Row
from alignment_bench.world.bench import SAMPLES, SEED, Bench, by_prompt, gap, gold, interval, over_prompts
from alignment_bench.world.corpus import condition
from alignment_bench.world.genres import GENRES

TEMPERATURES = (1.0, 0.7, 0.3, 0.0)
REFINED_AT = (1.0, 0.3)
MARKS = {"rude": "toxicity_rate", "passed": "pass_at_1", "exact": "exact_match"}
"""yes-or-no properties that are worth a row, and the metrics that count them"""
STYLE_SAMPLES = 2


def at(temperature: float) -> str:
    """A temperature as rows name it."""
    return f"T={temperature:g}" if temperature else "greedy"


def answers(bench: Bench, tasks: Sequence[str]) -> list[Row]:
    """Quality of answers by temperature, and the shares that are rude, pass or are exact."""
    rows = []
    for task in tasks:
        for temperature in TEMPERATURES:
            asked = bench.asked(task, SAMPLES if temperature else 1)
            texts = bench.answers(task, temperature)
            rows.append(over_prompts(f"{task}: quality, {at(temperature)}", asked, gold(asked, texts)))
            keys = [one.example.key for one in asked]
            for mark, values in Gold().marks([one.prompt for one in asked], keys, texts).items():
                if mark in MARKS:
                    name = f"{task}: {MARKS[mark]}, {at(temperature)}"
                    rows.append(over_prompts(name, asked, [float(value) for value in values]))
    return rows


def refinement(bench: Bench, tasks: Sequence[str]) -> list[Row]:
    """Quality of rewrites, drawn at the temperature of the answers, by what feedback they were shown."""
    return [row for task in tasks for t in REFINED_AT for row in _refinement(bench, task, t)]


def _refinement(bench: Bench, task: str, temperature: float) -> list[Row]:
    asked, first = bench.asked(task), bench.answers(task, temperature)
    pairs = list(zip(asked, first, strict=True))
    asks = [Ask(one.prompt, one.example.key, (text,)) for one, text in pairs]
    right = [record.text or "" for record in Annotators().answer("critique", asks, seed=SEED)]
    wanted = [one.prompt.using("critique", completion=text) for one, text in pairs]
    remarks = {
        "right": right,
        "no": None,
        "shuffled": right[SAMPLES:] + right[:SAMPLES],
        "own": [row[0].text for row in bench.draw(wanted, temperature, seed=SEED + 1)],
    }
    values = {"first": by_prompt(asked, gold(asked, first))}
    rows = []
    for name, texts in remarks.items():
        prompts = [
            one.prompt.using("improve", completion=text)
            if texts is None
            else one.prompt.using("refine", completion=text, critique=texts[i])
            for i, (one, text) in enumerate(pairs)
        ]
        again = [row[0].text for row in bench.draw(prompts, temperature, seed=SEED + 2)]
        values[name] = by_prompt(asked, gold(asked, again))
        rows.append(interval(f"{task}: rewrite with {name} feedback, {at(temperature)}", values[name]))
    for more, less in (("right", "no"), ("no", "shuffled"), ("no", "first"), ("own", "first")):
        rows.append(gap(f"{task}: {more} - {less}, {at(temperature)}", values[more], values[less]))
    return rows


def style(bench: Bench, tasks: Sequence[str]) -> list[Row]:
    """How many more answers at T=1 show a quality when the request asks for it."""
    rows = []
    for task in tasks:
        genre = GENRES[bench.examples(task)[0].key.facts["genre"]]
        asked, plain = bench.asked(task), bench.answers(task, 1.0)
        few = bench.asked(task, STYLE_SAMPLES)
        for quality in genre.qualities:
            wanted = [
                one.example.prompt.using("describe", condition=condition([quality]))
                for one in bench.asked(task, 1)
            ]
            drawn = bench.draw(wanted, 1.0, STYLE_SAMPLES, seed=SEED + 3)
            shares = [
                by_prompt(them, [genre.has(quality, text, one.example.key.facts) for one, text in pairs])
                for them, texts in ((few, [one.text for row in drawn for one in row]), (asked, plain))
                for pairs in [list(zip(them, texts, strict=True))]
            ]
            rows.append(gap(f"{task}: style {quality}", *shares))
    return rows

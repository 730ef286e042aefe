"""Repeat the first sentence of a made-up note: a task of somebody else's, with data of its own."""

from alignment_bench.completions import Decoding
from alignment_bench.digests import digest, generator
from alignment_bench.layouts import Layout
from alignment_bench.prompts import Example, Key, Message, Prompt
from alignment_bench.task import Task, TaskData

NAMES, THINGS = ("ana", "ben", "cleo", "dan"), ("a bike", "a lamp", "a book", "a boat")


def notes(world: int) -> TaskData:
    """32 notes for training and 16 for testing, drawn from the world's seed."""
    rng = generator("first_sentence", world)
    examples = []
    for i in range(48):
        first = f"{rng.choice(NAMES)} lost {rng.choice(THINGS)}."
        note = f"{first} {rng.choice(NAMES)} found {rng.choice(THINGS)}."
        prompt = Prompt(f"note-{world}-{i}", (Message("user", note),))
        examples.append(Example(prompt, Key(prompt.id, references=(first,))))
    texts = [(e.prompt.id, e.prompt.text) for e in examples]
    return TaskData(tuple(examples[:32]), tuple(examples[32:]), f"notes of world {world}", digest(texts))


PLUGIN = Task(
    name="first_sentence",
    version="1",
    summary="Repeat the first sentence of a note",
    builtin="bench_plugin_example.first_sentence:notes",
    decoding=Decoding(temperature=0.3, max_tokens=16),
    layouts={"answer": Layout("{prompt}\n\nRepeat the first sentence.")},
    teachers=("overlap",),
    judges=("closer",),
    evaluators=("repetition", "win_rate", "length"),
    licence="CC0-1.0",
    citation="none",
    main_metric="win_rate_vs_base",
)

"""Word removal: repeat a text without the words that are named, and change nothing else.

Built in: texts of `alignment_bench.world`, with one right answer each. The source `word_removal` makes the
original task (Scheurer et al.): 27 cells of 50 prompts, answered greedily (`exact_match_greedy`), for models
that read plain English, as do the layouts.
"""

from __future__ import annotations

from collections.abc import Mapping

from alignment_bench.completions import Decoding
from alignment_bench.layouts import Layout, conditioned, reviewed
from alignment_bench.task import Task

WANTED = "\n\nWrite the text again without these words. Keep all other words as they are and in their order."
SHOWN = "{prompt}\n\nThis was written: {completion}\n\n"

ANSWER = Layout("{prompt}" + WANTED, "The text without them:")
LAYOUTS = {
    "answer": ANSWER,
    **conditioned(ANSWER),
    **reviewed(
        SHOWN,
        "attempt",
        "Which words are still there or wrongly gone? Say in one sentence what to change.",
    ),
    "refine": Layout(SHOWN + "Feedback on it: {critique}" + WANTED, "The text without them:"),
    "improve": Layout(SHOWN + "Do it better." + WANTED, "The text without them:"),
}
COLUMNS: Mapping[str, str] = {}
"""none: there are built-in prompts, and those of the source"""

PLUGIN = Task(
    name="word_removal",
    version="1",
    summary="Repeat a text without the named words, and change nothing else: built-in, or the original task",
    builtin="alignment_bench.world.tasks:word_removal",
    decoding=Decoding(temperature=0.3, max_tokens=48),
    layouts=LAYOUTS,
    teachers=("annotators", "reference"),
    judges=("gold", "exact"),
    evaluators=("quality", "exact_match", "win_rate", "rouge", "kl", "length", "nll_reference"),
    licence="Apache-2.0",
    citation="Scheurer et al. 2022, arXiv 2204.14146; Scheurer et al. 2023, arXiv 2303.16755",
    main_metric="quality",
    columns=COLUMNS,
    sources=("word_removal",),
    real_decoding=Decoding(temperature=0.3, top_p=0.95, max_tokens=64),
)

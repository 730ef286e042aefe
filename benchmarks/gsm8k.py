"""Grade-school word problems: reason in a few steps and end in a number.

GSM8K (Cobbe et al. 2021), or a file of its schema; there is no built-in world. `final_answer` is whether the
number that an answer ends in is the right one. The layouts are for models that read plain English.
"""

from __future__ import annotations

from collections.abc import Mapping

from alignment_bench.completions import Decoding
from alignment_bench.layouts import Layout, conditioned, reviewed
from alignment_bench.task import Task

WANTED = "\n\nSolve this step by step, and end with a line that holds only #### and the number."
SHOWN = "{prompt}\n\nThis solution was written:\n{completion}\n\n"

ANSWER = Layout("{prompt}" + WANTED, "Solution:")
LAYOUTS = {
    "answer": ANSWER,
    **conditioned(ANSWER),
    **reviewed(SHOWN, "solution"),
    "refine": Layout(SHOWN + "Feedback on it: {critique}" + WANTED, "Better solution:"),
    "improve": Layout(SHOWN + "Write a better one." + WANTED, "Better solution:"),
}
COLUMNS: Mapping[str, str] = {}
"""none: it reads files of the published schema only"""

PLUGIN = Task(
    name="gsm8k",
    version="1",
    summary="Solve a grade-school word problem: GSM8K, by the number that an answer ends in",
    builtin=None,
    decoding=Decoding(temperature=0.3, max_tokens=256),
    layouts=LAYOUTS,
    teachers=("reference", "recorded"),
    judges=("reference_panel",),
    evaluators=("final_answer", "kl", "length", "nll_reference"),
    licence="MIT (GSM8K)",
    citation="Cobbe et al. 2021, arXiv 2110.14168",
    main_metric="final_answer",
    columns=COLUMNS,
    sources=("gsm8k",),
)

"""Instructions of all kinds, answered as an assistant would.

AlpacaEval (its instructions, a strong model's answers as references), or critiques and ratings of given
answers to train on (Shepherd, SQuALITY); there is no built-in world. The layouts are for models that read
plain English.
"""

from __future__ import annotations

from alignment_bench.completions import Decoding
from alignment_bench.layouts import Layout, conditioned, reviewed
from alignment_bench.task import Task

SHOWN = "{prompt}\n\nThis was answered: {completion}\n\n"

ANSWER = Layout("{prompt}", "Answer:")
LAYOUTS = {
    "answer": ANSWER,
    **conditioned(ANSWER),
    **reviewed(SHOWN, "answer"),
    "refine": Layout(SHOWN + "Feedback on it: {critique}\n\nWrite a better answer.", "Better answer:"),
    "improve": Layout(SHOWN + "Write a better answer.", "Better answer:"),
}

PLUGIN = Task(
    name="instructions",
    version="1",
    summary="Follow an instruction: AlpacaEval, critiques of given answers, or your own data",
    builtin=None,
    decoding=Decoding(temperature=0.7, top_p=0.95, max_tokens=256),
    layouts=LAYOUTS,
    teachers=("recorded", "reference"),
    judges=("reference_panel",),
    evaluators=("win_rate", "rouge", "kl", "length", "nll_reference", "similarity"),
    licence="that of the data: AlpacaEval and Shepherd are CC-BY-NC-4.0, SQuALITY CC-BY-4.0",
    citation="Dubois et al. 2024, arXiv 2404.04475; Wang et al. 2023, arXiv 2308.04592 (Shepherd)",
    main_metric="win_rate_vs_base",
    sources=("alpaca_eval", "shepherd", "squality"),
)

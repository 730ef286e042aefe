"""TL;DR summarisation: one sentence for a forum post.

Built in: the templated posts of `alignment_bench.world`, with gold quality. On published data (`sources`) and
data of your own (the columns of `Task.columns`): real posts with a written summary each, judged against that
summary; SLF5K and the comparisons of Stiennon et al. bring people's feedback, for teacher=recorded. The
layouts are for models that read plain English. The short ones are the defaults because a small model
handles them best; `refine_shown` and `improve_shown` are as short and show the answer as well, for methods
that learn to rewrite it; `refine_paper` and `improve_paper` follow Scheurer et al. 2023 (arXiv 2303.16755),
whose five questions for choosing a refinement are the `accept_*` layouts, in our own words. `describe_paper`
is that of Abadal Lloret et al. 2024 (arXiv 2407.16970): condition, "input:", then the prompt.
"""

from __future__ import annotations

from alignment_bench.completions import Decoding
from alignment_bench.layouts import Layout, conditioned
from alignment_bench.task import Task

REQUEST = "{prompt}\n\nWrite a TL;DR of this Reddit post in one sentence."
BETTER = "Write a better TL;DR of this Reddit post in one sentence."
OPENING = "TL;DR:"
SHOWN = "{prompt}\n\nTL;DR: {completion}\n\n"
YES_NO, TRUE_FALSE = (" Yes", " No"), (" True", " False")

ANSWER = Layout(REQUEST, OPENING)

LAYOUTS = {
    "answer": ANSWER,
    **conditioned(ANSWER),
    "describe_paper": Layout("{condition} input: " + REQUEST, OPENING),
    "critique": Layout(
        SHOWN + "What is wrong with this TL;DR, and how could it be better? Say it in one sentence.",
        "Feedback:",
    ),
    # The task's own prompt plus one directive: the authors' fuller layout harms models of this size.
    "refine": Layout(REQUEST + " {critique}", OPENING),
    "improve": Layout(REQUEST, OPENING),
    "refine_shown": Layout(SHOWN + "Feedback: {critique}\n\n" + BETTER, OPENING),
    "improve_shown": Layout(SHOWN + BETTER, OPENING),
    "refine_paper": Layout(
        "Below are a post, a summary of it, and feedback on that summary. Write an excellent summary that"
        " takes up the feedback and is better than the given one.\n\n"
        + SHOWN
        + "Feedback on the summary: {critique}",
        "Improved TL;DR:",
    ),
    "improve_paper": Layout(
        "Below are a post and a summary of it. Write an excellent summary that is better than the given"
        " one.\n\n" + SHOWN.rstrip(),
        "Improved TL;DR:",
    ),
    "accept_1": Layout(
        SHOWN + "Feedback: {critique}\n\nDoes this TL;DR do what the feedback asks? Reply Yes or No.",
        "Answer:",
        YES_NO,
    ),
    "accept_2": Layout(
        "Feedback on an earlier TL;DR of the post below was: {critique}\n\n"
        + SHOWN
        + "Has the feedback been taken up in this TL;DR? Reply Yes or No.",
        "Answer:",
        YES_NO,
    ),
    # This one and accept_5 end by repeating the feedback, as a reminder of what is asked about.
    "accept_3": Layout(
        "Feedback: {critique}\n\n"
        + SHOWN
        + "Judge whether this new TL;DR takes up the feedback. Remember, the feedback was: {critique}\n"
        "Does it? Reply Yes or No.",
        "Answer:",
        YES_NO,
    ),
    "accept_4": Layout(
        SHOWN + "Feedback: {critique}\n\nTrue or False: this TL;DR carries out the feedback.",
        "Answer:",
        TRUE_FALSE,
    ),
    "accept_5": Layout(
        "Feedback: {critique}\n\n"
        + SHOWN
        + "Someone rewrote a TL;DR to follow the feedback, and the result is above. Once more, the feedback:"
        " {critique}\nTrue or False: the rewrite succeeded.",
        "Answer:",
        TRUE_FALSE,
    ),
}

PLUGIN = Task(
    name="tldr",
    version="2",
    summary="Summarise a forum post in one sentence: built-in with gold quality, published, or your own",
    builtin="alignment_bench.world.tasks:tldr",
    decoding=Decoding(temperature=0.3, max_tokens=48),
    layouts=LAYOUTS,
    teachers=("annotators", "reference", "recorded"),
    judges=("gold", "reference_panel"),
    evaluators=(
        "quality",
        "win_rate",
        "rouge",
        "kl",
        "length",
        "nll_reference",
        "similarity",
        "grounding",
    ),
    licence="Apache-2.0 (the built-in posts; all other data keeps its own licence)",
    citation="Stiennon et al. 2020, arXiv 2009.01325 (the task); Scheurer et al. 2023, arXiv 2303.16755",
    main_metric="quality",
    real_decoding=Decoding(temperature=0.7, top_p=0.95, max_tokens=48),
    sources=(
        "summarize_from_feedback",
        "summarize_from_feedback_axis",
        "slf5k",
        "tldr_filtered",
        "tldr_posts",
    ),
)

"""Small programs: one Python function, written to a description and run against tests.

Built in: the programs of `alignment_bench.world`, run against hidden calls. Published: MBPP in the splits and
prompts of ILF for code, its human feedback without the leaked test tasks, and HumanEval; these bring layouts
of their own. The layouts here are for models that read plain English and are put to the built-in prompts:
they show one example and open a code block, so that an answer is code and nothing else.

Evaluation on real models is at temperature .8, as in Chen et al. 2023 (arXiv 2303.16749), which draw 30
samples; here four, enough for pass@1. pass@10 needs ten or more and is drawn on request alone
(`pass_at_k:samples=30`), because the cost of answering grows with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from alignment_bench.completions import Decoding
from alignment_bench.layouts import Layout, conditioned, reviewed
from alignment_bench.task import Task

EXAMPLE = (
    "x is a list of integers. Define the Python function f(x) in one line. For example, to"
    ' "write f: take the numbers below 7, make them times 2 plus 1, and give the largest." the answer is'
    " def f(x): return max([y * 2 + 1 for y in x if y < 7])\n\n"
)
WANTED = "Now define f, without any explanation."
BLOCK = "```python\n"
SHOWN = EXAMPLE + "{prompt}\n\nThis program was written:\n```python\n{completion}\n```\n"

ANSWER = Layout(EXAMPLE + "{prompt}\n\n" + WANTED, BLOCK)
LAYOUTS = {
    "answer": ANSWER,
    **conditioned(ANSWER, end="```\n"),
    **reviewed(SHOWN, "program"),
    "refine": Layout(SHOWN + "Feedback: {critique}\n\n" + WANTED, BLOCK),
    "improve": Layout(SHOWN + "Write a better one. " + WANTED, BLOCK),
}
COLUMNS: Mapping[str, str] = {}
"""none: a program needs tests, which plain columns do not bring"""

PLUGIN = Task(
    name="code",
    version="2",
    summary="Write a small Python function that passes its tests: built-in descriptions, MBPP or HumanEval",
    builtin="alignment_bench.world.tasks:code",
    decoding=Decoding(temperature=0.3, max_tokens=48),
    layouts=LAYOUTS,
    teachers=("annotators", "tests", "recorded"),
    judges=("gold", "tests"),
    evaluators=("quality", "pass_at_k", "win_rate", "kl", "length", "nll_reference"),
    licence="Apache-2.0 (the built-in prompts; MBPP CC-BY-4.0, ILF's feedback and HumanEval MIT)",
    citation="Chen et al. 2023, arXiv 2303.16749 (the task); Chen et al. 2021, arXiv 2107.03374 (pass@k)",
    main_metric="quality",
    columns=COLUMNS,
    real_decoding=Decoding(temperature=0.8, max_tokens=256, stop=("```",)),
    prompt_tokens=1024,
    executes=True,
    sources=("mbpp", "ilf_code", "human_eval"),
)

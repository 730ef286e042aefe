"""From what a policy wrote to the program that is run: completed, mended and cut as Chen et al. 2023 do.

An answer is either the rest of a function, to be put behind the task's `prefix` (docstring, imports,
``def`` line), or a whole program that defines the function itself. Models go on writing after the function's
end, so it is cut at the next line that begins at the left margin, and texts are stored without surrounding
white space, so the first line of a body is indented anew (arXiv 2303.16749, the released evaluation, which
always gives it four spaces). A whole
program keeps the helpers that follow the function, which the reference programs of MBPP need; what it would
do on its own after that (examples, prints, reading input) is cut too.
"""

from __future__ import annotations

import re

INDENT = "    "
_TOP = re.compile(r"^[A-Za-z_@#\"']", re.MULTILINE)
_HELPER = re.compile(r"(?:async\s+def|def|class|import|from)\b|@")
_FENCE = re.compile(r"^```([A-Za-z]*)[ \t]*(?:\n|$)", re.MULTILINE)


def program_of(answer: str, prefix: str, entry: str) -> str:
    """The source that is run for an answer to a task whose function is `entry`."""
    answer = unfenced(answer.replace("\r\n", "\n").replace("\r", "\n"))
    start = _definition(entry).search(answer)
    if start is None:
        return completed(answer, prefix)
    return answer[: start.start()] + _helpers_only(answer[start.start() :], entry)


def completed(body: str, prefix: str) -> str:
    """The prefix with the rest of its function, which ends before the first new line at the margin."""
    body = body.lstrip("\n")
    end = re.search(r"\n(?=[A-Za-z_@#\"'])", body)
    body = body[: end.start() + 1] if end else body
    if not body.startswith((INDENT, "\t")):
        first, _, rest = body.partition("\n")
        body = _margin(first, rest) + first.lstrip(" ") + "\n" + rest
    return prefix.rstrip("\n") + "\n" + body


def _margin(first: str, rest: str) -> str:
    """The indentation that a body's first line has lost: four spaces, or what its other lines tell."""
    margins = [line[: len(line) - len(line.lstrip())] for line in rest.split("\n") if line.strip()]
    if not margins:
        return INDENT
    least = min(margins, key=len)
    if not first.rstrip().endswith(":") or len(least) < len(margins[0]):
        return least or INDENT
    # all that follows is inside the first line's block
    return least[: len(least) // 2] or INDENT


def unfenced(answer: str) -> str:
    """What stands in the answer's block of code, which its layout may have opened already; the answer itself
    where it has no marks."""
    first = _FENCE.search(answer)
    if first is None:
        return answer
    before, after = answer[: first.start()], answer[first.end() :]
    marks = len(_FENCE.findall(answer))
    opens = first.group(1) or not before.strip() or marks % 2 == 0
    closing = _FENCE.search(after)
    inside = after[: closing.start()] if closing else after
    return inside if opens else before


def _definition(entry: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry)}[ \t]*\(", re.MULTILINE)


def _helpers_only(text: str, entry: str) -> str:
    """The function that `text` begins with, and of what follows the definitions and imports; nothing from a
    second definition of the function on."""
    second = _definition(entry).search(text, 1)
    text = text[: second.start()] if second else text
    starts = [match.start() for match in _TOP.finditer(text)] or [0]
    blocks = [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    return "".join(block for number, block in enumerate(blocks) if not number or _HELPER.match(block))

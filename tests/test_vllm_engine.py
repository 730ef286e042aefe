"""vLLM as the sampling engine, against a stand-in that takes exactly the arguments we rely on.

vLLM itself needs a GPU; perf/on_cuda.py compares it with transformers where there is one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from alignment_bench import runtime
from alignment_bench.completions import Decoding
from alignment_bench.config import parse
from alignment_bench.errors import BadInput
from alignment_bench.ledger import metering
from alignment_bench.models import loading, vllm_engine
from alignment_bench.models.storage import load_policy, save_policy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.runtime import Runtime

EOS = 1
DOG, CAT, RAN, STOP = 5, 6, 9, 21  # ids of the random base's words; the last is "."
PROMPTS = [
    Prompt("one", (Message("user", "the dog ran"),)),
    Prompt("two", (Message("user", "a bird"),), slots=(("critique", "sad"),)),
]


@dataclass(frozen=True)
class SamplingParams:
    """As vLLM 0.33 names them; an unknown one is a TypeError."""

    n: int
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    seed: int
    stop: list[str] | None
    stop_token_ids: list[int]
    logprobs: int | None
    skip_special_tokens: bool

    def __post_init__(self) -> None:
        assert self.n == 1 and self.top_k >= 0 and 0 < self.top_p <= 1 and 0 <= self.seed < 2**63


@dataclass(frozen=True)
class LoRARequest:
    """An adapter over the base."""

    lora_name: str
    lora_int_id: int
    lora_path: str

    def __post_init__(self) -> None:
        assert self.lora_int_id >= 1


@dataclass
class LLM:
    """Answers by what the prompt and the seed are, and remembers what it was asked."""

    model: str
    tokenizer: str
    trust_remote_code: bool
    dtype: str
    seed: int
    gpu_memory_utilization: float
    max_model_len: int
    generation_config: str
    enable_prefix_caching: bool
    enable_sleep_mode: bool
    enable_lora: bool = False
    max_lora_rank: int = 16
    max_loras: int = 1
    max_cpu_loras: int | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list, init=False)
    asleep: bool = field(default=False, init=False)
    adapters: dict[int, bytes] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        assert (Path(self.model) / "model.safetensors").is_file()
        assert (Path(self.tokenizer) / "tokenizer.json").is_file()
        assert self.max_lora_rank in vllm_engine.RANKS
        MADE.append(self)

    def generate(
        self,
        prompts: list[dict[str, list[int]]],
        sampling_params: list[SamplingParams],
        *,
        use_tqdm: bool,
        lora_request: LoRARequest | None,
    ) -> list[Any]:
        assert not self.asleep and not use_tqdm and len(prompts) == len(sampling_params)
        assert all(set(one) == {"prompt_token_ids"} for one in prompts)
        if lora_request is not None:
            assert self.enable_lora
            folder = Path(lora_request.lora_path)
            rank = json.loads((folder / "adapter_config.json").read_text("utf-8"))["r"]
            assert rank <= self.max_lora_rank
            stored = (folder / "adapter_model.safetensors").read_bytes()
            assert self.adapters.setdefault(lora_request.lora_int_id, stored) == stored
        self.asked.append((prompts, sampling_params, lora_request))
        return [SimpleNamespace(outputs=[self._out(params)]) for params in sampling_params]

    def _out(self, params: SamplingParams) -> Any:
        cases = [((DOG, RAN, EOS), "stop"), ((CAT, STOP), "stop"), ((DOG,) * params.max_tokens, "length")]
        if not params.stop:
            del cases[1]
        tokens, reason = cases[params.seed % len(cases)]
        rows = [{t: SimpleNamespace(logprob=-float(t)), 3: SimpleNamespace(logprob=0.0)} for t in tokens]
        return SimpleNamespace(
            token_ids=list(tokens), finish_reason=reason, logprobs=rows if params.logprobs == 0 else None
        )

    def sleep(self, level: int) -> None:
        assert level == 1 and not self.asleep
        self.asleep = True

    def wake_up(self) -> None:
        assert self.asleep
        self.asleep = False


MADE: list[LLM] = []


@pytest.fixture(autouse=True)
def vllm(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[LLM]]:
    """The stand-in in place of the package; the engines that were made of it."""
    module, lora, request = (ModuleType(f"vllm{name}") for name in ("", ".lora", ".lora.request"))
    module.__dict__.update(LLM=LLM, SamplingParams=SamplingParams)
    request.__dict__.update(LoRARequest=LoRARequest)
    for one in (module, lora, request):
        monkeypatch.setitem(sys.modules, one.__name__, one)
    MADE.clear()
    vllm_engine._running.clear()
    yield MADE
    vllm_engine._running.clear()


@pytest.fixture
def policy(random_policy: Any, tmp_path: Path) -> Any:
    """The random base, sampling through vLLM."""
    found: Any = load_policy(random_policy.folder, Runtime("cpu", "auto", 1, "vllm"))
    return found


def test_completions_are_what_our_sampler_would_give(policy: Any) -> None:
    """Every ending, the ids as sampled, text without end or stop string, and what was spent."""
    decoding = Decoding(temperature=0.7, top_p=0.9, top_k=3, max_tokens=4, stop=(".",))
    with metering() as meter:
        rows = policy.generate(PROMPTS, n=12, decoding=decoding, seed=3, logprobs=True)
    found = {one.end: one for row in rows for one in row}
    assert [len(row) for row in rows] == [12, 12]
    words = policy.decode
    assert (found["eos"].tokens, found["eos"].text) == ((DOG, RAN, EOS), words([DOG, RAN]).strip())
    assert (found["stop"].tokens, found["stop"].text) == ((CAT, STOP), words([CAT]).strip())
    assert (found["length"].tokens, found["length"].text) == ((DOG,) * 4, words([DOG] * 4).strip())
    assert found["stop"].logprobs == (-float(CAT), -float(STOP))
    drawn = sum(len(one.tokens) for row in rows for one in row)
    assert meter.total.tokens_generated == drawn
    (llm,) = MADE
    ((prompts, params, adapter),) = llm.asked
    assert [one["prompt_token_ids"] for one in prompts[::12]] == [policy.render(p) for p in PROMPTS]
    one = params[0]
    assert (one.temperature, one.top_p, one.top_k, one.max_tokens) == (0.7, 0.9, 3, 4)
    assert (one.stop, one.stop_token_ids, adapter) == (["."], [EOS], None)
    assert policy.generate(PROMPTS, n=1, decoding=decoding, seed=3)[0][0].logprobs is None


def test_seeds_belong_to_prompt_and_sample_not_to_the_batch(policy: Any) -> None:
    """Neither company nor order changes one; seed, slots and sample index do."""
    decoding = Decoding(max_tokens=4)
    both = policy.generate(PROMPTS, n=3, decoding=decoding, seed=0)
    alone = policy.generate(PROMPTS[1:], n=3, decoding=decoding, seed=0)
    assert both[1:] == alone
    (_, first, _), (_, second, _) = MADE[0].asked
    assert [one.seed for one in first[3:]] == [one.seed for one in second]
    assert len({one.seed for one in first}) == 6
    bare = [replace(PROMPTS[1], slots=())]
    for other, seed in ((PROMPTS[1:], 1), (bare, 0)):
        policy.generate(other, n=3, decoding=decoding, seed=seed)
        assert not {one.seed for one in MADE[0].asked[-1][1]} & {one.seed for one in first}


def test_greedy_is_drawn_once_and_handed_out(policy: Any) -> None:
    rows = policy.generate(PROMPTS, n=5, decoding=Decoding(temperature=0, max_tokens=4), seed=0)
    assert len(MADE[0].asked[0][0]) == 2 and all(len(row) == 5 and len(set(row)) == 1 for row in rows)


def test_one_engine_serves_the_base_and_every_adapter(policy: Any, tmp_path: Path) -> None:
    """The base is loaded once; each adapter has an id of its own, the same at every use."""
    decoding = Decoding(max_tokens=4)
    adapted = []
    for seed in (1, 2):
        model = policy.load_for_training(2, seed)
        adapted.append(save_policy(tmp_path / str(seed), model, parent=policy))
    for one in (policy, adapted[0], adapted[1], adapted[0]):
        one.generate(PROMPTS, n=1, decoding=decoding, seed=0)
    (llm,) = MADE
    assert llm.model == str(policy.source.located) and llm.max_lora_rank == 16
    requests = [request for _, _, request in llm.asked]
    assert requests[0] is None
    assert [request.lora_int_id for request in requests[1:]] == [1, 2, 1]
    assert requests[1].lora_path == str(adapted[0].folder)


def test_full_weights_and_larger_ranks_need_an_engine_of_their_own(policy: Any, tmp_path: Path) -> None:
    decoding = Decoding(max_tokens=4)
    full = save_policy(tmp_path / "full", policy.load_for_training(), parent=policy)
    wide = save_policy(tmp_path / "wide", policy.load_for_training(32), parent=policy)
    for one in (full, policy, wide, policy):
        one.generate(PROMPTS, n=1, decoding=decoding, seed=0)
    assert [(llm.model, llm.enable_lora) for llm in MADE] == [
        (str(full.folder), False),
        (str(policy.source.located), True),
        (str(policy.source.located), True),
    ]
    assert [llm.max_lora_rank for llm in MADE[1:]] == [16, 32]
    assert len(vllm_engine._running) == 1


def test_a_model_in_training_is_served_as_its_adapter(policy: Any) -> None:
    """With the weights of the moment; a model that trains whole is drawn from by transformers, and noted."""
    decoding = Decoding(max_tokens=4)
    model = policy.load_for_training(2)
    for step in range(2):
        policy.generate_with(model, PROMPTS, n=1, decoding=decoding, seed=step)
        with torch.no_grad():
            for weights in model.parameters():
                weights += 0.01 * weights.requires_grad
    (llm,) = MADE
    assert [request.lora_int_id for _, _, request in llm.asked] == [1, 2]
    assert llm.adapters[1] != llm.adapters[2] and policy.notes == []
    whole = policy.load_for_training()
    rows = policy.generate_with(whole, PROMPTS, n=1, decoding=decoding, seed=0)
    assert len(rows) == 2 and len(llm.asked) == 2
    assert policy.notes == [
        "rollouts of a model that trains more than an adapter on its base were drawn by transformers"
    ]


def test_the_engine_sleeps_while_memory_is_needed(policy: Any) -> None:
    decoding = Decoding(max_tokens=4)
    before = policy.generate(PROMPTS, n=1, decoding=decoding, seed=0)
    loading.forget()
    loading.forget()
    assert MADE[0].asleep
    assert policy.generate(PROMPTS, n=1, decoding=decoding, seed=0) == before
    assert len(MADE) == 1 and not MADE[0].asleep


def test_scores_do_not_come_from_vllm(policy: Any, random_policy: Any) -> None:
    completions = [policy.encode("the dog ran"), policy.encode("a cat")]
    assert policy.logprobs(PROMPTS, completions) == random_policy.logprobs(PROMPTS, completions)
    assert MADE == []


def test_an_adapter_that_vllm_does_not_serve_is_refused_before_any_work() -> None:
    asked = ["methods=sft", "task=tldr", "engine=vllm"]
    with pytest.raises(BadInput) as told:
        parse([*asked, "lora=513", "sharding=fsdp"])
    assert {p.field for p in told.value.problems} == {"lora", "sharding"}
    assert parse([*asked, "lora=512"]).lora == max(vllm_engine.RANKS)


def test_what_stands_in_vllms_way_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU, no package, or a device it cannot be told of; the engine is keyed."""
    with pytest.raises(BadInput, match="not on a CPU"):
        runtime.resolve("cpu", engine="vllm")
    with pytest.raises(BadInput, match="CUDA_VISIBLE_DEVICES=1"):
        runtime.resolve("cuda:1", engine="vllm")
    monkeypatch.delitem(sys.modules, "vllm")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(runtime, "version", lambda package: "2.13.0")  # no CPU build
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadInput, match=r"pip install 'alignment-bench\[vllm\]'"):
        runtime.resolve("cuda", engine="vllm")
    # A driver whose workers are elsewhere needs none; they look for themselves.
    elsewhere = runtime.resolve("cuda", engine="vllm", elsewhere=True)
    assert "alignment-bench[vllm]" in str(runtime.absent(elsewhere)[0])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert not runtime.absent(elsewhere)
    assert runtime.resolve("auto", engine="vllm").keyed()["engine"] == "vllm"
    # Here `auto` means this machine, wherever the workers are: it would be a CPU on all of them.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="device=cuda where the workers have one"):
        runtime.resolve("auto", engine="vllm", elsewhere=True)

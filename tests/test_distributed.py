"""Several processes train as one does: the same losses and weights, uneven shares, resuming.

The processes here are forked, which spares them their imports; `test_distributed_launch` starts real ones.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alignment_bench.errors import BadInput
from alignment_bench.ledger import Spend, metering
from alignment_bench.runtime import Runtime, check_processes, resolve
from alignment_bench.training import crew as crews
from alignment_bench.training.batches import Row
from alignment_bench.training.crew import Alone, Crew
from alignment_bench.training.finetune import finetune
from alignment_bench.training.preference import (
    PairRow,
    ScalarHead,
    sequence_logprobs,
    train_likelihood_ratio,
    train_scalar_head,
)
from alignment_bench.training.settings import Objective, Settings

SETTINGS = Settings(learning_rate=1e-3, epochs=2, batch_size=5, micro_batch=2)
TOLERANCE = 1e-4
"""what losses and weights may differ by between one process and several"""
IMPORTED = (
    "accelerate.utils",
    "torch._dynamo",
    "torch.distributed.fsdp",
    "alignment_bench.training.processes.together",
)
"""what processes need, imported before they are forked"""
PATIENCE = 900
"""seconds that processes have: a limit for what hangs, not for what is slow"""


def small_llama(lora: bool = False, tied: bool = True) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
    )
    model = LlamaForCausalLM(config)
    if not lora:
        return model
    from alignment_bench.models.loading import new_adapter

    return new_adapter(model, 4, seed=0)


def rows(n: int) -> list[Row]:
    """Rows of many lengths; every third has a plain text beside it."""
    noise = np.random.default_rng(0)

    def ids(least: int, most: int) -> tuple[int, ...]:
        return tuple(int(x) for x in noise.integers(3, 32, noise.integers(least, most)))

    return [Row(ids(2, 9), ids(1, 7), plain=ids(3, 6) if k % 3 == 0 else ()) for k in range(n)]


def pairs(n: int) -> list[PairRow]:
    made = rows(2 * n)
    return [PairRow(a, Row(a.prompt, b.completion)) for a, b in zip(made[::2], made[1::2], strict=True)]


Outcome = dict[str, Any]
"""`curve`, `weights`, `spend`; of one that was resumed also the files `left`, and the shards one `names`"""


def trained(crew: Crew, train: Callable[[Any], list[float]], fresh: Callable[[], Any]) -> Outcome:
    """What training a fresh model with the crew comes to; without weights but on the first process."""
    model = crew.ready(fresh())
    with metering() as meter:
        curve = train(model)
    whole = crew.whole(model, fresh)
    weights = {} if whole is None else {name: p.detach() for name, p in whole.named_parameters()}
    return {"curve": curve, "weights": weights, "spend": meter.total}


def supervised(crew: Crew, fresh: Callable[[], Any], objective: Objective, n: int = 13) -> Outcome:
    noise, known = np.random.default_rng(0), small_llama().eval()
    return trained(
        crew, lambda model: finetune(model, rows(n), SETTINGS, noise, 0, "cpu", objective, known, crew), fresh
    )


EVERYTHING = Objective(kl_coefficient=0.1, entropy_coefficient=0.01, hidden_share=0.4, plain_weight=0.3)
SCENARIOS: dict[str, Callable[[Crew], Outcome]] = {
    "full": lambda crew: supervised(crew, small_llama, Objective()),
    "lora": lambda crew: supervised(crew, lambda: small_llama(lora=True), Objective()),
    "objective": lambda crew: supervised(crew, small_llama, EVERYTHING),
    # two batches an epoch, the second of one row: a second process has nothing of its own
    "uneven": lambda crew: supervised(crew, small_llama, Objective(), n=6),
    "preference": lambda crew: trained(
        crew,
        lambda model: train_likelihood_ratio(
            model, pairs(7), 0.5, SETTINGS, np.random.default_rng(0), 0, "cpu", crew
        ),
        small_llama,
    ),
    # its vocabulary projection is read by nobody
    "head": lambda crew: trained(
        crew,
        lambda head: train_scalar_head(head, pairs(7), SETTINGS, np.random.default_rng(0), 0, "cpu", crew),
        lambda: ScalarHead(small_llama(tied=False), 0),
    ),
}


@contextmanager
def cut_short(steps: int) -> Iterator[None]:
    """Training breaks off once so many steps are kept."""
    kept: list[int] = []

    def watched(method: Any) -> Any:
        def keep(self: Any, *args: Any) -> None:
            method(self, *args)
            kept.append(1)
            if len(kept) == steps:
                raise InterruptedError

        return keep

    from alignment_bench.training.processes.together import Together

    before = Alone.keep, Together.keep
    Alone.keep, Together.keep = watched(before[0]), watched(before[1])  # type: ignore[method-assign]
    try:
        yield
    except InterruptedError:
        pass
    finally:
        Alone.keep, Together.keep = before  # type: ignore[method-assign]


def resumed(make: Callable[[], Crew], name: str) -> Outcome:
    """The scenario, broken off after two steps and taken up again."""
    with cut_short(2):
        SCENARIOS[name](make())
    return SCENARIOS[name](make())


def torn_beside(make: Callable[[], Crew]) -> Callable[[], Crew]:
    """The crew, whose last process was killed while it wrote its next shards."""

    def torn() -> Crew:
        crew: Any = make()
        torn_shards = crew.shard("shards-99")
        torn_shards.parent.mkdir(exist_ok=True)
        torn_shards.write_bytes(b"half")
        return crew  # type: ignore[no-any-return]

    return torn


def in_processes(size: int, sharding: str, folder: Path, names: list[str]) -> dict[str, Outcome]:
    """The scenarios on that many processes: what the first has of each, its spend that of all."""
    for module in IMPORTED:
        importlib.import_module(module)
    small_llama(lora=True)  # imports transformers' and peft's
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_one, args=(r, size, sharding, folder, names)) for r in range(size)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(PATIENCE)
            assert process.exitcode == 0
    finally:
        for process in processes:
            process.kill()
    found: list[dict[str, Outcome]] = [
        torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)
    ]
    for other in found[1:]:
        for name, outcome in other.items():
            assert outcome["curve"] == found[0][name]["curve"], "all know the losses of all"
            found[0][name]["spend"] += outcome["spend"]
    return found[0]


def _one(rank: int, size: int, sharding: Any, folder: Path, names: list[str]) -> None:
    from accelerate.state import AcceleratorState, PartialState

    from alignment_bench.training.processes.together import joined

    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState._reset_state()
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    crews.CHECKPOINT_SHARE = 0  # a checkpoint after every step, however long it took to write
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=size
    )
    out: dict[str, Outcome] = {}
    for name in names:
        base, _, kind = name.partition("/")
        partial = folder / name.replace("/", "-")
        if rank == 0:
            partial.mkdir()
        torch.distributed.barrier()
        seconds = 0.0 if kind == "resumed" else 1e9

        def make(partial: Path = partial, seconds: float = seconds) -> Crew:
            return joined("cpu", sharding, partial, seconds, PATIENCE)

        if kind != "resumed":
            out[name] = SCENARIOS[base](make())
            continue
        torn = sharding == "fsdp" and base != "head"  # which keeps nothing more once it is taken up
        out[name] = resumed(torn_beside(make) if torn else make, base)
        out[name]["left"] = sorted(path.name for path in partial.iterdir())
        out[name]["names"] = torch.load(partial / crews.FILE, weights_only=True).get("shards")
    torch.save(out, folder / f"{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


PLANS = {
    "ddp": (2, ["full", "lora", "objective", "uneven", "preference", "head", "full/resumed", "lora/resumed"]),
    "fsdp": (
        2,
        ["full", "lora", "objective", "uneven", "head", "full/resumed", "lora/resumed", "head/resumed"],
    ),
    "three": (3, ["full", "preference"]),
}
CASES = [(plan, name) for plan, (_, names) in PLANS.items() for name in names]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Outcome]]:
    """Every plan's scenarios."""
    return {
        plan: in_processes(size, plan if plan == "fsdp" else "ddp", tmp_path_factory.mktemp(plan), names)
        for plan, (size, names) in PLANS.items()
    }


@pytest.fixture(scope="module")
def alone() -> dict[str, Outcome]:
    """Every scenario in this process."""
    return {name: scenario(Alone()) for name, scenario in SCENARIOS.items()}


def furthest(a: Outcome, b: Outcome) -> float:
    """The largest difference between any two weights."""
    assert a["weights"].keys() == b["weights"].keys() and a["weights"]
    return max(float((a["weights"][name] - b["weights"][name]).abs().max()) for name in a["weights"])


@pytest.mark.parametrize("plan,name", [case for case in CASES if "/" not in case[1]])
def test_several_processes_lose_what_one_does(found: Any, alone: Any, plan: str, name: str) -> None:
    """Step by step; and they end with its weights, at its costs."""
    several, one = found[plan][name], alone[name]
    assert len(one["curve"]) >= 4 and one["curve"][0] != one["curve"][-1]
    assert several["curve"] == pytest.approx(one["curve"], abs=TOLERANCE)
    assert furthest(several, one) < TOLERANCE
    assert several["spend"] == one["spend"]


@pytest.mark.parametrize("plan,name", [case for case in CASES if "/" in case[1]])
def test_a_killed_training_of_several_ends_where_it_would_have(found: Any, plan: str, name: str) -> None:
    """Bit by bit, losses and costs included."""
    again, whole = found[plan][name], found[plan][name.partition("/")[0]]
    assert again["curve"] == whole["curve"] and furthest(again, whole) == 0.0
    # The call that broke off has paid nothing into this account: what was kept is counted once.
    assert again["spend"] == whole["spend"]
    kept = [again["names"]] if plan == "fsdp" else []
    assert None not in kept and again["left"] == sorted([*kept, crews.FILE]), "and what is older is gone"


@pytest.mark.parametrize("name", ["full", "lora", "objective", "head"])
def test_a_killed_training_alone_ends_where_it_would_have(
    alone: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crews, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(crews, "CHECKPOINT_SHARE", 0)
    again = resumed(lambda: Alone(tmp_path), name)
    assert (tmp_path / crews.FILE).exists()
    assert again["curve"] == alone[name]["curve"] and furthest(again, alone[name]) == 0.0
    assert again["spend"] == alone[name]["spend"]


def test_a_short_training_writes_no_checkpoint(tmp_path: Path) -> None:
    SCENARIOS["full"](Alone(tmp_path))
    assert not list(tmp_path.iterdir())


def test_costs_do_not_count_what_only_keeps_others_company(found: Any, alone: Any) -> None:
    """Six rows in steps of five: in every second step one process has none."""
    assert found["ddp"]["uneven"]["spend"].tokens_trained == 2 * sum(row.length for row in rows(6))
    assert alone["uneven"]["spend"] != Spend()


def test_sequences_are_scored_alike_whatever_the_padding() -> None:
    """What several processes share out of the reference's scoring comes back in order."""
    whole = sequence_logprobs(small_llama(), rows(7), 3, False, 0, "cpu")
    each = [sequence_logprobs(small_llama(), [row], 1, False, 0, "cpu")[0] for row in rows(7)]
    assert torch.allclose(whole, torch.stack(each), atol=1e-5)


def test_keys_are_those_of_one_process_unless_there_are_several() -> None:
    plain = Runtime("cpu", "auto", 1)
    assert "processes" not in plain.keyed() and plain.processes_keyed() == {}
    two, sharded = replace(plain, processes=2), replace(plain, processes=2, sharding="fsdp")
    assert two.keyed() != plain.keyed() and two.keyed() != sharded.keyed()
    assert two.keyed(training=False) == plain.keyed(), "who samples does not care"


@pytest.mark.parametrize(
    "processes,sharding,device,field",
    [
        (0, "ddp", "cpu", "training_processes"),
        (2, "zero", "cpu", "sharding"),
        (1, "fsdp", "cpu", "sharding"),
        (2, "ddp", "cuda:1", "training_processes"),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    processes: int, sharding: str, device: str, field: str
) -> None:
    assert [problem.field for problem in check_processes(processes, sharding, device)] == [field]
    if device == "cpu":
        with pytest.raises(BadInput, match=field):
            resolve(device, processes=processes, sharding=sharding)

"""trl's trainers against plain loops: the same rollouts, batches and reference give the same weights."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import trl.trainer.utils as trl_utils
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import logsigmoid

from alignment_bench.completions import Completion, Decoding
from alignment_bench.digests import generator
from alignment_bench.errors import BenchError
from alignment_bench.ledger import Spend, metering
from alignment_bench.models.storage import save_policy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.training import through_trl, trl_online, trl_preference
from alignment_bench.training.batches import Row, collate, completion_logits, token_logprobs
from alignment_bench.training.optimise import linear_schedule, make_optimiser
from alignment_bench.training.preference import PairRow, train_likelihood_ratio
from alignment_bench.training.settings import Settings
from alignment_bench.training.trl_rollouts import Drawn, Judging, Rollouts
from alignment_bench.training.trl_settings import DPOLoss, DPOSettings, KTOSettings, OnlineSettings

SETTINGS = Settings(learning_rate=2e-3, epochs=2, batch_size=4, micro_batch=64)
WORDS = ("the dog ran", "a cat sat", "the bird saw a dog", "it is happy", "the park", "a sad cat ran and sat")
PROMPTS = [Prompt(f"p{i}", (Message("user", text),)) for i, text in enumerate(WORDS)]
DECODING = Decoding(max_tokens=6)
ONLINE = {
    "grpo": OnlineSettings("grpo", steps=3, prompts=2, group=4, learning_rate=3e-3, beta=0.2, loss="grpo"),
    "rloo": OnlineSettings(
        "rloo", steps=3, prompts=4, group=2, learning_rate=3e-3, beta=0.2, loss="rloo", scale_advantages=False
    ),
    "online_dpo": OnlineSettings(
        "online_dpo", steps=3, prompts=4, group=2, learning_rate=3e-3, beta=0.2, loss="sigmoid"
    ),
}


def worth(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
    """A reward that tells completions apart: the lower the ids, the better."""
    return [-sum(c.tokens) / 30 / len(c.tokens) for c in completions]


@pytest.fixture(scope="module")
def changed(random_policy: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A policy trained away from the base, with all its weights: the start of most trainings here."""
    model = random_policy.load_for_training()
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.05 * torch.randn(weights.shape, generator=noise)
    return save_policy(tmp_path_factory.mktemp("changed") / "policy", model, parent=random_policy)


@pytest.fixture(scope="module")
def adapted(random_policy: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The base behind a LoRA adapter of rank 2 that changes it."""
    model = random_policy.load_for_training(2, seed=3)
    noise = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights += 0.3 * torch.randn(weights.shape, generator=noise)
    return save_policy(tmp_path_factory.mktemp("adapted") / "policy", model, parent=random_policy)


@pytest.fixture(scope="module")
def rows(changed: Any) -> list[Row]:
    """Twelve completions of six prompts as sampled, some of which encode to other ids than they have."""
    lists = changed.generate(PROMPTS, n=2, decoding=DECODING, seed=4)
    found = [
        Row(tuple(changed.render(prompt)), c.tokens)
        for prompt, row in zip(PROMPTS, lists, strict=True)
        for c in row
    ]
    texts = [changed.decode(row.completion) for row in found]
    assert any(tuple(changed.encode(t).tokens) != r.completion for t, r in zip(texts, found, strict=True))
    return found


@pytest.fixture(scope="module")
def pairs(rows: list[Row]) -> list[PairRow]:
    return [PairRow(a, b) for a, b in zip(rows[::2], rows[1::2], strict=True)]


def rollouts(start: Any, settings: OnlineSettings, judging: Judging | None = None) -> Rollouts:
    return Rollouts(start, PROMPTS, settings, DECODING, judging or Judging(score=worth), seed=5)


def weights_of(model: Any) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def assert_close(first: Any, second: Any, start: Any, tolerance: float = 2e-3) -> None:
    """Apart by at most `tolerance` of the way from the start: Adam turns rounding into small steps."""
    ours, theirs, before = (
        torch.cat([p.detach().flatten() for p in m.parameters()])
        for m in (first, second, start.load_for_training())
    )
    way = float((theirs - before).norm())
    assert way > 1e-3
    assert float((ours - theirs).norm()) <= tolerance * way


def logprobs(model: Any, given: Sequence[Row]) -> tuple[Tensor, Tensor]:
    batch = collate(given, 0, "cpu")
    return token_logprobs(completion_logits(model, batch), batch), batch.mask


def test_dpo_is_the_plain_loop(changed: Any, pairs: list[PairRow], tmp_path: Path) -> None:
    """The same losses and weights over two epochs as `train_likelihood_ratio`; and it moved."""
    trained, log = trl_preference.train_dpo(changed, pairs, DPOSettings(SETTINGS, 0.5), 0, tmp_path)
    plain = changed.load_for_training()
    curve = train_likelihood_ratio(plain, pairs, 0.5, SETTINGS, generator("dpo", 0), changed.pad, "cpu")
    assert [row["loss"] for row in log] == pytest.approx(curve, abs=1e-5)
    assert log[0]["loss"] == pytest.approx(np.log(2), abs=1e-5) and log[-1]["loss"] < log[0]["loss"]
    assert_close(trained, plain, changed)


def test_prompts_are_kept_out_of_the_vocabulary_projection(
    changed: Any, pairs: list[PairRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every pair only completion tokens are projected, which is a matter of memory."""
    projected: list[int] = []
    original = trl_utils._ChunkedLogProbFunction

    class Counting:
        @staticmethod
        def apply(hidden: Tensor, *rest: Any) -> Any:
            projected.append(len(hidden))
            return original.apply(hidden, *rest)

    monkeypatch.setattr(trl_utils, "_ChunkedLogProbFunction", Counting)
    trl_preference.train_dpo(changed, pairs, DPOSettings(SETTINGS, 0.5), 0, tmp_path)
    written = sum(len(row.completion) for pair in pairs for row in (pair.chosen, pair.rejected))
    assert sum(projected) == SETTINGS.epochs * written


def test_dpo_in_micro_batches_is_dpo(changed: Any, pairs: list[PairRow], tmp_path: Path) -> None:
    whole = DPOSettings(replace(SETTINGS, batch_size=6), 0.5)
    parts = DPOSettings(replace(SETTINGS, batch_size=6, micro_batch=4), 0.5)
    first, log = trl_preference.train_dpo(changed, pairs, whole, 0, tmp_path)
    second, more = trl_preference.train_dpo(changed, pairs, parts, 0, tmp_path)
    assert len(log) == len(more) == 2
    assert_close(first, second, changed)


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda margin: -logsigmoid(0.5 * margin),
    "hinge": lambda margin: torch.relu(1 - 0.5 * margin),
}


@pytest.mark.parametrize("loss", get_args(DPOLoss))
def test_every_dpo_loss_runs(loss: Any, changed: Any, pairs: list[PairRow], tmp_path: Path) -> None:
    """On one batch; the plain ones are what the formula says, for a model that is not its reference."""
    smoothing = 0.1 if loss in ("robust", "exo_pair") else 0.0
    settings = DPOSettings(replace(SETTINGS, batch_size=6, epochs=1), 0.5, loss, smoothing)
    trainer = trl_preference.dpo_trainer(changed, pairs, settings, 0, tmp_path)
    before = [
        logprobs(trainer.model, [p.chosen for p in pairs]),
        logprobs(trainer.model, [p.rejected for p in pairs]),
    ]
    with torch.no_grad():
        trainer.model.model.norm.weight *= 0.7
        after = [
            logprobs(trainer.model, [p.chosen for p in pairs]),
            logprobs(trainer.model, [p.rejected for p in pairs]),
        ]
        batch = next(iter(trainer.get_train_dataloader()))
        with through_trl.at_completions_only():
            found = float(trainer.compute_loss(trainer.model, batch))
    assert np.isfinite(found)
    if loss in LOSSES:
        (a, _), (b, _), (c, _), (d, _) = *before, *after
        margin = (c.sum(1) - a.sum(1)) - (d.sum(1) - b.sum(1))
        assert found == pytest.approx(float(LOSSES[loss](margin).mean()), abs=1e-5)


def test_what_dpo_reads_is_what_was_sampled(changed: Any, pairs: list[PairRow], tmp_path: Path) -> None:
    """Ids of prompts and completions reach the model untouched, with the start's own log-probabilities."""
    trainer = trl_preference.dpo_trainer(changed, pairs, DPOSettings(SETTINGS, 0.5), 0, tmp_path)
    seen = set()
    for batch in trainer.get_train_dataloader():
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
            seen.add(tuple(ids[mask.bool()].tolist()))
    wanted = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    assert seen == {row.prompt + row.completion for row in wanted}
    model = changed.load_for_training()
    values, _ = logprobs(model, [pair.chosen for pair in pairs])
    assert trainer.train_dataset["ref_chosen_logps"] == pytest.approx(values.sum(1).tolist(), abs=1e-4)


@pytest.mark.parametrize("loss", ["kto", "apo_zero_unpaired"])
def test_kto_is_the_formula(loss: Any, changed: Any, rows: list[Row], tmp_path: Path) -> None:
    """Loss of one batch of a model that is not its reference, written out from the paper."""
    labels = [i % 3 == 0 for i in range(len(rows))]
    train = replace(SETTINGS, batch_size=12, epochs=1)
    settings = KTOSettings(train, 0.5, loss, desirable_weight=1.5, undesirable_weight=0.7)
    trainer = trl_preference.kto_trainer(changed, list(zip(rows, labels, strict=True)), settings, 0, tmp_path)
    [batch] = list(trainer.get_train_dataloader())
    lengths = batch["attention_mask"].sum(1)
    full = [tuple(ids[:n].tolist()) for ids, n in zip(batch["input_ids"], lengths, strict=True)]
    order = [[row.prompt + row.completion for row in rows].index(ids) for ids in full]
    assert sorted(order) == list(range(12)) and batch["label"].tolist() == [labels[i] for i in order]
    own = [rows[i] for i in order]
    crossed = [Row(row.prompt, own[k - 1].completion) for k, row in enumerate(own)]
    with torch.no_grad():
        start = [logprobs(trainer.model, r)[0].sum(1) for r in (own, crossed)]
        trainer.model.model.norm.weight *= 0.7
        now = [logprobs(trainer.model, r)[0].sum(1) for r in (own, crossed)]
        with through_trl.at_completions_only():
            found = float(trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch)))
    ratio = now[0] - start[0]
    baseline = (now[1] - start[1]).mean().clamp(min=0) if loss == "kto" else torch.tensor(0.0)
    good = torch.tensor([labels[i] for i in order])
    up, down = torch.sigmoid(0.5 * (ratio - baseline)), torch.sigmoid(0.5 * (baseline - ratio))
    expected = torch.where(good, 1.5 * (1 - up), 0.7 * (1 - down)).mean()
    assert found == pytest.approx(float(expected), abs=1e-5)


def test_kto_raises_the_desirable(changed: Any, rows: list[Row], tmp_path: Path) -> None:
    labelled = [(row, i % 2 == 0) for i, row in enumerate(rows)]
    settings = KTOSettings(replace(SETTINGS, epochs=4, micro_batch=2), 0.5)
    _, log = trl_preference.train_kto(changed, labelled, settings, 0, tmp_path)
    assert len(log) == 12, "a step is a batch of four, in two parts"
    assert log[-1]["loss"] < log[0]["loss"]


def grpo_loss(model: Any, reference: Any, old: Tensor, drawn: Sequence[Drawn], s: OnlineSettings) -> Tensor:
    rewards = torch.tensor([d.reward for d in drawn]).view(-1, s.group)
    spread = rewards.std(1, keepdim=True) + 1e-4
    advantages = ((rewards - rewards.mean(1, keepdim=True)) / spread).view(-1, 1)
    given = [Row(d.prompt, d.completion.tokens) for d in drawn]
    values, mask = logprobs(model, given)
    with torch.no_grad():
        start, _ = logprobs(reference, given)
    k3 = torch.exp(start - values) - (start - values) - 1
    ratio = torch.exp(values - old)
    clipped = ratio.clamp(1 - s.clip, 1 + s.clip)
    tokens = s.beta * k3 - torch.minimum(ratio * advantages, clipped * advantages)
    return ((tokens * mask).sum(1) / mask.sum(1)).mean()


def rloo_loss(model: Any, reference: Any, old: Tensor, drawn: Sequence[Drawn], s: OnlineSettings) -> Tensor:
    given = [Row(d.prompt, d.completion.tokens) for d in drawn]
    sums = logprobs(model, given)[0].sum(1)
    with torch.no_grad():
        start = logprobs(reference, given)[0].sum(1)
    rewards = torch.tensor([d.reward for d in drawn]) - s.beta * (old.sum(1) - start)
    grouped = rewards.view(-1, s.group)
    others = (grouped.sum(1, keepdim=True) - grouped) / (s.group - 1)
    advantages, ratio = (grouped - others).view(-1), torch.exp(sums - old.sum(1))
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - s.clip, 1 + s.clip) * advantages).mean()


def pair_loss(model: Any, reference: Any, old: Tensor, drawn: Sequence[Drawn], s: OnlineSettings) -> Tensor:
    given = [Row(d.prompt, d.completion.tokens) for d in drawn]
    sums = logprobs(model, given)[0].sum(1)
    with torch.no_grad():
        start = logprobs(reference, given)[0].sum(1)
    sums = sums - start
    first_wins = torch.tensor([a.reward >= b.reward for a, b in zip(drawn[::2], drawn[1::2], strict=True)])
    margin = torch.where(first_wins, sums[::2] - sums[1::2], sums[1::2] - sums[::2])
    decided = torch.tensor([a.reward != b.reward for a, b in zip(drawn[::2], drawn[1::2], strict=True)])
    assert decided.any()
    return -logsigmoid(s.beta * margin * decided).mean()


PLAIN = {"grpo": grpo_loss, "rloo": rloo_loss, "online_dpo": pair_loss}


def recorded(source: Rollouts) -> list[list[Drawn]]:
    """Fills with what the rollouts draw at every step, as they go."""
    steps: list[list[Drawn]] = []
    draw = source._draw

    def watched(model: Any, step: int) -> None:
        draw(model, step)
        steps.append([drawn for group in source._groups for drawn in group])

    source._draw = watched  # type: ignore[method-assign]
    return steps


@pytest.mark.parametrize("micro_batch", [64, 4])
@pytest.mark.parametrize(
    ("algorithm", "iterations"), [("grpo", 1), ("grpo", 2), ("rloo", 1), ("rloo", 2), ("online_dpo", 1)]
)
def test_online_training_is_the_plain_loop(
    algorithm: str, iterations: int, micro_batch: int, changed: Any, tmp_path: Path
) -> None:
    """Three steps on the recorded rollouts with the loss written out end at the same weights, whole or in
    micro-batches, with a KL to the changed start that has grown by then; each step's second iteration goes
    by the ratio to the policy that drew."""
    settings = replace(ONLINE[algorithm], micro_batch=micro_batch, iterations=iterations)
    source = rollouts(changed, settings)
    steps = recorded(source)
    trained, log = trl_online.train_online(source, 0, tmp_path)
    model, reference = changed.load_for_training(), changed.load_for_training()
    optimiser = make_optimiser(model, settings.learning_rate)
    total = 3 * iterations
    for step in range(total):
        drawn = steps[step // iterations]
        if step % iterations == 0:
            with torch.no_grad():
                old, _ = logprobs(model, [Row(d.prompt, d.completion.tokens) for d in drawn])
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * linear_schedule(step, total, 0.0)
        PLAIN[algorithm](model, reference, old, drawn, settings).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad()
    assert_close(trained, model, changed)
    assert len(log) == total and log[0]["kl_to_reference"] == pytest.approx(0, abs=1e-4)
    assert abs(log[-1]["kl_to_reference"]) > 1e-2
    assert all("reward" in row and "ended" in row for row in log)


@pytest.mark.parametrize("algorithm", PLAIN)
def test_twice_is_the_same(algorithm: str, changed: Any, tmp_path: Path) -> None:
    """Bit for bit, whatever the state of the process's random numbers, which is left alone."""
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        state = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]
        environment = dict(os.environ)
        trained, log = trl_online.train_online(
            rollouts(changed, replace(ONLINE[algorithm], micro_batch=4)), 0, tmp_path / str(seed)
        )
        assert torch.equal(state[0], torch.get_rng_state())
        assert state[1:] == (random.getstate(), np.random.get_state(legacy=False)["state"]["pos"])
        assert environment == dict(os.environ)
        found.append((weights_of(trained), log))
    assert found[0][1] == found[1][1]
    assert all(torch.equal(value, found[1][0][name]) for name, value in found[0][0].items())


def test_preference_training_twice_is_the_same(
    changed: Any, pairs: list[PairRow], rows: list[Row], tmp_path: Path
) -> None:
    labelled = [(row, i % 2 == 0) for i, row in enumerate(rows)]
    trained = [
        [
            trl_preference.train_dpo(changed, pairs, DPOSettings(SETTINGS, 0.5), 0, tmp_path)[0],
            trl_preference.train_kto(changed, labelled, KTOSettings(SETTINGS, 0.5), 0, tmp_path)[0],
        ]
        for _ in range(2)
    ]
    for first, second in zip(*trained, strict=True):
        assert_close(first, second, changed, 0.0)


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("kind", ["changed", "adapted"])
def test_the_reference_is_the_start(
    kind: str, rank: int, algorithm: str, request: pytest.FixtureRequest, random_policy: Any, tmp_path: Path
) -> None:
    """Not the shipped base, from which the start was trained: with weights or adapters of its own, trained
    further as weights or as adapters."""
    start = request.getfixturevalue(kind)
    source = rollouts(start, replace(ONLINE[algorithm], lora_rank=rank))
    steps = recorded(source)
    trainer = trl_online.online_trainer(source, 0, tmp_path)
    seen: list[Tensor] = []
    original = trainer._get_per_token_logps_and_entropies

    def watched(model: Any, ids: Tensor, mask: Tensor, keep: int, *rest: Any, **more: Any) -> Any:
        found = original(model, ids, mask, keep, *rest, **more)
        if not torch.is_grad_enabled():
            seen.append(found[0].detach())
        return found

    trainer._get_per_token_logps_and_entropies = watched
    with through_trl.quietly("cpu"):
        trainer.train()
    # The last pass without gradients is the reference's, on the rollouts of the last step.
    given = [Row(d.prompt, d.completion.tokens) for d in steps[-1]]
    completions = [d.completion for d in steps[-1]]
    asked = [PROMPTS[[tuple(start.render(p)) for p in PROMPTS].index(row.prompt)] for row in given]
    expected = [sum(row) for row in start.logprobs(asked, completions)]
    shipped = [sum(row) for row in random_policy.logprobs(asked, completions)]
    found = seen[-1].sum(1).tolist()
    assert found == pytest.approx(expected, abs=1e-4)
    assert found != pytest.approx(shipped, abs=0.05)


def test_another_reference_is_refused(changed: Any, random_policy: Any, tmp_path: Path) -> None:
    """A trainer whose reference was loaded from elsewhere never takes a step."""
    trainer = trl_online.online_trainer(rollouts(changed, ONLINE["grpo"]), 0, tmp_path)
    through_trl.check_reference(trainer)
    trainer.ref_model = random_policy.load_for_training()
    with pytest.raises(BenchError, match="not the policy that training starts from"):
        through_trl.check_reference(trainer)


@pytest.mark.parametrize("algorithm", PLAIN)
def test_adapters_are_stored_alone(
    algorithm: str, random_policy: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With LoRA and autocast: nothing printed, nothing but the adapter stored, and the base untouched."""
    settings = replace(ONLINE[algorithm], lora_rank=2, bf16=True, micro_batch=4)
    model, log = trl_online.train_online(rollouts(random_policy, settings), 0, tmp_path / "work")
    policy = save_policy(tmp_path / "policy", model, parent=random_policy)
    assert policy.weights == "adapter" and log[-1]["loss"] == log[-1]["loss"]
    assert not [path for path in policy.folder.rglob("*") if path.is_dir()]
    assert not (tmp_path / "work" / "start").exists()
    lists = policy.generate(PROMPTS, n=1, decoding=DECODING, seed=0)
    completions = [row[0] for row in lists]
    assert policy.logprobs(PROMPTS, completions) != random_policy.logprobs(PROMPTS, completions)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_bf16_twin_draws_from_the_trained_weights(random_policy: Any, tmp_path: Path) -> None:
    """Not through the closure over the original model that trl leaves as its forward."""
    from alignment_bench.models.weights import sampling_twin
    from alignment_bench.runtime import Runtime

    trainer = trl_online.online_trainer(
        rollouts(random_policy, replace(ONLINE["grpo"], lora_rank=2)), 0, tmp_path
    )
    start = save_policy(tmp_path / "copy", random_policy.load_for_training(), parent=random_policy)
    start.runtime = Runtime("cpu", "bfloat16", 1)
    twin = sampling_twin(start, trainer.model)
    assert {p.dtype for p in twin.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        ids = torch.tensor([[3, 4, 5]])
        before = twin(input_ids=ids).logits
        for weights in trainer.model.parameters():
            weights.zero_()
        assert torch.equal(twin(input_ids=ids).logits, before)


def spent(work: Callable[[], Any]) -> Spend:
    with metering() as meter:
        work()
    return meter.total


def test_every_token_is_accounted_for(
    changed: Any, pairs: list[PairRow], rows: list[Row], tmp_path: Path
) -> None:
    """Real tokens, prompts included: once scored by the reference, once trained in each epoch."""
    total = sum(pair.chosen.length + pair.rejected.length for pair in pairs)
    dpo = spent(lambda: trl_preference.train_dpo(changed, pairs, DPOSettings(SETTINGS, 0.5), 0, tmp_path))
    assert (dpo.tokens_scored, dpo.tokens_trained, dpo.tokens_generated) == (total, 2 * total, 0)
    size = through_trl.size_of(changed.load_for_training())
    assert dpo.flops == pytest.approx(2 * size * total + 6 * size * 2 * total)
    labelled = [(row, i % 2 == 0) for i, row in enumerate(rows)]
    kto = spent(lambda: trl_preference.train_kto(changed, labelled, KTOSettings(SETTINGS, 0.5), 0, tmp_path))
    # Once by the reference as they are; crossed in each epoch, by the reference and by the model.
    assert (kto.tokens_scored, kto.tokens_trained) == (total + 4 * total, 2 * total)
    for algorithm, passes in (("grpo", 1), ("rloo", 2), ("online_dpo", 1)):
        source = rollouts(changed, ONLINE[algorithm])
        steps = recorded(source)
        used = spent(functools.partial(trl_online.train_online, source, 0, tmp_path / algorithm))
        drawn = [d for step in steps for d in step]
        generated = sum(len(d.completion.tokens) for d in drawn)
        total_drawn = generated + sum(len(d.prompt) for d in drawn)
        assert used.tokens_generated == generated, algorithm
        assert used.tokens_trained == total_drawn, algorithm
        assert used.tokens_scored == passes * total_drawn, algorithm


def test_pairs_without_a_label_have_no_gradient(changed: Any, tmp_path: Path) -> None:
    """Undecided everywhere: the weights stay as they are. Equal texts are never asked about."""
    asked: list[tuple[str, str]] = []

    def undecided(prompts: Any, first: Any, second: Any) -> list[float]:
        asked.extend((a.text, b.text) for a, b in zip(first, second, strict=True))
        return [0.5] * len(prompts)

    source = rollouts(changed, ONLINE["online_dpo"], Judging(prefer=undecided))
    trained, log = trl_online.train_online(source, 0, tmp_path)
    before = weights_of(changed.load_for_training())
    assert all(torch.equal(value, before[name]) for name, value in weights_of(trained).items())
    assert asked and all(a != b for a, b in asked) and all(row["labelled"] == 0 for row in log)


def test_labels_choose_the_winner(changed: Any, tmp_path: Path) -> None:
    """The policy moves towards whatever the labeller prefers: here completions of low ids."""

    def label(prompts: Any, first: Any, second: Any) -> list[float]:
        return [float(a > b) for a, b in zip(worth(prompts, first), worth(prompts, second), strict=True)]

    settings = replace(ONLINE["online_dpo"], steps=12, prompts=6)
    trained, _ = trl_online.train_online(rollouts(changed, settings, Judging(prefer=label)), 0, tmp_path)
    policy = save_policy(tmp_path / "policy", trained, parent=changed)
    means = []
    for each in (changed, policy):
        lists = each.generate(PROMPTS, n=8, decoding=DECODING, seed=9)
        means.append(np.mean([worth([], row) for row in lists]))
    assert means[1] > means[0] + 0.05


def test_a_completion_that_does_not_end_has_a_score_of_its_own(changed: Any) -> None:
    source = rollouts(changed, replace(ONLINE["rloo"], missing_eos_score=-7.0))
    drawn = source.take(changed.load_for_training(), source.names()[:4])
    assert {d.completion.end for d in drawn} == {"eos", "length"}
    for d in drawn:
        expected = -7.0 if d.completion.end == "length" else worth([], [d.completion])[0]
        assert d.reward == pytest.approx(expected)
    with pytest.raises(BenchError, match="other completions"):
        source.reward(completion_ids=[[1]] * len(drawn))


@given(st.integers(2, 60), st.integers(2, 20), st.integers(2, 20), st.integers(1, 3), st.sampled_from([1, 2]))
def test_micro_batches_use_every_item_once_an_epoch(
    items: int, batch: int, micro: int, epochs: int, least: int
) -> None:
    settings = Settings(1e-3, epochs, batch, micro)
    planned, parts = through_trl.micro_batches([1] * items, settings, np.random.default_rng(0), 1, least)
    assert len(planned) % (parts * epochs) == 0
    size = len(planned) // epochs
    for k in range(epochs):
        epoch = [i for part in planned[k * size : (k + 1) * size] for i in part]
        assert sorted(epoch) == list(range(items))
    assert all(len(part) >= least for part in planned)


def test_only_these_modules_import_trl() -> None:
    import alignment_bench

    root = Path(alignment_bench.__file__).parent
    found = {
        path.name
        for path in root.rglob("*.py")
        if any(line.strip().startswith(("import trl", "from trl")) for line in path.read_text().splitlines())
    }
    assert found == {"through_trl.py", "trl_preference.py", "trl_online.py"}

"""The supervised objective against numbers written out, and the door methods reach it through."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from alignment_bench import run
from alignment_bench.completions import Completion, Decoding
from alignment_bench.errors import BenchError, CorruptResult, NotApplicable, OverBudget
from alignment_bench.feedback import FeedbackRecord
from alignment_bench.job_keys import digest_lessons
from alignment_bench.lessons import Lesson, lessons_of
from alignment_bench.models.conditioned import ConditionedPolicy
from alignment_bench.models.new_words import descriptive, untrained
from alignment_bench.models.storage import load_policy
from alignment_bench.policy import LogitPolicy
from alignment_bench.prompts import Message, Prompt
from alignment_bench.techniques.hindsight import SIMPLE, hindsight_lessons
from alignment_bench.training import finetune as training
from alignment_bench.training.batches import Batch, Row, collate, completion_logits
from alignment_bench.training.finetune import answer_terms, divergence, entropy, finetune, plain_loss
from alignment_bench.training.settings import Objective, Settings
from alignment_bench.work import training_rows

SETTINGS = Settings(learning_rate=1e-2, epochs=1, batch_size=2, micro_batch=2, warmup=0.0)
GOOD = {"condition": "a good answer"}
DRAWN = Decoding(max_tokens=8)


class Bigram(torch.nn.Module):
    """Next-token logits that depend on the last token alone, so that losses can be done by hand."""

    def __init__(self, table: list[list[float]]) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.tensor(table))

    def forward(self, input_ids: Any, logits_to_keep: int, **_: Any) -> Any:
        return SimpleNamespace(logits=self.table[input_ids][:, -logits_to_keep:])


TABLE = [[0.0, 1.0, -1.0], [2.0, 0.0, 0.5], [0.3, 0.3, 0.0]]
OTHER = [[1.0, 0.0, 0.0], [0.0, 0.0, 3.0], [0.0, 1.0, 2.0]]


def chances(row: list[float]) -> list[float]:
    """Softmax by hand."""
    total = sum(math.exp(x) for x in row)
    return [math.exp(x) / total for x in row]


def first_loss(rows: list[Row], objective: Objective, reference: Any = None, model: Any = None) -> float:
    """The loss of the first step on all rows at once."""
    settings = replace(SETTINGS, batch_size=len(rows), micro_batch=len(rows))
    return finetune(
        model or Bigram(TABLE), rows, settings, np.random.default_rng(0), 0, "cpu", objective, reference
    )[0]


def small_llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, max_position_embeddings=64,
        )
    )  # fmt: skip


def weights(model: Any) -> torch.Tensor:
    """All of them, in one row."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])


# --- the objective ---------------------------------------------------------------------------------------


def test_weights_and_unlikelihood_equal_the_formula() -> None:
    """-log p times the weight, -log(1 - p) where unlikely; divided by tokens, not by weights."""
    after_0, after_1 = chances(TABLE[0]), chances(TABLE[1])
    rows = [Row((0,), (1, 0), weight=3.0), Row((1,), (2,), weight=0.5, unlikely=True)]
    expected = (3 * (-math.log(after_0[1]) - math.log(after_1[0])) - 0.5 * math.log(1 - after_1[2])) / 3
    assert first_loss(rows, Objective()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("unlikely", [True, False])
def test_unlikelihood_lowers_what_likelihood_raises(unlikely: bool) -> None:
    model = Bigram(TABLE)
    finetune(model, [Row((0,), (1,), unlikely=unlikely)], SETTINGS, np.random.default_rng(0), 0, "cpu")
    assert (chances(model.table[0].tolist())[1] < chances(TABLE[0])[1]) == unlikely
    assert torch.equal(model.table[1:], torch.tensor(TABLE)[1:]), "nothing else was to move"


def test_unlikelihood_of_a_certain_token_is_finite() -> None:
    """Probability 1 in float32 must not make the loss infinite."""
    model = Bigram([[50.0, 0.0, 0.0], *TABLE[1:]])
    assert math.isfinite(first_loss([Row((0,), (0,), unlikely=True)], Objective(), model=model))


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_kl_is_exact_and_in_the_direction_named(direction: Any) -> None:
    """forward: KL(reference || policy), backward: KL(policy || reference); both over the whole vocabulary."""
    ours, theirs = [chances(TABLE[k]) for k in (0, 1)], [chances(OTHER[k]) for k in (0, 1)]
    pairs = zip(theirs, ours, strict=True) if direction == "forward" else zip(ours, theirs, strict=True)
    kl = [sum(p * math.log(p / q) for p, q in zip(first, second, strict=True)) for first, second in pairs]
    nll = -math.log(ours[0][1]) - math.log(ours[1][0])
    loss = first_loss([Row((0,), (1, 0))], Objective(0.7, direction), Bigram(OTHER))
    assert loss == pytest.approx((nll + 0.7 * sum(kl)) / 2, abs=1e-6)
    same = torch.tensor([TABLE])
    assert divergence(same, same, direction).abs().max() < 1e-7


def test_entropy_bonus_equals_the_formula() -> None:
    p = chances(TABLE[0])
    expected = -math.log(p[1]) + 0.2 * sum(x * math.log(x) for x in p)
    assert first_loss([Row((0,), (1,))], Objective(entropy_coefficient=0.2)) == pytest.approx(
        expected, abs=1e-6
    )
    assert float(entropy(torch.zeros(1, 1, 8))) == pytest.approx(math.log(8))


def test_the_reference_reads_its_own_prompt() -> None:
    """Rows of two lengths, one with a prompt of the reference's own, through a real model one by one."""
    model, reference = small_llama(), small_llama()
    torch.manual_seed(4)
    with torch.no_grad():
        for p in reference.parameters():
            p.add_(0.3 * torch.randn_like(p))
    rows = [Row((3, 4, 5, 6), (7, 8), reference=(9,)), Row((10, 11), (12, 13, 14))]

    def at(one: Any, prompt: tuple[int, ...], completion: tuple[int, ...]) -> torch.Tensor:
        with torch.no_grad():
            logits = one(torch.tensor([prompt + completion])).logits[0]
        return torch.log_softmax(logits[len(prompt) - 1 : -1], -1)

    nll = kl = 0.0
    for row in rows:
        ours = at(model, row.prompt, row.completion)
        theirs = at(reference, row.reference or row.prompt, row.completion)
        nll -= float(ours[range(len(row.completion)), list(row.completion)].sum())
        kl += float((ours.exp() * (ours - theirs)).sum())
    assert kl > 0.1
    loss = first_loss(rows, Objective(kl_coefficient=0.5), reference, model)
    assert loss == pytest.approx((nll + 0.5 * kl) / 5, abs=1e-5)


def test_the_reference_is_masked_where_completions_end() -> None:
    """A short completion beside a long one counts as much as alone: padding is in no term."""
    objective = Objective(0.7, "forward", 0.1)
    alone = [first_loss([row], objective, Bigram(OTHER)) for row in (Row((0,), (1,)), Row((1,), (0, 2, 1)))]
    both = first_loss([Row((0,), (1,)), Row((1,), (0, 2, 1))], objective, Bigram(OTHER))
    assert both == pytest.approx((alone[0] + 3 * alone[1]) / 4, abs=1e-6)


def test_the_reference_is_left_alone() -> None:
    reference = small_llama()
    before = weights(reference)
    finetune(
        small_llama(), [Row((3,), (4, 5))], SETTINGS, np.random.default_rng(0), 0, "cpu",
        Objective(kl_coefficient=1.0), reference,
    )  # fmt: skip
    assert torch.equal(weights(reference), before)
    assert all(p.grad is None for p in reference.parameters())


def test_plain_text_adds_its_mean_loss_with_the_stated_weight() -> None:
    """The mean over tokens of each text, averaged over answers by their tokens; times the weight."""
    p0, p1, p2 = map(chances, TABLE)
    rows = [Row((0,), (1, 0), plain=(2, 1, 0)), Row((1,), (0, 0, 0), plain=(0, 1))]
    answers = -math.log(p0[1]) - 2 * math.log(p1[0]) - 2 * math.log(p0[0])
    text, other = (-math.log(p2[1]) - math.log(p1[0])) / 2, -math.log(p0[1])
    expected = (answers + 0.25 * (2 * text + 3 * other)) / 5
    assert first_loss(rows, Objective(plain_weight=0.25)) == pytest.approx(expected, abs=1e-6)
    without = first_loss(rows, Objective())
    assert without == pytest.approx(answers / 5, abs=1e-6), "no weight, no text"


def test_fewer_plain_texts_count_more_each() -> None:
    """One text beside two of six tokens has the weight that three such texts would have."""
    p0, p1, _ = map(chances, TABLE)
    rows = [Row((0,), (1, 0), plain=(0, 1)), Row((0,), (1, 0)), Row((0,), (1, 0))]
    mean = (-math.log(p0[1]) - math.log(p1[0])) / 2 + 0.25 * -math.log(p0[1])
    assert first_loss(rows, Objective(plain_weight=0.25)) == pytest.approx(mean, abs=1e-6)


def test_plain_text_moves_what_no_answer_touches() -> None:
    model = Bigram(TABLE)
    rows = [Row((0,), (1,), plain=(2, 2))]
    finetune(model, rows, SETTINGS, np.random.default_rng(0), 0, "cpu", Objective(plain_weight=0.1))
    assert chances(model.table[2].tolist())[2] > chances(TABLE[2])[2]


def test_what_an_objective_needs_is_asked_for() -> None:
    """No reference, or no text, where the objective counts on it: an error, not a loss without it."""
    with pytest.raises(ValueError, match="reference"):
        first_loss([Row((0,), (1,))], Objective(kl_coefficient=1.0))
    with pytest.raises(ValueError, match="plain"):
        first_loss([Row((0,), (1,), plain=(2,))], Objective(plain_weight=0.01))


# --- the forgetful causal mask ---------------------------------------------------------------------------


def masked_batch(share: float, rows: list[Row], seed: int = 0) -> Batch:
    """The rows as a batch of which a share is hidden."""
    draw = training._hiding(share, len(rows), np.random.default_rng(seed))
    return training.hidden(collate(rows, 0, "cpu"), draw(rows))


def hidden(share: float, rows: int = 300, length: int = 200) -> torch.Tensor:
    """Which real tokens a mask of that share hides, [rows, length], in rows without padding."""
    several = [Row(tuple(range(1, length)), (3,))] * rows
    batch, masked = collate(several, 0, "cpu"), masked_batch(share, several, seed=1)
    assert torch.equal(masked.ids, batch.ids) and torch.equal(masked.positions, batch.positions)
    assert torch.equal(masked.mask, batch.mask), "what counts in the loss stays"
    return batch.attention.bool() & ~masked.attention.bool()


def test_each_row_hides_a_share_of_its_own_within_the_bounds() -> None:
    """U(0, .4) a row: mean .2, spread .4 / sqrt(12), never far above .4."""
    shares = hidden(0.4).float().mean(1)
    assert float(shares.mean()) == pytest.approx(0.2, abs=0.02)
    assert float(shares.std()) == pytest.approx(0.4 / 12**0.5, abs=0.02)
    assert float(shares.max()) < 0.4 + 4 * (0.24 / 200) ** 0.5
    assert float(shares.min()) < 0.03


def test_the_first_token_is_never_hidden_and_padding_stays_padding() -> None:
    """Even where nearly everything is: the first real token of each row, wherever its padding ends."""
    rows = [Row((4, 5, 6, 7), (8,)), Row((9,), (10, 11, 12))] * 200
    batch = collate(rows, 0, "cpu")
    masked = masked_batch(1.0, rows)
    first = batch.attention.argmax(1)
    assert bool(masked.attention[torch.arange(len(rows)), first].all())
    assert not bool((masked.attention > batch.attention).any())
    assert float(masked.attention.sum()) < 0.75 * float(batch.attention.sum())
    assert not bool(hidden(0.9)[:, 0].any())


def test_rows_and_batches_hide_different_tokens() -> None:
    masks = hidden(0.5, rows=20)
    assert len({tuple(row.tolist()) for row in masks}) == 20
    draw = training._hiding(0.5, 1, np.random.default_rng(1))
    rows = [Row(tuple(range(1, 50)), (3,))]
    assert draw(rows)[0].seen != draw(rows)[0].seen


def test_micro_batches_hide_one_after_the_other_and_padding_draws_too() -> None:
    """What a row hides depends on the micro-batches that one process has, not on who works on it."""
    rows = [Row((1, 2, 3), (4, 5)), Row((6,), (7,)), Row((8, 9), (10, 11, 12))]
    drawn = training._hiding(0.5, 2, np.random.default_rng(3))(rows)
    noise = torch.Generator().manual_seed(int(np.random.default_rng(3).integers(2**62)))
    for part in (rows[:2], rows[2:]):
        batch = collate(part, 0, "cpu")
        ratio = torch.rand((len(part), 1), generator=noise) * 0.5
        kept = torch.rand(batch.attention.shape, generator=noise) >= ratio
        first = batch.attention.cumsum(1) == 1
        expected = batch.attention * (kept | first).long()
        assert torch.equal(training.hidden(batch, drawn[: len(part)]).attention, expected)
        drawn = drawn[len(part) :]


def test_hiding_changes_what_is_read_and_none_is_none_bit_by_bit() -> None:
    """Share 0 draws nothing and trains to the very weights of a call without an objective."""
    rows = [Row((1, 2, 3, 4, 5), (6, 7)), Row((8, 9, 10), (11,)), Row((2, 5), (7, 9))]

    def trained(*objective: Objective) -> torch.Tensor:
        model = small_llama()
        finetune(model, rows, replace(SETTINGS, epochs=2), np.random.default_rng(0), 0, "cpu", *objective)
        return weights(model)

    assert torch.equal(trained(), trained(Objective()))
    assert torch.equal(trained(), trained(Objective(hidden_share=0.0)))
    assert not torch.equal(trained(), trained(Objective(hidden_share=0.5)))
    assert torch.equal(trained(Objective(hidden_share=0.5)), trained(Objective(hidden_share=0.5)))


def test_a_hidden_token_is_not_read() -> None:
    """The prediction equals that of a sequence in which the hidden token is another one."""
    model = small_llama().eval()
    one, two = (collate([Row((3, token, 5), (6, 7))], 0, "cpu") for token in (4, 20))
    keep = torch.tensor([[1, 0, 1, 1, 1]])
    with torch.no_grad():
        a, b = (completion_logits(model, replace(batch, attention=keep)) for batch in (one, two))
        assert not torch.allclose(completion_logits(model, one), completion_logits(model, two), atol=1e-3)
    assert torch.allclose(a, b, atol=1e-6)


# --- lessons ---------------------------------------------------------------------------------------------


def test_everything_of_a_lesson_reaches_training_and_its_key(random_policy: Any) -> None:
    """Weight, sign, the reference's prompt and the plain text beside it."""
    post = Prompt("1", (Message("user", "the dog sat"),))
    answer = Completion("yes", (7, 1), "eos")
    lesson = Lesson(post.using("improve", completion="no"), answer, 0.5, True, post)
    lessons = [lesson, *lessons_of([(post, answer)]), Lesson(post, answer)]
    row, plain, bare = training_rows(random_policy, lessons, ["a cat ran", "it is"])
    asked = random_policy.render(post)
    assert row == Row(
        tuple(random_policy.render(lesson.prompt)), (7, 1), 0.5, True, tuple(asked),
        tuple(random_policy.plain_ids("a cat ran")),
    )  # fmt: skip
    assert plain == Row(tuple(asked), (7, 1), plain=tuple(random_policy.plain_ids("it is")))
    assert bare == Row(tuple(asked), (7, 1)), "two texts for three lessons"
    many = training_rows(random_policy, lessons * 3, ["a cat ran", "it is", "a dog sat"])
    assert [len(one.plain) > 0 for one in many] == [k % 3 == 0 for k in range(9)], "spread evenly"
    changes: list[dict[str, Any]] = [
        {"weight": 1.0}, {"unlikely": False}, {"reference_prompt": None}, {"prompt": post},
        {"completion": Completion("yes", (7,), "length")},
    ]  # fmt: skip
    digests = {digest_lessons([replace(lesson, **change)]) for change in [{}, *changes]}
    assert len(digests) == 1 + len(changes)


def test_plain_text_is_cut_where_prompts_are(random_policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = random_policy.plain_ids("the dog ran and the cat sat")
    assert len(whole) > 4
    monkeypatch.setattr(random_policy, "formatter", replace(random_policy.formatter, max_prompt_tokens=4))
    assert random_policy.plain_ids("the dog ran and the cat sat") == whole[:4]


def test_a_chain_is_worth_the_sum_of_its_lessons(small_tldr: Any) -> None:
    """The lessons' log-probabilities add up to that of the one long sequence, read in one go."""
    cell = small_tldr.cell("base")
    base: Any = run.base_of(cell.setting)
    prompt = cell.setting.data.train[0].prompt
    better, worse = base.generate([prompt], n=2, decoding=replace(DRAWN, max_tokens=24), seed=2)[0]
    assert better.end == worse.end == "eos"
    for sequence, answers in (("pn", (better, worse)), ("np", (worse, better))):
        first, second = hindsight_lessons([(prompt, better, worse)], (sequence,), [SIMPLE])
        ids = [base.render(one.prompt) for one in (first, second)]
        assert ids[1][: len(ids[0]) + len(answers[0].tokens)] == [*ids[0], *answers[0].tokens]
        whole = torch.tensor([[*ids[1], *answers[1].tokens]])
        with torch.no_grad():
            logprobs = torch.log_softmax(base.scoring_model()(whole).logits[0], -1)
        trained = [
            *range(len(ids[0]), len(ids[0]) + len(answers[0].tokens)),
            *range(len(ids[1]), whole.shape[1]),
        ]
        joint = sum(float(logprobs[k - 1, whole[0, k]]) for k in trained)
        parts = base.logprobs([first.prompt, second.prompt], [first.completion, second.completion])
        assert sum(map(sum, parts)) == pytest.approx(joint, abs=1e-3)
        rows = training_rows(base, [first, second], ())
        terms = [
            float(answer_terms(completion_logits(base.scoring_model(), batch), batch, [row]).sum())
            for row in rows
            for batch in [collate([row], base.pad, "cpu")]
        ]
        assert -sum(terms) == pytest.approx(joint, abs=1e-3), "what training adds up is the same number"


# --- a policy behind a condition -------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """A method that runs `body(policy, prompts, lab)`, notes what came of it and returns the policy."""

    body: Any
    found: list[Any]
    wants = ()
    wrapper = False

    def align(self, policy: Any, prompts: Any, lab: Any) -> Any:
        """What the body returned is kept in `found`."""
        self.found.append(self.body(policy, prompts, lab))
        return policy


def probed(small_tldr: Any, small_world: ModuleType, body: Any, *options: str, teacher: Any = None) -> Any:
    """(what `body` returned inside a lab, the alignment) on the small world."""
    found: list[Any] = []
    cell = small_world.with_plugin(small_tldr.cell("sft", *options), lambda inner: Probe(body, found))
    if teacher is not None:
        cell = small_world.with_teacher(cell, teacher)
    aligned = small_tldr.align(cell)
    return found[0], aligned


def conditioned_base(small_tldr: Any, small_world: ModuleType) -> tuple[Any, Any, list[Any]]:
    """The base behind "a short answer", the base, and eight test prompts."""
    cell = small_tldr.cell("base")
    found, _ = probed(
        small_tldr,
        small_world,
        lambda policy, prompts, lab: lab.condition(policy, "describe", condition="a short answer"),
    )
    return found, run.base_of(cell.setting), [e.prompt for e in cell.setting.data.test][:8]


def test_a_conditioned_policy_reads_the_very_ids_of_its_layout(
    small_tldr: Any, small_world: ModuleType
) -> None:
    """Plain prompts get the condition, requests of another kind pass through, everywhere it reads."""
    policy, base, prompts = conditioned_base(small_tldr, small_world)
    assert isinstance(policy, LogitPolicy)
    asked = [p.using("describe", condition="a short answer") for p in prompts]
    assert [policy.render(p) for p in prompts] == [base.render(p) for p in asked]
    assert policy.render(prompts[0]) != base.render(prompts[0])
    other = [p.using("improve", completion="my boss lost the ring.") for p in prompts]
    assert [policy.render(p) for p in other] == [base.render(p) for p in other]
    drawn = policy.generate(prompts, n=2, decoding=DRAWN, seed=1)
    assert drawn == base.generate(asked, n=2, decoding=DRAWN, seed=1)
    assert policy.generate(other, n=1, decoding=DRAWN, seed=1) == base.generate(
        other, n=1, decoding=DRAWN, seed=1
    )
    completions = [row[0] for row in drawn]
    assert policy.logprobs(prompts, completions) == base.logprobs(asked, completions)
    words = ["my", "a"]
    assert policy.next_token_probabilities(prompts, words) == base.next_token_probabilities(asked, words)
    assert policy.encode("my boss.") == base.encode("my boss.")


def test_kl_of_a_conditioned_policy_is_against_the_base_without_it(
    small_tldr: Any, small_world: ModuleType
) -> None:
    """At every prefix, over the whole vocabulary: the model with the condition against the base without."""
    policy, base, prompts = conditioned_base(small_tldr, small_world)
    completions = [row[0] for row in policy.generate(prompts, n=1, decoding=DRAWN, seed=1)]
    found = policy.kl(base, prompts, completions)
    for prompt, completion, values in zip(prompts, completions, found, strict=True):
        logprobs = []
        for reader in (policy, base):
            ids = reader.render(prompt)
            with torch.no_grad():
                logits = base.scoring_model()(torch.tensor([[*ids, *completion.tokens]])).logits[0]
            logprobs.append(torch.log_softmax(logits[len(ids) - 1 : -1], -1))
        ours, theirs = logprobs
        assert values == pytest.approx((ours.exp() * (ours - theirs)).sum(-1).tolist(), abs=1e-4)
        assert min(values) > -1e-5
    assert sum(map(sum, found)) > 1.0, "the condition says something"
    assert max(map(max, policy.kl(policy, prompts, completions))) < 1e-5


def test_a_conditioned_policy_is_stored_and_restored(
    small_tldr: Any, small_world: ModuleType, tmp_path: Path
) -> None:
    """From its folder and from a copy elsewhere; layout and slots are part of its digest."""
    policy, base, prompts = conditioned_base(small_tldr, small_world)
    answers = policy.generate(prompts, n=1, decoding=DRAWN, seed=1)
    moved = Path(shutil.copytree(policy.folder, tmp_path / "moved"))
    for folder in (policy.folder, moved):
        restored = load_policy(folder, base.runtime)
        assert isinstance(restored, ConditionedPolicy)
        assert restored.digest == policy.digest != base.digest
        assert restored.generate(prompts, n=1, decoding=DRAWN, seed=1) == answers
    stored = json.loads((moved / "policy.json").read_text("utf-8"))
    stored["slots"] = {"condition": "a rude answer"}
    (moved / "policy.json").write_text(json.dumps(stored), "utf-8")
    assert load_policy(moved, base.runtime).digest != policy.digest
    del stored["slots"]
    (moved / "policy.json").write_text(json.dumps(stored), "utf-8")
    with pytest.raises(CorruptResult, match="condition"):
        load_policy(moved, base.runtime)


def test_what_cannot_be_conditioned_is_refused_before_it_is_stored(
    small_tldr: Any, small_world: ModuleType
) -> None:
    """A condition behind a condition, and a layout or a slot that is not there."""

    def body(policy: Any, prompts: Any, lab: Any) -> None:
        once = lab.condition(policy, "describe", condition="a short answer")
        with pytest.raises(NotApplicable, match="no weights"):
            lab.condition(once, "describe", condition="a rude answer")
        with pytest.raises(BenchError, match="no layout 'sonnet'"):
            lab.condition(policy, "sonnet", condition="a rude answer")
        with pytest.raises(BenchError, match="needs condition"):
            lab.condition(policy, "describe", conditoin="a rude answer")

    probed(small_tldr, small_world, body)


def test_a_conditioned_policy_can_be_evaluated_and_wrapped(small_tldr: Any) -> None:
    """Its KL to the base is a number, and best-of-N asks it with its condition."""
    small_tldr.run("base,coh:form=p,coh:form=p+best_of_n:n=2", "evaluators=kl", "budget=1200s")
    records = small_tldr.records()
    (kl,) = [s for s in records["coh:form=p"].scores if s.name == "kl_to_base"]
    assert not kl.missing and np.mean(kl.values) > 0
    assert records["coh:form=p+best_of_n:n=2"].status == "ok"
    wrapped = small_tldr.align(small_tldr.cell("coh:form=p+best_of_n:n=2", "budget=1200s")).policy
    assert isinstance(wrapped.inner, ConditionedPolicy) and wrapped.inner.slots == GOOD


# --- fresh words -----------------------------------------------------------------------------------------


def test_settling_changes_the_rows_of_its_words_and_nothing_else(
    small_tldr: Any, small_world: ModuleType
) -> None:
    """The same draw every time, like the descriptive words' rows, in every place the words stand."""

    def body(policy: Any, prompts: Any, lab: Any) -> Any:
        return (
            policy,
            lab.settle(policy, ["a good answer", "a bad answer"]),
            lab.settle(policy, ["bad", "good"]),
        )

    (base, settled, again), _ = probed(small_tldr, small_world, body)
    assert untrained(base.source, ["a good answer", "a bad answer"]) == ["bad", "good"]
    assert again.digest == settled.digest != base.digest
    old, new = base.load_for_training().state_dict(), settled.load_for_training().state_dict()
    fresh = sorted(base.word_id(word) for word in ("good", "bad"))
    like = [base.word_id(word) for word in descriptive(base.source)]
    moved = 0
    for name, before in old.items():
        if torch.equal(before, new[name]):
            continue
        moved += 1
        assert sorted(((before != new[name]).any(1)).nonzero().flatten().tolist()) == fresh
        mean, spread = before[like].mean(0), before[like].std(0)
        z = (new[name][fresh] - mean) / spread
        assert float(z.abs().max()) < 5 and 0.7 < float(z.std()) < 1.3
        assert not torch.equal(new[name][fresh[0]], new[name][fresh[1]])
    assert moved >= 1


def test_words_that_a_start_may_know_are_not_drawn_afresh_in_silence(
    small_tldr: Any, small_world: ModuleType
) -> None:
    def body(policy: Any, prompts: Any, lab: Any) -> Any:
        return lab.settle(lab.settle(policy, ["a good answer"]), ["a bad answer"])

    _, aligned = probed(small_tldr, small_world, body)
    told = [note for note in aligned.notes if "drawn afresh" in note]
    assert told == ["drawn afresh, whatever the start had made of them: bad"]


def test_nothing_to_settle_gives_the_policy_itself(small_tldr: Any, small_world: ModuleType) -> None:
    def body(policy: Any, prompts: Any, lab: Any) -> Any:
        return policy, lab.settle(policy, ["a short answer"])

    (base, settled), _ = probed(small_tldr, small_world, body)
    assert settled is base


def test_a_model_of_others_has_no_words_to_settle(random_policy: Any) -> None:
    assert untrained(random_policy.source, ["a good answer"]) == descriptive(random_policy.source) == []


# --- the lab ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """A teacher paid in calls that answers every channel with the channel's name."""

    name = "machine"
    family = "machine"
    paid_in = "calls"
    channels: tuple[str, ...] = ("critique", "score", "refine")

    def unfit(self, keys: Any) -> None:
        """It answers about everything."""

    def recorded(self, examples: Any) -> list[FeedbackRecord]:
        """Nothing."""
        return []

    def answer(self, channel: Any, asks: Any, *, seed: int) -> list[FeedbackRecord]:
        """One record an ask."""
        return [FeedbackRecord(a.prompt.id, channel, a.completions, text=channel, value=1.0) for a in asks]


def reviewed(count: int, channels: tuple[Any, ...] = ("critique", "score", "refine")) -> Any:
    """A body that has `count` answers of the base reviewed: what came, what it cost, what was affordable."""

    def body(policy: Any, prompts: Any, lab: Any) -> Any:
        answers = [row[0] for row in lab.sample(policy, prompts[:count])]
        before, affordable = lab.spent, lab.feedback.affordable_reviews(channels)
        try:
            records = lab.feedback.review(prompts[:count], answers, channels)
        except (OverBudget, NotApplicable) as error:
            records = error
        assert lab.spent.annotator_seconds >= before.annotator_seconds
        return records, lab.spent, affordable, [a.text for a in answers]

    return body


def test_people_are_paid_for_every_channel_of_a_review(small_tldr: Any, small_world: ModuleType) -> None:
    (records, spent, affordable, texts), _ = probed(small_tldr, small_world, reviewed(3))
    assert spent.acts == {"critique": 3, "score": 3, "refine": 3} and spent.calls == 0
    each = 182.5 + 61.5 + 195.5
    assert spent.annotator_seconds == pytest.approx(3 * each)
    assert affordable == int(1845 // each)
    for row, text in zip(records, texts, strict=True):
        assert {c: r.channel for c, r in row.items()} == {c: c for c in ("critique", "score", "refine")}
        assert all(record.completions == (text,) for record in row.values())
        assert row["critique"].text and row["refine"].text and row["score"].value is not None


def test_a_machine_is_paid_one_call_a_review(small_tldr: Any, small_world: ModuleType) -> None:
    (records, spent, affordable, _), _ = probed(
        small_tldr, small_world, reviewed(3), "budget=5s", teacher=lambda _: Machine()
    )
    assert spent.calls == 3 and affordable == 5 and spent.annotator_seconds == 0
    assert spent.acts == {"critique": 3, "score": 3, "refine": 3}
    assert [row["refine"].text for row in records] == ["refine"] * 3


def test_a_review_over_budget_or_over_the_channels_charges_nothing(
    small_tldr: Any, small_world: ModuleType
) -> None:
    """Neither for the channels that would have been paid nor for those that came first."""
    (error, spent, _, _), _ = probed(small_tldr, small_world, reviewed(5))
    assert isinstance(error, OverBudget) and spent.acts == {} and spent.annotator_seconds == 0
    scanty = Machine(channels=("critique",))
    (error, spent, _, _), _ = probed(
        small_tldr, small_world, reviewed(2), "budget=9s", teacher=lambda _: scanty
    )
    assert isinstance(error, NotApplicable) and spent.acts == {} and spent.calls == 0


def test_unlabelled_text_is_the_kind_the_base_was_pretrained_on(
    small_tldr: Any, small_world: ModuleType
) -> None:
    """The model finds it likely, it is not the training posts, and the same seed gives the same texts."""

    def body(policy: Any, prompts: Any, lab: Any) -> Any:
        assert lab.unlabelled(8) == lab.unlabelled(8) == lab.unlabelled(12)[:8]
        return policy, lab.unlabelled(40), {p.text for p in prompts}

    (base, texts, posts), aligned = probed(small_tldr, small_world, body)
    assert len(texts) == 40 and len(set(texts)) > 35
    assert not any(post in text for text in texts for post in posts)
    assert any("pretrained on" in note for note in aligned.notes)
    rows = [Row((1,), (1,), plain=tuple(base.plain_ids(text))) for text in texts]
    assert not any(base.tokenizer.unk_token_id in row.plain for row in rows)
    with torch.no_grad():
        nll = float(plain_loss(base.scoring_model(), rows, base.pad, "cpu")[0]) / len(rows)
    assert nll < 0.6 * math.log(len(base.tokenizer))


def test_measures_are_stored_and_must_be_numbers(small_tldr: Any, small_world: ModuleType) -> None:
    """The last of a name counts; NaN is refused."""

    def body(policy: Any, prompts: Any, lab: Any) -> None:
        lab.measure("keep_rate", 0.25)
        lab.measure("keep_rate", 0.5)
        with pytest.raises(BenchError, match="keep_rate"):
            lab.measure("keep_rate", float("nan"))

    probed(small_tldr, small_world, body)

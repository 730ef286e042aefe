"""Reads tables of examples: a jsonl, csv or parquet file, or a data set on the Hugging Face hub.

Only reading happens here; which rows are good and how they are split is decided in `alignment_bench.data`.
csv, parquet and the hub go through `datasets`. jsonl is read line by line, because `datasets` neither
names the broken line nor reads a file in which a column nobody asked for changes its type.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignment_bench import hub
from alignment_bench.digests import digest_file
from alignment_bench.errors import BadInput, Problem

if TYPE_CHECKING:
    from alignment_bench.sources.source import HubFiles, Source

SUFFIXES = (".jsonl", ".csv", ".parquet")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
FIELD = "task.data"
_OF_BYTES = " sha256:"
SHOWN = 10
"""how many bad rows a message lists before it counts the rest"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as read. `columns` are all that exist, in order; `digest` is of the bytes (a hub id: None)."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    source: str
    digest: str | None

    @property
    def name(self) -> str:
        """What messages call it: the file's name, or the data set and its revision."""
        return self.source.partition(_OF_BYTES)[0]


def is_hub_id(data: str) -> bool:
    """Whether `data` can only mean a hub data set: `org/name`, not a file or folder that exists."""
    path = Path(data)
    return bool(HUB_ID.fullmatch(data)) and path.suffix not in SUFFIXES and not path.exists()


def read(data: str, revision: str | None) -> Table:
    """The table that `task.data` and `task.revision` name. Raises BadInput where it cannot be read."""
    if is_hub_id(data):
        return _read_hub(data, revision)
    path = Path(data)
    try:
        if path.stat().st_size == 0:
            raise _bad(path, "is empty", "give a file with one example a row")
        columns, rows = _READERS[path.suffix](path)
        digest = digest_file(path)
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from None
    if not rows:
        raise _bad(path, "holds no rows", "give a file with one example a row")
    return Table(columns, rows, f"{path.name}{_OF_BYTES}{digest[:12]}", digest)


def _bad(path: Path, what: str, fix: str) -> BadInput:
    return BadInput([Problem(FIELD, f"{path.name} {what}", fix)])


def _read_jsonl(path: Path) -> tuple[tuple[str, ...], tuple[Mapping[str, Any], ...]]:
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    columns: dict[str, None] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError:
                problems.append(_line(path, number, "is not UTF-8", "save the file as UTF-8"))
                continue
            except (ValueError, RecursionError) as error:
                reason = _not_json(error)
                problems.append(_line(path, number, f"is not JSON: {reason}", "write one JSON object a line"))
                continue
            if not isinstance(row, dict):
                what = f"is a JSON {type(row).__name__}, not an object"
                problems.append(_line(path, number, what, 'write {"prompt": ..., "reference": ...} a line'))
                continue
            columns.update(dict.fromkeys(row))
            rows.append(row)
    if problems:
        raise BadInput(shorten(problems, "lines"))
    return tuple(columns), tuple(rows)


def _not_json(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"


def _line(path: Path, number: int, what: str, fix: str) -> Problem:
    return Problem(FIELD, f"{path.name} line {number} {what}", fix)


def shorten(problems: list[Problem], what: str) -> list[Problem]:
    """The first ten problems and a count of the rest."""
    if len(problems) <= SHOWN:
        return problems
    rest = Problem(FIELD, f"and {len(problems) - SHOWN} more bad {what}", "repair these first")
    return [*problems[:SHOWN], rest]


def _read_csv(path: Path) -> tuple[tuple[str, ...], tuple[Mapping[str, Any], ...]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file, strict=True), [])
    except UnicodeDecodeError:
        raise _bad(path, "is not UTF-8", "save the file as UTF-8") from None
    except csv.Error as error:
        raise _bad(path, f"has a broken header: {error}", "repair line 1") from None
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise _bad(path, f"has two columns named {', '.join(repeated)}", "rename one of them")
    if not header:
        raise _bad(path, "has no header", "name the columns in the first line")

    _even(path, len(header))
    import datasets

    # Everything is text: a column of numbers or an "NA" must not turn into something else.
    features = datasets.Features({name: datasets.Value("string") for name in header})
    rows = _load(path, "csv", keep_default_na=False, features=features, encoding="utf-8-sig")
    return tuple(header), rows


def _even(path: Path, columns: int) -> None:
    """Raises BadInput where a row has more or fewer fields than the header: values would move sideways."""
    problems = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            next(reader)
            lengths = [len(row) for row in reader if row]
    except UnicodeDecodeError:
        raise _bad(path, "is not UTF-8", "save the file as UTF-8") from None
    except csv.Error as error:
        raise _bad(path, f"is not a readable csv: {error}", "save it as valid csv") from None
    for number, length in enumerate(lengths, start=1):
        if length != columns:
            what = f"{path}, row {number}: {length} fields under {columns} columns"
            problems.append(Problem(FIELD, what, "quote the commas inside texts, or mend the row"))
    if problems:
        raise BadInput(shorten(problems, "rows"))


def _read_parquet(path: Path) -> tuple[tuple[str, ...], tuple[Mapping[str, Any], ...]]:
    rows = _load(path, "parquet")
    return tuple(rows[0]) if rows else (), rows


_READERS = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}


def _load(path: Path, kind: str, **options: Any) -> tuple[Mapping[str, Any], ...]:
    """All rows of a local file through `datasets`, streamed: nothing is copied to a cache."""
    with _quiet() as datasets:
        try:
            stream = datasets.load_dataset(
                kind, data_files=str(path.resolve()), split="train", streaming=True, **options
            )
            return tuple(stream)
        except (ValueError, datasets.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())[:200]
            raise _bad(path, f"is not a readable {kind} file: {reason}", f"write valid {kind}") from None


def _read_hub(name: str, revision: str | None) -> Table:
    if revision is None:
        raise BadInput([Problem("task.revision", f"{name} is a hub data set", "name the revision to pin it")])
    return hub_table(_from_hub(name, revision, name), f"{name}@{revision}")


def read_parts(name: str, revision: str, column: str) -> Table:
    """All parts of a hub data set as one table, each row with its part's name in `column`."""
    parts = _from_hub(name, revision, name)
    rows = [{**row, column: part} for part, held in parts.items() for row in held]
    return _of_hub(rows, f"{name}@{revision[:12]}")


def read_source(source: Source, revision: str | None) -> Table:
    """A source's own rows: those of its data set on the hub, at `revision` or the pinned one, or those that
    an installed package carries. Raises BadInput where there is neither."""
    if source.hub is None:
        if source.packaged is None:
            fix = f"give its file: task.data=FILE task.source={source.name}"
            raise BadInput([Problem(FIELD, f"{source.name} is not on the hub", fix)])
        rows = tuple(source.packaged())
        return Table(tuple(rows[0]) if rows else (), rows, source.name, None)
    place = source.hub
    pinned = revision or place.revision
    rows_of = [
        {**row, place.split_column: split}
        for split, path in _splits(place)
        for row in _split_of_hub(place, pinned, split, path)
    ]
    return _of_hub(rows_of, f"{place.id}@{pinned[:12]}")


def _splits(place: HubFiles) -> list[tuple[str, str | None]]:
    if not place.files:
        return [(split, None) for split in place.splits]
    return list(zip(place.splits, place.files, strict=True))


def _split_of_hub(place: HubFiles, revision: str, split: str, path: str | None) -> Any:
    """One split, of the data set or of one file in its repository: each file has columns of its own."""
    if path is None:
        return _from_hub(place.id, revision, place.id, name=place.config, split=split)
    kind = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}[Path(path).suffix]
    address = f"hf://datasets/{place.id}@{revision}/{path}"
    return _from_hub(kind, None, f"{place.id}@{revision}: {path}", data_files=address, split="train")


def _of_hub(rows: list[dict[str, Any]], source: str) -> Table:
    if not rows:
        raise BadInput([Problem(FIELD, f"{source} holds no rows", "choose another data set")])
    return Table(tuple(rows[0]), tuple(rows), source, None)


def _from_hub(what: str, revision: str | None, called: str, **options: Any) -> Any:
    """`datasets.load_dataset`, after one look whether the hub is there; what goes wrong is one line."""
    if not hub.offline() and not hub.reachable():
        raise BadInput(
            [
                Problem(
                    FIELD,
                    f"{called}: the Hugging Face hub ({hub.endpoint()}) does not answer",
                    "connect, or give a local file, or set HF_HUB_OFFLINE=1 to use a copy in its cache",
                )
            ]
        )
    with _quiet() as datasets:
        try:
            return datasets.load_dataset(what, revision=revision, **options)
        except (ValueError, RuntimeError, OSError, datasets.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())[:200]
            fix = "check the id and the revision on the hub, or give a local file"
            named = called if revision is None else f"{called}@{revision}"
            raise BadInput([Problem(FIELD, f"{named}: {reason}", fix)]) from None


def hub_table(parts: Mapping[str, Any], source: str) -> Table:
    """One table from a hub data set's own parts: its train part, and its test part or else validation.

    Where there is only one part it counts as undivided; a `split` column of its own stands.
    """
    test = next((part for part in ("test", "validation") if part in parts), None)
    if "train" in parts and test is not None:
        rows = [{"split": "train", **row} for row in parts["train"]]
        rows += [{"split": "test", **row} for row in parts[test]]
    elif len(parts) == 1:
        rows = list(next(iter(parts.values())))
    else:
        found = ", ".join(sorted(parts))
        fix = "save the part you want as a local file and give that"
        raise BadInput([Problem(FIELD, f"{source} has parts {found}: no train with test", fix)])
    if not rows:
        raise BadInput([Problem(FIELD, f"{source} holds no rows", "choose another data set")])
    return Table(tuple(rows[0]), tuple(rows), source, None)


@contextmanager
def _quiet() -> Iterator[Any]:
    """`datasets`, without its log lines and progress bars; what goes wrong is raised, and told once."""
    import datasets

    level = datasets.logging.get_verbosity()
    bars = datasets.is_progress_bar_enabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        yield datasets
    finally:
        datasets.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()

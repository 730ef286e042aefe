"""Does the result hang on the judge? The same answers under every judge that compared them.

A panel keeps what each member alone, and the panel without each member, would have said of every prompt
(`alignment_bench.judging.matches`): metrics of the name `win_rate_vs_base@only NAME`. Cells that were
scored once by each of several judges are put side by side likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from alignment_bench.cells import CellRecord
from alignment_bench.comparison import Block, Column, Setting, compare
from alignment_bench.errors import BadInput, Problem
from alignment_bench.evaluation import VIEW
from alignment_bench.judging.length_control import LONGER
from alignment_bench.tables.sheets import ARROWS, Sheet, column_sheet, written_column
from alignment_bench.tables.spend import Columns
from alignment_bench.tables.standing import letters

LEGEND = (
    "the same answers under each judge: mean [95 % interval], then the tied sets under that judge (Holm over "
    "all its pairs of methods); only: what that member alone says; without: what the others decide; "
    "best set: the methods that may be the best"
)


def by_judge(records: Sequence[CellRecord], width: int) -> list[tuple[Sheet, dict[str, Any]]]:
    """One sheet a setting and metric that several judges gave, a column each, and the same for machines.

    Raises BadInput where no stored cell has more than one judge's view.
    """
    groups: dict[Setting, dict[str, list[CellRecord]]] = {}
    for record in records:
        for judge, seen in _views(record):
            groups.setdefault(_without_judge(record), {}).setdefault(judge, []).append(seen)
    found = [
        made
        for setting, views in sorted(groups.items(), key=lambda one: one[0].task)
        if len(views) > 1
        for made in _sheets(setting, views, width)
    ]
    if not found:
        what = "no stored cell was scored by several judges, nor by a panel that kept its members' votes"
        fix = "run with judge=panel:members=[NAME,NAME], or once with each judge"
        raise BadInput([Problem("judges", what, fix)])
    return found


def _sheets(
    setting: Setting, views: dict[str, list[CellRecord]], width: int
) -> Iterable[tuple[Sheet, dict[str, Any]]]:
    blocks: dict[str, Block] = {}
    for judge, cells in views.items():
        compared = compare(cells)
        if len(compared) == 1:
            blocks[judge] = compared[0]
    left = sorted(set(views) - set(blocks))
    names = {column.name: column for block in blocks.values() for column in block.columns}
    for name, column in names.items():
        of = {judge: block for judge, block in blocks.items() if block.scores.get(name)}
        if len(of) > 1:
            yield _sheet(setting, column, of, left, width)


def _sheet(
    setting: Setting, column: Column, blocks: dict[str, Block], left: Sequence[str], width: int
) -> tuple[Sheet, dict[str, Any]]:
    from alignment_bench.verdicts import may_be_best, pairs
    from alignment_bench.verdicts.ties import means, sets_of

    labels = list(dict.fromkeys(line.label for block in blocks.values() for line in block.lines))
    columns: Columns = []
    best: dict[str, list[str]] = {}
    body: dict[str, Any] = {}
    for judge, block in blocks.items():
        judged = column.better != "neither"
        compared, found = (pairs(block, column), means(block, column)) if judged else ((), {})
        sets = [one.labels for one in sets_of(found, compared, column, 0.95)]
        marks = letters(sets)
        values = {line.label: line.estimates[column.name].value for line in block.lines}
        written = written_column([values.get(label) for label in labels])
        cells = [
            f"{text} {marks.get(label, '')}".rstrip() for text, label in zip(written, labels, strict=True)
        ]
        columns.append((judge, cells))
        # a set has no order of its own: by mean it would differ between judges that agree
        may = may_be_best(found, compared, column).labels
        leaders = [label for label in labels if label in may]
        best.setdefault(", ".join(leaders) or "nobody", []).append(judge)
        body[judge] = {
            "may_be_best": leaders,
            "tied_sets": [list(one) for one in sets],
            "methods": {
                label: {"mean": value.mean, "low": value.low, "high": value.high}
                for label, value in values.items()
                if value
            },
        }
    said = "; ".join(f"{who} (under {', '.join(judges)})" for who, judges in best.items())
    every = (
        "the best set is the same under every judge" if len(best) == 1 else "the best set hangs on the judge"
    )
    sheet = column_sheet(
        f"{setting.task}, model {setting.model}, budget {setting.budget}: "
        f"{column.name}{ARROWS[column.better]} by judge",
        [LEGEND, *([f"left out, its source changed between cells: {', '.join(left)}"] if left else [])],
        labels,
        columns,
        width,
        [f"{every}: {said}"] if column.better != "neither" else [],
    )
    return sheet, {
        "task": setting.task,
        "metric": column.name,
        "same_best_set": len(best) == 1 if column.better != "neither" else None,
        "left_out": list(left),
        "judges": body,
    }


def _views(record: CellRecord) -> Iterable[tuple[str, CellRecord]]:
    """The cell as its judge saw it, and as each view that a panel stored would have."""
    yield record.judge, record
    names = dict.fromkeys(view for one in record.scores for _, at, view in [one.name.partition(VIEW)] if at)
    for view in names:
        kept = [
            replace(one, name=one.name.partition(VIEW)[0]) if one.name.endswith(VIEW + view) else one
            for one in record.scores
            if one.name.endswith(VIEW + view) or one.name == LONGER
        ]
        # the rate itself is fitted where a table is made; what it is fitted from is the view's
        made = {one.name for one in kept}
        kept += [
            one for one in record.scores if one.missing and one.name not in made and VIEW not in one.name
        ]
        yield view, replace(record, judge=view, scores=tuple(kept))


def _without_judge(record: CellRecord) -> Setting:
    """What cells under several judges must still share: everything but the judge and its source."""
    plugins = record.code.get("plugins", {})
    kept = {name: value for name, value in plugins.items() if not name.startswith("judges/")}
    return Setting.of(replace(record, judge="", code={**record.code, "plugins": kept}))

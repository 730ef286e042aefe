"""What a conditioned policy answers when it is asked for a level: the metric by the level asked for.

The lines of one method that differ in nothing but the field `level` (`alt:level=1`, `quark:level=5`) are one
curve; "none" (no condition) and "best" (what it is asked for by default) stand at its ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alignment_bench.comparison import BASE, Line
from alignment_bench.digests import canonical
from alignment_bench.figures import charts, frame, style
from alignment_bench.figures.frame import Frame
from alignment_bench.figures.plot import Figure, Plot, Row, View, axis, ends, mean_of, numbers, span, value_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

FIELD = "level"
NONE, BEST = "none", "best"
MOST = style.MARKED


def prepare(view: View) -> Plot | str:
    """A curve for every method of which two levels or more are stored."""
    column, block = view.column, view.block
    groups: dict[str, list[tuple[Any, Line]]] = {}
    for line in block.lines:
        if (found := _asked(line)) and value_of(line, column.name):
            groups.setdefault(found[1], []).append((found[0], line))
    curves = {key: members for key, members in groups.items() if len({level for level, _ in members}) > 1}
    if not curves:
        return "no method is stored at two levels or more, as methods=alt:level=1,alt:level=5"
    rows: list[Row] = []
    names = _names([members for members in curves.values()])
    for place, (name, members) in enumerate(zip(names, curves.values(), strict=True)):
        rows += [
            {
                "curve": name,
                "method": line.label,
                "level": level,
                "metric": column.name,
                **numbers(value_of(line, column.name)),
                "left_out": "" if place < MOST else "no mark of its own",
            }
            for level, line in sorted(members, key=lambda one: _order(one[0]))
        ]
    base = next((line for line in block.lines if line.label == BASE), None)
    level = mean_of(base, column.name) if base else None

    drawn = [row for row in rows if not row["left_out"]]
    y = frame.of(map(span, drawn), column.unit, [] if level is None else [level])

    def paint() -> Canvas:
        return _paint(drawn, level, axis(column, upright=True), y)

    notes = [*y.notes]
    notes += [f"shown are the first {MOST} of {len(curves)} curves"] if len(curves) > MOST else []
    alone = [line.label for key, members in groups.items() if key not in curves for _, line in members]
    if alone:
        notes.append(f"stored at one level only: {', '.join(alone)}")
    return Plot(
        rows=tuple(rows),
        caption=(
            f"{column.name} by the level that a conditioned policy is asked for, 1 the worst."
            + (" Dashed line: base." if level is not None else "")
        ),
        paint=paint,
        columns=(column,),
        labels=tuple(row["method"] for row in rows if not row["left_out"]),
        notes=tuple(notes),
    )


def _asked(line: Line) -> tuple[Any, str] | None:
    """The level that a line asks for, and what its configuration is but for that."""
    parts = line.cells[0].method
    if not isinstance(parts, list | tuple):
        return None
    for part in parts:
        fields = part.get("fields", {}) if isinstance(part, dict) else {}
        if FIELD in fields and _is_level(fields[FIELD]):
            rest = [
                {**one, "fields": {k: v for k, v in one["fields"].items() if k != FIELD}}
                if one is part
                else one
                for one in parts
            ]
            return fields[FIELD], canonical(rest)
    return None


def _is_level(value: Any) -> bool:
    """Whether this is a number, in digits or not, or one of the two words: any method may name a field so."""
    return isinstance(value, int | float) or (
        isinstance(value, str) and (value in (NONE, BEST) or value.isdigit())
    )


def _names(groups: list[list[tuple[Any, Line]]]) -> list[str]:
    """Each curve's label: that of its lines without the level; where two would be one, of one line."""
    names = []
    for members in groups:
        label = min((line.label for _, line in members), key=len)
        names.append(":".join(part for part in label.split(":") if not part.startswith(f"{FIELD}=")))
    return [
        name if names.count(name) == 1 else members[0][1].label
        for name, members in zip(names, groups, strict=True)
    ]


def _order(level: Any) -> float:
    if level == NONE:
        return -1.0
    return 1e9 if level == BEST else float(level)


def _paint(rows: list[Row], base: float | None, label: str, y: Frame) -> Canvas:
    labels = list(dict.fromkeys(row["curve"] for row in rows))
    marks = {label: style.mark(place) for place, label in enumerate(labels)}
    levels = sorted({row["level"] for row in rows}, key=_order)
    place = {level: i for i, level in enumerate(levels)}
    figure = style.canvas(4.6, max(2.4, charts.key_height(labels)))
    panel = figure.subplots()
    for number, (curve, found) in enumerate(marks.items()):
        shift = (number - (len(marks) - 1) / 2) * min(0.08, 0.5 / len(marks))
        mine = [row for row in rows if row["curve"] == curve]
        numbered = [row for row in mine if row["level"] not in (NONE, BEST)]
        panel.plot(
            [place[row["level"]] + shift for row in numbered],
            [row["mean"] for row in numbered],
            color=found.color,
            ls=found.line,
            lw=0.9,
        )
        points = [
            charts.Point(curve, place[row["level"]] + shift, row["mean"], None, ends(row)) for row in mine
        ]
        charts.points_at(panel, points, marks, None, y)
    if base is not None:
        panel.axhline(base, color=style.GREY, lw=0.8, ls="--", zorder=1)
    panel.set_xticks(range(len(levels)), [str(level) for level in levels])
    panel.set_xlim(-0.5, len(levels) - 0.5)
    panel.set_xlabel("level asked for (1: the worst)")
    panel.set_ylabel(label)
    panel.set_ylim(y.low, y.high)
    charts.key(figure, marks, lines=True)
    return figure


FIGURE = Figure(
    "levels", "the metric by the level that a conditioned policy is asked for", prepare, "block", True
)

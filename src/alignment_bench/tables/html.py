"""Sheets as HTML: sections without scripts or outside files, which a report places among others.

jinja2 fills the template with autoescape on: a label is never markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from alignment_bench.tables.sheets import Sheet

if TYPE_CHECKING:
    from jinja2 import Template

WIDTH = 10_000
"""one grid for all metrics and one for the spend: the page scrolls sideways, the methods stay in view"""
STYLE = """\
.bench { font: 15px/1.45 system-ui, sans-serif; color: #1b1f24; }
.bench h2 { font-size: 1.15rem; margin: 1.6em 0 .4em; }
.bench .verdict { max-width: 62em; margin: 0 0 .8em; }
.bench .alarm { border-left: 4px solid #b3261e; background: #fdecea; padding: .5em .8em; font-weight: 600; }
.bench .scroll { overflow-x: auto; margin: .8em 0; }
.bench table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
.bench caption { text-align: left; font-size: .85rem; padding-bottom: .3em; }
.bench th, .bench td { padding: .22em .7em; white-space: nowrap; text-align: right; }
.bench th:first-child, .bench .words { text-align: left; }
.bench thead th { border-top: 1.5px solid #1b1f24; border-bottom: 1px solid #1b1f24; }
.bench tbody tr:last-child > * { border-bottom: 1.5px solid #1b1f24; }
.bench tbody tr:nth-child(even) > * { background: #f3f5f7; }
.bench tbody th { font-weight: 500; position: sticky; left: 0; background: #fff; }
.bench tbody tr:nth-child(even) > th { background: #f3f5f7; }
.bench ul { font-size: .85rem; color: #424a53; max-width: 75em; padding-left: 1.2em; overflow-wrap: anywhere }
"""
TEMPLATE = """\
<div class="bench">
{% for alarm in alarms %}<p class="alarm" role="alert">{{ alarm }}</p>
{% endfor %}{% for sheet in sheets %}<section>
<h2>{{ sheet.title }}</h2>
{% for alarm in sheet.alarms %}<p class="alarm" role="alert">{{ alarm }}</p>
{% endfor %}{% for sentence in sheet.verdict %}<p class="verdict">{{ sentence }}</p>
{% endfor %}{% for grid in sheet.grids %}<div class="scroll" tabindex="0"><table>
<thead><tr>{% for header in grid.headers %}<th scope="col"{% if header == "acts" %} class="words"{% endif %}>\
{{ header }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in grid.rows %}<tr><th scope="row">{{ row[0] }}</th>{% for cell in row[1:] %}\
<td{% if grid.headers[loop.index] == "acts" %} class="words"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table></div>
{% endfor %}{% if sheet.caption %}<ul class="caption">
{% for line in sheet.caption %}<li>{{ line }}</li>
{% endfor %}</ul>
{% endif %}{% if sheet.footnotes %}<details><summary>{{ sheet.footnotes | length }} footnotes</summary><ul>
{% for line in sheet.footnotes %}<li>{{ line }}</li>
{% endfor %}</ul></details>
{% endif %}</section>
{% endfor %}</div>
"""


def page(alarms: Sequence[str], sheets: Sequence[Sheet], width: int) -> str:
    """A whole page: the fragment with its style and what a browser must be told."""
    head = [
        "<!doctype html>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>alignment-bench</title>",
        f"<style>\nbody {{ margin: 1rem; }}\n{STYLE}</style>",
    ]
    return "\n".join([*head, fragment(sheets, alarms)])


def fragment(sheets: Sequence[Sheet], alarms: Sequence[str] = ()) -> str:
    """The sheets as one `<div class="bench">`, to be styled by STYLE or by the page it is placed in."""
    return _template().render(sheets=sheets, alarms=alarms) + "\n"


@cache
def _template() -> Template:
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(TEMPLATE)

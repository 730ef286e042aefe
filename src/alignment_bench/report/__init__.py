"""A report of stored results: one HTML file with everything a reader needs, and nothing from elsewhere.

The verdict stands first, in words; tables, figures, the judge's audit, answers side by side, what the
methods were told, spend, configuration and provenance follow. Completions are hostile text: jinja2 escapes
everything, and the page's own policy lets no script run but the one that searches it.
"""

from alignment_bench.report.page import render

__all__ = ["render"]

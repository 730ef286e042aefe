"""Figures of compared blocks, for papers: what is drawn, how it looks, and the data beside each.

A figure is one short file: a function from a `View` of compared blocks to a `Plot`, or to the reason why
there is nothing to draw. Its rows are the CSV, and what is painted is painted from them.
"""

from alignment_bench.figures.draw import FIGURES, FORMATS, Drawn, draw
from alignment_bench.figures.plot import Figure, Plot, View

__all__ = ["FIGURES", "FORMATS", "Drawn", "Figure", "Plot", "View", "draw"]

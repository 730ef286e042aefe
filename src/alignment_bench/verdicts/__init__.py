"""What the stored scores support saying: pure functions of a compared block, nothing read and nothing run.

`verdict` puts it in words; `pairs`, `against` and `tied_sets` are the comparisons behind the words,
`win_matrix` and `bradley_terry` the same scores as wins, `iqm` and `probability_of_improvement` several
tasks at once, and `at_prices` what a verdict per annotator hour owes to assumed prices.
"""

from alignment_bench.verdicts.across_tasks import Aggregate, NoCommonMean, iqm, probability_of_improvement
from alignment_bench.verdicts.best import BestSet, may_be_best
from alignment_bench.verdicts.budget_prices import PricedLine, Prices, at_prices
from alignment_bench.verdicts.comparisons import Pair, against, pairs
from alignment_bench.verdicts.main import main_column
from alignment_bench.verdicts.sentences import AgainstBase, Verdict, verdict
from alignment_bench.verdicts.strengths import Strength, bradley_terry
from alignment_bench.verdicts.ties import TiedSet, tied_sets
from alignment_bench.verdicts.wins import WinMatrix, win_matrix

__all__ = [
    "AgainstBase",
    "Aggregate",
    "BestSet",
    "NoCommonMean",
    "Pair",
    "PricedLine",
    "Prices",
    "Strength",
    "TiedSet",
    "Verdict",
    "WinMatrix",
    "against",
    "at_prices",
    "bradley_terry",
    "iqm",
    "main_column",
    "may_be_best",
    "pairs",
    "probability_of_improvement",
    "tied_sets",
    "verdict",
    "win_matrix",
]

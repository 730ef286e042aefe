"""Judging: both orders of a pair, what a judge's verdicts are worth, and win rates with length held fixed."""

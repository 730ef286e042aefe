"""One plugin of each kind for alignment-bench."""

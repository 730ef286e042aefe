"""alignment-bench: a comparative benchmark suite for alignment methods.

Every method meets the same tasks, the same teacher, the same budget and the same judges.
"""

__version__ = "0.1.0"

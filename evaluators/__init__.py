"""The evaluators that ship: one file each, found by file name."""

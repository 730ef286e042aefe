"""The tasks that ship: one file each, found by file name."""

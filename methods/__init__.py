"""The alignment methods that ship: one file each, found by file name."""

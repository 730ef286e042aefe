"""Tables of stored results: rows for machines, sheets for people, and the formats that set them.

`page.render` is the way in: it reads a results folder, compares (`alignment_bench.comparison`), asks
`alignment_bench.verdicts` what differs, writes sheets and hands them to a format.
"""

"""Did a change break anything? A run against a stored baseline, by non-inferiority with a declared margin.

`bench baseline` writes the per-prompt scores of a run's gated metrics into one file (`gate.baseline`),
`bench check` pairs a later run with it (`gate.checking`).
"""

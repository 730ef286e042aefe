"""Whether the methods do what they claim, in the built-in world: written down first, then run once.

`mechanisms` lists the claims, each a contrast between labels with the sign it should have. They, the world,
its bases and the tuned values are committed before a world seed is drawn that nothing was worked out on;
`python -m alignment_bench.confirmation` then runs every label on every shipped base and stores a verdict for
each claim, whatever it is. `docs/confirmations.md` lists every run ever made, in order.
"""

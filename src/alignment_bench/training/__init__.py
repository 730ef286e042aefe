"""Training loops, as plain functions on models loaded fresh from disk.

Why our own: trl has no PPO any more, and no trainer of its kind scores completion tokens only, takes
ids as they were sampled, and costs little on a model of a third of a million weights (measured: trl's
SFT 1.6x, DPO 1.5x of a plain loop on such a model). The losses are those of trl's trainers; a test
compares them on one batch.
"""

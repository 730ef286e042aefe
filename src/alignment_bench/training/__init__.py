"""Training loops, as plain functions on models loaded fresh from disk, and trl's trainers behind `trl_*`.

Why loops of our own: trl has no PPO any more, and no trainer of its kind scores completion tokens only,
takes ids as they were sampled, and costs little on a model of a third of a million weights (measured: trl's
SFT 1.6x, DPO 1.5x of a plain loop on such a model). DPO, KTO, online DPO, GRPO and RLOO go through trl, on
our ids and rollouts; tests compare them with plain loops, step by step.
"""

"""One training on several processes of one machine, through accelerate: `training_processes=N`.

`launch` starts them through torch elastic (what `accelerate launch` runs), each does `rank.main`: it reads
the same mission, plans the same steps, takes its own share of every effective batch and meets the others in
the gradient (`together`). The first stores the trained policy. A process that raises or dies ends them all.
"""

"""The built-in world: templated prompts with gold quality, and tiny language models that speak its language.

It needs no download and no GPU, and it has what no real data set has: an exact quality of every answer.
It is a sandbox and a microscope for methods, never a substitute for real models and data.
"""

VERSION = "1"
"""Bumped whenever posts, gold, annotators' wording or shipped models change."""

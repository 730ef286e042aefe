"""What several methods are made of: pools, levels, critiques, selection, and answers made at test time."""

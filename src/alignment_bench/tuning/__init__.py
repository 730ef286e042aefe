"""Fair tuning: the same number of trials, the same budget and the same development world for every method."""

"""What a run will cost, before it is paid for: its jobs from a dry run, their seconds from a short probe."""

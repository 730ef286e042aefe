"""Who compares completions: one file a judge, each a frozen dataclass that implements `feedback.Judge`."""

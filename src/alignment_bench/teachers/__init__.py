"""Who gives feedback: one file a teacher, each a frozen dataclass that implements `feedback.Teacher`."""

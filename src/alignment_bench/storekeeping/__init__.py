"""What a results folder holds beyond its numbers: what may go (`bench gc`), and how it moves (`bench export`
and `bench import`)."""

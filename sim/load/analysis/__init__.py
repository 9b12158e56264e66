"""The analysis of a load test's raw record: figures, search for a rate, sweep over users."""

"""Analysis of the raw record of a load test: figures, search for a rate, sweep over users."""

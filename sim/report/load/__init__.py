"""The report of a load test: page, charts and terminal summary."""

"""The client processes of a load test, from the start of a phase to its end."""

"""The client processes of a load test: what each does between start and end of a phase."""

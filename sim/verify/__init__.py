"""The verdict on a run, and `windfleet verify`."""

"""The verdict on a run, and the command `windfleet verify`."""

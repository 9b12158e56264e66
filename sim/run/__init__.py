"""Runs a scenario: the driver, its shards, and the embedded LocalStack."""

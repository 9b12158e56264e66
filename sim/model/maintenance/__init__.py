"""Failures, crews, work orders and grid outages."""

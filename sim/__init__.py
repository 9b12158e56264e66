"""Simulates the fleet, drives the pipeline, breaks things, and judges the lake."""

"""Simulation of the fleet: drive the pipeline, inject faults, and judge the lake."""

"""Fault campaigns: every fault at every store call in memory, then whole runs on a real store."""

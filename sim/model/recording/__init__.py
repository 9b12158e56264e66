"""Samples as rows in the nodes' SQLite files."""

"""Readers of the lake and of the node files."""

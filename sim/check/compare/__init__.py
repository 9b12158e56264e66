"""Comparisons of the lake with its expected contents."""

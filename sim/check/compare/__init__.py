"""Comparisons of the lake with what it must hold."""

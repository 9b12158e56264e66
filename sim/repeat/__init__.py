"""`run --repeat N` and `load --repeat N`: a run several times, and the spread of its figures."""

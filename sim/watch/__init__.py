"""`windfleet watch`: a live page and Prometheus metrics of a run or a load test.

Everything is read in a process of its own, from the raw record that the run appends to anyway.
"""

"""The edge pipeline: a node's database in, six buckets out.

It runs on each node by itself and does not know the simulator.
"""

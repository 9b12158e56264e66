"""The edge pipeline: a node database in, six buckets out. Runs on a node alone and knows nothing of the simulator."""

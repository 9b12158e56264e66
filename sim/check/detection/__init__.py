"""The score of the pipeline's anomaly detection against the injected faults."""

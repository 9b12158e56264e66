"""The score of the pipeline's anomaly detection: alarms compared with the injected faults."""

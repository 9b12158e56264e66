"""The model of turbines and sensors: `farm` (one farm), `recording.nodefile` (its databases)."""

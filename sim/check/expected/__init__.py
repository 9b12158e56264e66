"""The expected contents of the lake, computed only from the node files."""

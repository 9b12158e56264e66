"""Stores of a run: the embedded LocalStack, a named S3, or a folder."""

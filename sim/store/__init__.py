"""Stores that a run drives: the embedded LocalStack, a named S3, or a folder."""

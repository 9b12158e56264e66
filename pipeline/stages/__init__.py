"""The four stages as pure functions: tables in, tables out. No clock, no store, no files.

Each takes one table of many nodes' batches (`pipeline.batch.Groups`), because per-call overhead rules below some
thousands of rows; a node on its own is a group of one, and goes through the same code.
"""

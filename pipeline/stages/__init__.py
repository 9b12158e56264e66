"""The stages as pure functions: tables in, tables out. No clock, no store, no files.

Ingest, validate and aggregate take one table of many nodes' batches (`pipeline.batch.Groups`),
because per-call overhead dominates below a few thousand rows. A single node is a group of one
and goes through the same code. Enrich takes the encoded columns of one node's rows: it adds that
node's constants. Derive is for further stages.
"""

"""Recording: from samples to rows in the nodes' SQLite files."""

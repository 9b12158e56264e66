"""`windfleet history DIR`: figures over many runs of one scenario, with a page."""

"""`windfleet compare`: two sets of runs, figure by figure, with a verdict for people and for CI."""

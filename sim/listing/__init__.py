"""`windfleet list`, `figures` and `faults`: things that a user may name, with a line of text each.

Modules:

    arguments    arguments of the three commands
    command      the three commands
    scenarios    scenarios that come with windfleet
    runs         run directories with their verdicts
    figures      figures that a scenario's `expect` can name
    faults       kinds of planned events, data faults and faults of delivery
"""

"""Faults injected into the data: sensors, rows, clocks, files.

They are part of the data. The lake must show them (in quarantine, or as revised windows), with or
without faults of delivery.

    catalogue       every kind: its target, its default length, the settings it takes
    units           wrong units in which a sensor may read
    occurrence      one occurrence of a fault, with the rows that carry it
    poison          wrong values of one cell, and the rule that each breaks
    schedule        times of the occurrences: a function of (seed, position in the scenario,
                    turbine or farm)
    expected        expected number of occurrences, before a run
    clock_changes   clock changes of a time zone
    inject          sensor faults, in values; `sim.model.recording` carries out the others
    truth           the altered rows, as a table

Not covered: faults of delivery (`sim.chaos`), which the lake must not show.
"""

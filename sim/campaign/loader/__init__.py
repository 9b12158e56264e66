"""The loader of `windfleet query` under faults, as part of a fault campaign.

module        subject
faults        the kinds of fault, and the calls that each can hit
line          the faults of one run as a line of text
calls         the calls of a run, counted, and the faults that hit them
read_store    the lake as the loader sees it, with faults of LIST and GET
file_changes  every change of a file under a folder, reported before it is made
loader        one load with faults: it may be killed, or wait for another load
run           one run: loads under faults while objects arrive, then a plain load
world         the objects of a lake at three times, and the run without faults
tables        rows of the Delta tables against rows of the objects
plan          the schedules of a campaign
totals        sums over all runs, with figures and matrix
"""

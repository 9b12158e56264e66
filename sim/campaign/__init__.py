"""Fault campaigns: every fault at every store call in memory, then whole runs on a real store.

module           subject
command          `windfleet campaign`, from the options to the exit code
plan             the campaign's plan: the schedules of its in-process runs
schedule         the faults of one run as a line of text, and the calls that they hit
world            node files on disk, with a snapshot for every flush time
in_process_run   one run on a store in memory, and the run without faults
pool             worker processes for many in-process runs
outcome          the outcome of one run
invariants       the invariants of every run, and the store that checks each write
faulty_store     injection of faults at the store's interface
memory_store     a strict object store in memory
inline_executor  an executor without threads
shrink           the smallest schedule that still fails
live_faults      the faults of whole runs on a real store
live_runs        whole runs on LocalStack, behind the fault proxy
matrix           faults and points that the runs hit
failures         the simplest failures of all runs
campaign_part    the record of one part of a campaign
summary          sums over all runs, matrix, figures, verdict
"""

"""Definitions of words on the pages that are no figures."""

from __future__ import annotations

from typing import Final

TERMS: Final[dict[str, str]] = {
    "counted": "Exact, or a share of two such counts: the same for every run of this scenario and "
    "seed.",
    "measured": "Wall time or memory of this machine. It differs from run to run.",
    "modelled": "Virtual time of the fleet, or list prices. It is not a measurement.",
    "digest": "SHA-256 over the sorted keys and checksums of all data objects. Two lakes with one "
    "digest are the same, byte for byte.",
    "replay": "The command that repeats this run.",
    "oracle": "The judge. It recomputes the lake from the node databases, shares no code with the "
    "pipeline, and compares row by row.",
    "expectation": "A limit that the scenario sets to a figure.",
    "seed": "The number that starts a run's random generators. The same seed gives the same rows.",
    "fleet time": "Time in the simulated fleet. It does not depend on the speed of this machine.",
    "wall time": "Time on the clock of this machine.",
    "ingestion": "First stage: rows exactly as the nodes stored them.",
    "quarantine": "Rows that broke a rule of the validated stage. They are kept, not dropped.",
    "validated": "Second stage: rows that passed every rule.",
    "enriched": "Third stage: validated rows with facts about node and turbine, without personal "
    "data.",
    "aggregated": "Fourth stage: one row per turbine and window.",
    "lost": "Expected, and in no object of the lake.",
    "duplicated": "In the lake more often than expected.",
    "misplaced": "Under the wrong hour, turbine or stage.",
    "altered": "In its place, but with a value that differs from the expected one.",
    "unexpected": "In the lake, although nothing is expected there.",
    "complete": "Share of the expected rows that are in the lake.",
    "harness": "The main process of windfleet: it starts the workers, merges their records and "
    "writes the report.",
    "workers": "The processes that simulate farms, run the pipeline and judge.",
    "server": "The store's own processes, if it runs on this machine.",
    "queued": "Threads of the run that were ready and waited, because others had all cores.",
    "simulate": "Workers that compute the fleet's readings and write node databases.",
    "deliver": "Workers in the pipeline: they encode batches and call the store.",
    "judge": "Workers that judge the rows of the lake.",
    "wait": "Workers with nothing to do until the store answers.",
    "cores busy": "Share of the cores that the run used, or for which its threads waited.",
    "response": "From the intended start of an operation to its end. A stall counts in every "
    "operation that it delays.",
    "service": "From the actual start of an operation to its end.",
    "unanswered": "Attempts that got no answer from the store. They were tried again.",
    "freshness": "Time from an event until its row can be read in the lake, in fleet time.",
    "shard": "The part of a run that one worker has: a farm, or some of its turbines.",
    "p50": "Median: half of the values are at most this large.",
    "p95": "95 % of the values are at most this large.",
    "p99": "99 % of the values are at most this large.",
    "p999": "99.9 % of the values are at most this large.",
    "SLO": "Service level objective: the limits that a rate must keep to count as sustained.",
    "offered": "Requests that the schedule asks for, at their intended times.",
    "achieved": "Requests that succeeded, per second.",
    "open": "Requests start at the times of a schedule, whether or not earlier ones have ended.",
    "closed": "A fixed number of users. Each starts its next request when the last one has ended.",
    "sweep": "Levels of a closed load with more and more users, to see where throughput stops to "
    "grow.",
    "search": "Open loads at several rates, to find the highest one that meets the SLO.",
    "hold": "A longer test at the rate that the search found. Only this confirms it.",
    "warm-up": "The first seconds of a phase. They do not count.",
    "users": "Requests that may be in progress at the same time.",
    "late": "Delay from the intended to the actual start of a request: the generator had no free "
    "user.",
    "backlog": "Requests that are due and have not started.",
    "latency": "From the intended start of a request to its end, waiting included.",
    "not made": "Requests that were due and never started.",
    "Little's law": "In a steady test, users = throughput x response time. A level that misses it "
    "by more than 10 % was not steady: do not trust it.",
    "standard error": "Uncertainty of a mean. The true value is within two of them in 95 % of "
    "tests.",
    "steady": "From this second on the throughput of the level had no trend. Only that part "
    "counts.",
    "Universal Scalability fit": "A curve through the levels: users share work one at a time (α, "
    "contention), and pairs of users disturb each other (β, coherency).",
    "protocol step": "A call of a node to the store: recover its checkpoint, create data, create "
    "the manifest, advance the checkpoint, read history.",
    "invariant": "A property that must hold after every run, whatever faults struck.",
    "shrink": "Leave out parts of a failing schedule as long as it still fails.",
    "not reached": "The campaign ended before a run injected this fault here.",
    "lifecycle rule": "A rule of a bucket that moves objects to cheaper storage or removes them, "
    "by age and size.",
    "detectable": "Injected faults that altered rows, and that some rule or alarm can show.",
    "found": "Detectable faults with a row in quarantine, or with an alarm that they can cause.",
}

"""`windfleet run`: one scenario, from its file to its report.

The path of a run, from top to bottom. A line is the next step of its level; deeper lines are called
by the line above them. A module imports only modules that stand below it here, and those that hold
data: `record`, `part`, `part_head`, `planned_faults`, `shard_plan` and `uplink`.

    level     function                            does
    scenario  sim.scenario.load                   reads and checks the file
              resume.resume                       options of an interrupted run
    steps     command.run                         every level below, in this order
    plan      part.part_of                        turbines of the part, or all
              needs.needs                         disk, memory and time on this machine
                past_runs.past_runs               runs that were made here
              planned_faults.planned_faults       faults that are due, and their odds
    lake      sim.store.target.opened             LocalStack, a named S3 or a folder
    shards    delivery.deliver                    all farms; operations and faults into the record
                attempts.Attempts                 what earlier attempts at the run left
                shard_plan.shard_plans            one picklable task per shard
                    shards.run_shards                 worker processes
                    in_process.run_in_process         none, for a part with one worker
                    signals.delayed                   Ctrl-C waits until a start is complete
                shard.run_shard                   one shard: simulate, store at the nodes, flush
                  farm_nodes.FarmNodes            the real pipeline, from the nodes to the lake
                    unreported.Unreported         batches that a crash kept from being reported
                    compact.publish               another layout: one object per farm and hour
                  earlier_attempt.Continued       a lake that has some of the rows already
                  activity.Activities             time of the worker by activity
                  finished.write                  the shard's result, for the next attempt
                  truth.write                     labels of the injected faults
                  written.Written                 objects that a shard wrote, for the early oracle
                  operations.Recorder             one row per store call
                  fired_log.note                  each injected fault, for the next attempt
                  injection_log.InjectionLog      numbers of injected faults so far, for `watch`
    verdict   verdict.judge_lake                  node files against the lake (`sim.verify.judge`)
                early.EarlyOracle                 shards that are done, while others deliver
    report    result.of_run                       figures, expectations, exit code
                uplink.freshness                  on the modelled line to the cloud
                sim.measure.environment.versions  machine and versions
              sim.report.write.write_all          result.json, report.html, junit.xml
              part_file.write                     record of a part, for `windfleet merge`

`record.Record` passes through all levels. Each adds its part, and an interrupted run is reported
from the parts that are there. `demo` and `campaign` begin at the level of the shards.
"""

"""`windfleet run`: one scenario, from its file to its report.

The path of a run, from top to bottom. A line is the next step of its level; deeper lines are called
by the line above them. A module imports only modules that stand below it here, and the three that
hold data: `record`, `planned_faults` and `shard_plan`.

    level     function                            does
    scenario  sim.scenario.load                   reads and checks the file
    steps     command.run                         every level below, in this order
    plan      planned_faults.planned_faults       faults that are due, and their odds
    lake      sim.store.target.opened             LocalStack, a named S3 or a folder
    shards    delivery.deliver                    all farms; operations and faults into the record
                shard_plan.shard_plans            one picklable task per farm
                shards.run_shards                 worker processes
                shard.run_shard                   one farm: simulate, store at the nodes, flush
                  farm_nodes.FarmNodes            the real pipeline, from the nodes to the lake
                    unreported.Unreported         batches that a crash kept from being reported
                    compact.publish               another layout: one object per farm and hour
                  earlier_attempt.earlier_attempt  rows of a part that are in the lake already
                  uplink.FarmUplink               freshness on the modelled line to the cloud
                  activity.Activities             time of the worker by activity
                  written.Written                 objects that a farm wrote, for the early oracle
                  operations.Recorder             one row per store call
    verdict   verdict.judge_lake                  node files against the lake (`sim.verify.judge`)
                early.EarlyOracle                 farms that are done, while others are delivered
    report    result.of_run                       figures, expectations, exit code
                environment.versions              machine and versions
              sim.report.write.write_all          result.json, report.html, junit.xml

`record.Record` passes through all levels. Each adds its part, and an interrupted run is reported
from the parts that are there. `demo` and `campaign` begin at the level of the shards.
"""

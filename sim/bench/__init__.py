"""`windfleet bench`: the CPU cost of a row, part by part, beside the leanest code for the same.

    windfleet bench                          60, 600 and 3,600 rows a batch of 100 nodes
    windfleet bench --rows 600 --rounds 5    one size, more rounds
    windfleet bench --growth                 then: more turbines, more flushes, a longer run
    windfleet bench --json FILE              keep the rounds
    windfleet bench --compare FILE           beside an earlier run, corrected by the fixed work
    windfleet bench --from FILE --markdown   an earlier run as the tables of the README

CPU time counts, because wall time depends on what else the machine does. Each round runs every part
once, the product and its floor in turn; the least of the rounds counts, because other programs only
add. The store's own CPU time is listed beside ours. CPU us/row are seconds per million rows of the
node files. The fixed work, sorting a million numbers, shows how fast the machine was.

| module       | contents                                                        |
|--------------|-----------------------------------------------------------------|
| `workload`   | a farm's rows, node files and batches                           |
| `parts`      | the parts of the job, product and floor                         |
| `rounds`     | rounds of parts in turn, and their cost                         |
| `agreement`  | the floor's tables against the product's                        |
| `floors`     | the leanest code for each part                                  |
| `growth`     | whole jobs of growing size, each in a process of its own        |
| `memory`     | the largest resident memory of a process                        |
| `record`     | the raw rounds of a run as JSON                                 |
| `comparison` | two records side by side                                        |
| `table`      | the record on the terminal or as Markdown                       |
| `query`      | the loader of `windfleet query` on many small objects           |
| `command`    | the steps of the command                                        |

Not covered: latency and the rate that a store sustains (`windfleet load`); processes side by side
(`windfleet run` reports its own cores).
"""

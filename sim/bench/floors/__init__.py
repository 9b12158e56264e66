"""The floors: the leanest code here that does a part's work on the same rows.

| module      | floor of                                                              |
|-------------|-----------------------------------------------------------------------|
| `nodefiles` | `NodeWriter` and `pipeline.generations.read`                          |
| `columns`   | the stages: rules and windows over one table of all nodes             |
| `objects`   | `pipeline.process`: stages, Parquet and manifests                     |
| `parquet`   | a Parquet file, column chunk by column chunk                          |
| `sockets`   | PUT and GET over raw sockets                                          |
| `lake`      | the oracle: GET, hash, decode, compare with the node files            |

They share no code with the pipeline, but for column names, limits and the facts of a node. Each
gives the same tables as the product, which `sim.bench.agreement` checks before it is measured.

Left out, because clean rows need none of it: quarantine, late rows, retries, retired and damaged
node files, and every finding but "differs". So a floor is a bound, not a target.
"""

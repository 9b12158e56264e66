"""The numbers of a run: figures, the measurements behind them, and thresholds that judge them.

Modules:

    figures           names, units and descriptions of all figures
    thresholds        expectations such as `freshness.p99 <= 20m`
    operations        columns of the table of store operations
    latency           response and service times of store operations
    throughput        rows and objects per second
    histogram         log-linear histogram of values
    memory            peak memory of a run's processes
    ceiling           PUTs per second that the store can take
    cost              S3 price of a day: requests and storage
    lifecycle         effect and price of lifecycle rules
    lifecycle_rules   rules of a bucket, as S3 reads them
    storage           S3 storage classes and their prices
    slowdown          comparison of two sets of runs
    loadtest          results of a load test, as plain data
    requests          figures of a load test's requests
    request_kinds     kinds of those requests
    run_limit         the limit of a run: store, cores, other programs
    freshness         age of rows over fleet time
    bottleneck        the limit of a load test: store, generator, users or machine
    steady            steady state of a series
    usl               fit of the Universal Scalability Law
"""

"""Faults of delivery: their catalogue, the choice of calls, and the injection itself.

The lake must not show any of them: after the drain its digest is that of the run without faults.
The one exception is `store.foreign-object`: its node must stop.

    module        subject
    faults        the catalogue: every kind of fault, its points and its text
    choice        the calls and nodes that a fault hits: a function of (seed, fault, call)
    call          a store call as faults see it: point, verb, bucket, key, turbine
    wire_faults   injection on the wire: the errors, resets, delays and changed bodies of HTTP
    proxy         the loopback proxy that carries requests to `wire_faults`
    wire          HTTP/1.1 messages on a connection
    request       HTTP requests as calls
    operations    S3 operations as HTTP requests
    upstream      the proxy's connection to the store
    file_faults   injection into a node's files: locks, WAL, rollback journal, full disk
    shard         injection into a worker's process: crashes, nodes that are off, the farm's uplink
    foreign       bytes of another writer under a node's key, and the invariants that follow

The store's interface has a wrapper of its own for campaigns (`sim.campaign.faulty_store`). Workers
are killed by `sim.run.shards`.
"""

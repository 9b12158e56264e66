"""Load testing: the real pipeline code as the client, Locust as the engine, true latencies.

A latency counts from the request's intended start. The plan of a load test is data
(`sim.load_schedule`). Its result is raw rows (`sim.load.phase`), from which every figure is
derived.

Two modules import locust or gevent: `sim.load.locustfile` and `sim.load.client.session`. They run
in Locust's processes only, and no other module imports them.
"""

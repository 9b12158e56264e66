"""Load testing: the real pipeline code as the client, Locust as the engine, latencies from the intended start.

What a load run does is data (`schedule`); what comes of it is raw rows (`phase`), from which every figure is derived.
Modules that import locust or gevent (`locustfile`) run in subprocesses only; nothing else here imports them.
"""

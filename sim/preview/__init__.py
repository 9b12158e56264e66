"""A scenario before it runs: `windfleet check` and `windfleet plan`.

Modules:

    check      is it valid, and how often does each fault fire; light
    command    rows, objects, requests and cost; what it needs here; the load test that it has
"""

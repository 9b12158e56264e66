"""The report of a load test.

Modules:

    page       report.html
    charts     charts over time: rates, backlog, latency, CPU
    curves     other charts: percentiles, the sweep, the search
    phases     phases as rows, for page and terminal
    terminal   summary on the terminal
"""

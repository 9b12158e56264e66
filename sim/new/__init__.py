"""`windfleet new`: a commented file to start from: a scenario, a load test, or a fleet.

Modules:

    arguments    arguments of the command
    command      the command: write one file, and say what to do with it
    templates/   the files, which pass as they are
"""

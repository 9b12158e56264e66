"""`windfleet doctor`: look at this machine before a run: programs, store, disk, environment.

Modules:

    checks     each check, with what it found and the fix
    command    the command
"""

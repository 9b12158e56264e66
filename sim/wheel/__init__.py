"""The build backend of windfleet (PEP 517): a wheel whose only top-level name is `windfleet`.

Modules:

    backend    setuptools, over a copy of the tree with everything under `windfleet`
"""

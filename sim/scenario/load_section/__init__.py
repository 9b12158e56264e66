"""The `load` section of a scenario: its document, its rules, its resolved form."""

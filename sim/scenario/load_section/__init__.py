"""The `load` section of a scenario: `document` (keys), `rules`, `resolve` (its resolved form)."""

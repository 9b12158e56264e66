"""Wind and weather at a farm."""

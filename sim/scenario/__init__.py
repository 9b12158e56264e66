"""The scenario: one YAML file that defines a run. `load` reads it and reports every error at once.

Modules:

    document          keys, types and defaults of the file, as pydantic models
    values            types of single values, with their parsers and patterns
    sources           the file, the files it extends, and `--set` overrides, merged
    loader            from the file to a Scenario, or to all its errors
    error_messages    pydantic's errors in the user's words, and their place in the file
    rules             rules between values of different keys
    events            rules of `events`
    data_faults       rules of `data_faults`
    delivery_faults   rules of `faults`
    load_section      keys, rules and resolved form of `load`
    fleet_selection   some farms or fewer turbines of a fleet
    scenario          the loaded scenario
    resolved_yaml     the loaded scenario as YAML, defaults written out
    sizes             bytes of objects and of node files, estimated
    plan              rows, objects, requests and cost of a scenario before it runs
    schema            the JSON Schema for editors
"""

from sim.errors import ScenarioError
from sim.scenario.loader import load
from sim.scenario.scenario import Clock, PipelineSettings, Scenario, Uplink

__all__ = ["Clock", "PipelineSettings", "Scenario", "ScenarioError", "Uplink", "load"]

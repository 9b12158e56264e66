"""The scenario: one YAML file says what a run is. See `document` for the keys, `loader` for how it is read."""

from sim.errors import ScenarioError
from sim.scenario.loader import load
from sim.scenario.scenario import Clock, PipelineSettings, Scenario, Uplink

__all__ = ["Clock", "PipelineSettings", "Scenario", "ScenarioError", "Uplink", "load"]

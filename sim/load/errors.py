"""What ends a load run before its verdict.

PlanError      the scenario asks for more than its own limits, or than there is   exit code 2
EngineError    the target, the machine or Locust does not do its part             exit code 3
  TargetGone   the target refuses connections
"""

from __future__ import annotations


class PlanError(Exception):
    """The load cannot be run as planned; the text names the setting and the fix."""


class EngineError(Exception):
    """Something outside of windfleet failed; the text says what."""


class TargetGone(EngineError):
    """The target refuses connections, or has died."""

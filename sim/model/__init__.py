"""The model of turbines and sensors: `farm` (one farm), `recording.nodefile` (its databases)."""

from sim.errors import NodeFileError
from sim.model.clock import SimClock
from sim.model.farm import FarmModel
from sim.model.faults import DataFault
from sim.model.recording.block import Block
from sim.model.recording.nodefile import NodeWriter

__all__ = ["Block", "DataFault", "FarmModel", "NodeFileError", "NodeWriter", "SimClock"]

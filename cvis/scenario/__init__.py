"""Class streams: which classes come when, what a step may see, and the proof that it sees no more."""

from cvis.scenario.audit import AnnotationLeak, audit
from cvis.scenario.build import build
from cvis.scenario.load import load_scenario
from cvis.scenario.make import make_scenario
from cvis.scenario.spec import list_scenarios
from cvis.scenario.stream import Scenario, describe
from cvis.scenario.visibility import Task

__all__ = [
    "AnnotationLeak",
    "Scenario",
    "Task",
    "audit",
    "build",
    "describe",
    "list_scenarios",
    "load_scenario",
    "make_scenario",
]

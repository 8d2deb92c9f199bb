"""The demo: a small project, a plan for it, and an agent that goes wrong where real agents do.

`sample-project` is package data: the project with its plan, the scenario of the scripted agent and the settings.
It is what `chargehand demo` copies, and the place to read when one wants to know what the demo does.
"""

from __future__ import annotations

from chargehand.demo.play import Demo, Killed
from chargehand.demo.result import Result
from chargehand.demo.stage import Stage, set_stage
from chargehand.demo.story import Incident, IncidentKind, incidents_of

__all__ = ["Demo", "Incident", "IncidentKind", "Killed", "Result", "Stage", "incidents_of", "set_stage"]

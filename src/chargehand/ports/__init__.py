"""What the engine needs from the world: small protocols and the values that cross them.

An adapter is free in how it does a thing; what it must keep is written in the docstring of each method and
checked by the contract suites in `chargehand.testing.contracts`. An adapter raises `AdapterError` when the
world fails; whatever can be expected to happen is a value.
"""

from __future__ import annotations

from chargehand.ports.attempts import (
    Agent,
    AttemptSpec,
    Fleet,
    Launch,
    Left,
    MeterAccess,
    OnOutput,
    OwnReport,
    Places,
    Recovered,
)
from chargehand.ports.checkouts import (
    Check,
    FixJob,
    GateJob,
    Gates,
    Integrator,
    LandJob,
    MergeJob,
    Opened,
    SealJob,
    Workspace,
    Workspaces,
)
from chargehand.ports.facts import (
    Clock,
    Inbox,
    Journal,
    Notice,
    NoticeKind,
    Notifier,
    OpenRun,
    Projection,
    Request,
    RunStore,
    Snapshots,
)
from chargehand.ports.telling import (
    AgentEvent,
    Capabilities,
    EventKind,
    EventReader,
    ModelUsage,
    StreamAgent,
    StreamEnd,
)

__all__ = [
    "Agent",
    "AgentEvent",
    "AttemptSpec",
    "Capabilities",
    "Check",
    "Clock",
    "EventKind",
    "EventReader",
    "FixJob",
    "Fleet",
    "GateJob",
    "Gates",
    "Inbox",
    "Integrator",
    "Journal",
    "LandJob",
    "Launch",
    "Left",
    "MergeJob",
    "MeterAccess",
    "ModelUsage",
    "Notice",
    "NoticeKind",
    "Notifier",
    "OnOutput",
    "OpenRun",
    "Opened",
    "OwnReport",
    "Places",
    "Projection",
    "Recovered",
    "Request",
    "RunStore",
    "SealJob",
    "Snapshots",
    "StreamAgent",
    "StreamEnd",
    "Workspace",
    "Workspaces",
]

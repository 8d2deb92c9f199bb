"""What a `state.json` of Nexus Cortexia may hold, as pydantic models: everything a run reads, and room for the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from chargehand.plans.fields import Model, WaveNumber, Whole, kind_of

__all__ = ["OF_STATE", "OF_TASK", "BlockedTask", "FailedTask", "NexusState", "NexusTask", "TaskFiles", "TaskInterfaces"]

_ID = re.compile(r"task-[0-9]+(?:\.[0-9]+)*")
_DEEPEST = 4
_LONGEST_AIM = 500


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError("said", "{message}", {"message": message})


def _ident(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value) or len(value) > 64:
        raise _refuse(f"Expected an id such as 'task-2' or 'task-2.1', found {kind_of(value)}.")
    depth = value.count(".") + 1
    if depth > _DEEPEST:
        raise _refuse(f"Expected an id at most {_DEEPEST} levels deep, found '{value}' with {depth}.")
    return value


def _said(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _refuse(f"Expected text, found {kind_of(value)}.")
    return value


def _aim(value: Any) -> str:
    text = _said(value)
    if len(text) > _LONGEST_AIM:
        raise _refuse(f"Expected at most {_LONGEST_AIM} characters, found {len(text)}.")
    return text


def _version(value: Any) -> str:
    if value != "1.0.0":
        raise _refuse(f"Expected version '1.0.0' of the format, the only one that is read; found {kind_of(value)}.")
    return "1.0.0"


def _files(value: Any) -> Any:
    return {"modify": value} if isinstance(value, list) else value


OF_TASK: Mapping[str, Any] = {
    "title": "?",
    "description": "",
    "acceptance": [],
    "complexity": "simple",
    "depends_on": [],
    "wave": 1,
    "files": None,
    "verify": [],
    "interfaces": {},
}
"""An innocent value for each key of a task but its id."""

OF_STATE: Mapping[str, Any] = {
    "version": "1.0.0",
    "project_aim": "?",
    "profile": "standard",
    "created_at": "",
    "updated_at": "",
    "current_wave": 0,
    "completed_tasks": [],
    "agreed_approaches": {},
    "compressed_outputs": {},
    "recurring_issues": [],
    "failed_tasks": [],
    "blocked_tasks": [],
}
"""The same for each key of the file but its graph."""

Ident = Annotated[str, BeforeValidator(_ident)]
Said = Annotated[str, BeforeValidator(_said)]


class _Open(BaseModel):
    """A mapping whose unknown keys belong to others: they are kept where they are, and told."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class TaskFiles(Model):
    """The files of a task, an addition of ours to the format."""

    create: list[str] = Field(default_factory=list)
    modify: list[str] = Field(default_factory=list)
    test: list[str] = Field(default_factory=list)
    read: list[str] = Field(default_factory=list)


class TaskInterfaces(Model):
    """What a task needs and offers, an addition of ours to the format."""

    consumes: list[str] = Field(default_factory=list)
    produces: list[str] = Field(default_factory=list)


class NexusTask(_Open):
    """A node of the task graph."""

    id: Ident
    title: Said
    description: str = ""
    acceptance: list[Said]
    complexity: Literal["trivial", "simple", "moderate"]
    depends_on: list[str]
    wave: WaveNumber
    files: Annotated[TaskFiles | None, BeforeValidator(_files)] = None
    verify: list[Said] = Field(default_factory=list)
    interfaces: TaskInterfaces = TaskInterfaces()


class TaskGraph(_Open):
    """The graph."""

    tasks: list[NexusTask] = Field(min_length=1)


class FailedTask(_Open):
    """A task that failed, also after its retry."""

    task_id: str
    reason: str
    retry_count: Whole = 0


class BlockedTask(_Open):
    """A task that waits for one that failed."""

    task_id: str
    blocked_on: str


class RecurringIssue(_Open):
    """A pattern that reviews met more than once."""

    pattern: str
    seen_in: list[str]


class NexusState(_Open):
    """The whole file."""

    version: Annotated[str, BeforeValidator(_version)]
    project_aim: Annotated[str, BeforeValidator(_aim)]
    profile: Literal["lean", "standard", "thorough"] = "standard"
    created_at: str = ""
    updated_at: str = ""
    current_wave: Whole = 0
    task_graph: TaskGraph
    completed_tasks: list[str]
    agreed_approaches: dict[str, str] = Field(default_factory=dict)
    compressed_outputs: dict[str, str] = Field(default_factory=dict)
    recurring_issues: list[RecurringIssue] = Field(default_factory=list)
    failed_tasks: list[FailedTask] = Field(default_factory=list)
    blocked_tasks: list[BlockedTask] = Field(default_factory=list)

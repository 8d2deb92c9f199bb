"""What a handoff packet of Station Kit may hold, as pydantic models: everything a run reads, and room for the rest."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from chargehand.plans.fields import Count, kind_of

__all__ = ["Packet", "Said", "Subtask"]

_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError("said", "{message}", {"message": message})


def _task_id(value: Any) -> str:
    if not isinstance(value, str) or not _TASK_ID.fullmatch(value) or ".." in value:
        raise _refuse(f"Expected an id that can be part of a file's name, such as 'X-1', found {kind_of(value)}.")
    return value


def _said(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _refuse(f"Expected text, found {kind_of(value)}.")
    return value


Said = Annotated[str, BeforeValidator(_said)]


class _Open(BaseModel):
    """A mapping whose unknown keys belong to others: they are kept where they are, and told."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class Decision(_Open):
    """What was decided before, and why."""

    approach: Said
    rationale: str = ""


class Subtask(_Open):
    """One piece of the work."""

    id: Count
    description: Said
    status: Literal["pending", "in_progress", "completed", "done"]


class TouchedFile(_Open):
    """A file the work is expected to touch."""

    path: Said
    purpose: str = ""


class KnownRisk(_Open):
    """A risk and what is done about it."""

    risk: Said
    mitigation: str = ""


class Attestation(_Open):
    """What a runtime said it was."""

    subtask: str
    runtime_model_reported: str
    runtime_mode_reported: str


class Packet(_Open):
    """The whole packet."""

    task_id: Annotated[str, BeforeValidator(_task_id)]
    session_export: Said
    decision: Decision
    success_criteria: list[Said] = Field(min_length=1)
    subtasks: list[Subtask] = Field(min_length=1)
    files_touched: list[TouchedFile] = Field(default_factory=list)
    risks: list[KnownRisk] = Field(default_factory=list)
    tests: list[Said] = Field(default_factory=list)
    runtime_attestations: list[Attestation] = Field(default_factory=list)

"""What a `tasks.yaml` of the JIRA pipeline may hold, as pydantic models: what a run reads, and room for the rest."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from chargehand.plans.fields import Whole, kind_of

__all__ = ["Entry", "TasksFile", "ValidationPolicy"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MODES = ("PARALLEL", "SEQUENTIAL")


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError("said", "{message}", {"message": message})


def _ident(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise _refuse(f"Expected an id such as 'TASK-1', found {kind_of(value)}.")
    return str(value)


def _said(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _refuse(f"Expected text, found {kind_of(value)}.")
    return str(value)


def _texts(value: Any) -> list[str]:
    """A text is a list of one, nothing an empty list."""
    if value is None:
        return []
    if isinstance(value, str):
        return [str(value)] if value.strip() else []
    if not isinstance(value, list):
        raise _refuse(f"Expected a list of texts, found {kind_of(value)}.")
    return [_said(each) for each in value]


def _mandates(value: Any) -> list[str]:
    """Texts as they stand; a mapping as one line of JSON."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    return [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in items if each]


def _mode(value: Any) -> str | None:
    if value is None or value in _MODES:
        return str(value) if value is not None else None
    raise _refuse(f"Expected one of {', '.join(_MODES)}; found {kind_of(value)}.")


def _groups(value: Any) -> dict[str, list[str]]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _refuse(f"Expected a mapping such as {{A: [TASK-1, TASK-2]}}, found {kind_of(value)}.")
    return {str(name): _texts(members) for name, members in value.items()}


Ident = Annotated[str, BeforeValidator(_ident)]
Said = Annotated[str, BeforeValidator(_said)]
Texts = Annotated[list[str], BeforeValidator(_texts)]
Status = Literal["PENDING", "ACTIVE", "DONE", "SYNTAX_VALID", "ACCEPTED", "REJECTED", "SYNTAX_ERROR", "ERROR"]


class _Open(BaseModel):
    """A mapping whose unknown keys belong to others: they are kept where they are, and go into the brief."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)


class Entry(_Open):
    """A task, and how far it has come."""

    id: Ident
    description: Said
    title: str = ""
    files_to_modify: Texts = Field(default_factory=list)
    test_files: Texts = Field(default_factory=list)
    success_criteria: Texts = Field(default_factory=list)
    allowlist: Texts = Field(default_factory=list)
    tool_mandates: Annotated[list[str], BeforeValidator(_mandates)] = Field(default_factory=list)
    execution_strategy: Annotated[str | None, BeforeValidator(_mode)] = None
    status: Status = "PENDING"
    attempts: Whole = 0
    validation_details: Any = None

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: Any) -> Any:
        """A key without a value is one that nobody has written yet."""
        return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


class ValidationPolicy(_Open):
    """What a change may touch besides the files of its task."""

    baseline_scope: str = ""
    baseline_allowlist: Texts = Field(default_factory=list)


class TasksFile(_Open):
    """The whole file."""

    validation_policy: Annotated[ValidationPolicy, BeforeValidator(lambda value: {} if value is None else value)] = (
        ValidationPolicy()
    )
    parallel_groups: Annotated[dict[str, list[str]], BeforeValidator(_groups)] = Field(default_factory=dict)
    tasks: list[Entry] = Field(min_length=1)

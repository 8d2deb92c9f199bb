"""Konductor's `state.toml` and `.results`: single values are changed, everything else stays as people wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chargehand.domain.errors import AdapterError

__all__ = ["Blocked", "Standing", "iso", "result_text", "state_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A task that is blocked for its own reason, or was; `reason` begins with its id."""

    task: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a phase stands; None: left as it is. `tasks` are all tasks of the run, `blocked` those that hold it up."""

    phase: str
    step: str
    status: str
    plan: str
    wave: int
    plans: int
    complete: int | None
    tasks: frozenset[str]
    blocked: tuple[Blocked, ...]
    started: int = 0


def iso(at: float) -> str:
    """A time as Konductor writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def state_text(text: str, standing: Standing, at: float, project: str) -> str:
    """The text of a `state.toml` that says how the phase stands; the same text where it says so already.

    AdapterError when the text is no TOML, or has something else where a table has to be.
    """
    from tomlkit import aot, document, parse, table
    from tomlkit.exceptions import TOMLKitError

    try:
        doc = parse(text) if text.strip() else document()
        if "project" not in doc:
            doc["project"] = table()
            doc["project"]["name"] = project
            doc["project"]["initialized"] = iso(at)
        for name in ("current", "progress", "metrics"):
            if name not in doc:
                doc[name] = table()
        changed = _set(doc["current"], _current(standing))
        changed |= _set(doc["progress"], _progress(standing))
        if standing.blocked and "blockers" not in doc:
            doc["blockers"] = aot()
        changed |= _block(doc, standing, iso(at))
        if changed or standing.started:
            _set(doc["metrics"], _metrics(doc["metrics"], standing.started, at))
        return _apart(doc.as_string(), standing, iso(at)) if changed else doc.as_string()
    except (TOMLKitError, TypeError, AttributeError, KeyError, ValueError) as error:
        hint = "Mend it, and go on with `chargehand resume`."
        raise AdapterError("projection", f"state.toml cannot be brought up to date: {error}. {hint}") from error


def _current(standing: Standing) -> dict[str, Any]:
    return {
        "phase": standing.phase,
        "step": standing.step,
        "status": standing.status,
        "plan": standing.plan,
        "wave": standing.wave,
    }


def _progress(standing: Standing) -> dict[str, Any]:
    plans: dict[str, Any] = {"current_phase_plans": standing.plans}
    return plans if standing.complete is None else {**plans, "current_phase_plans_complete": standing.complete}


def _metrics(metrics: Mapping[str, Any], started: int, at: float) -> dict[str, Any]:
    before = metrics.get("total_agent_sessions", 0)
    sessions = (before if isinstance(before, int) else 0) + started
    return {"last_activity": iso(at), "total_agent_sessions": sessions}


def _set(entry: Any, values: Mapping[str, Any]) -> bool:
    """Change the values that differ; whether any did. A value of another type counts as another."""
    changed = False
    for key, value in values.items():
        found = _plain(entry[key]) if key in entry else None
        if type(found) is not type(value) or found != value:
            entry[key] = value
            changed = True
    return changed


def _plain(value: Any) -> Any:
    return value.unwrap() if hasattr(value, "unwrap") else value


def _block(doc: Any, standing: Standing, now: str) -> bool:
    """A row for each blocked task; a row of a task that goes on is resolved. Rows of others stay as they are."""
    changed = False
    wanted = {each.reason: each for each in standing.blocked}
    for row in doc.get("blockers", []):
        reason = str(row.get("reason", ""))
        task = reason.partition(":")[0]
        ours = row.get("phase") == standing.phase and row.get("step") == "executing" and task in standing.tasks
        if reason in wanted and ours:
            del wanted[reason]
            again = {} if row.get("resolved") is False else {"timestamp": now}
            changed |= _set(row, {**again, "resolved": False})
        elif ours:
            changed |= _set(row, {"resolved": True})
    for reason in wanted:
        doc["blockers"].append(_row(standing.phase, reason, now))
        changed = True
    return changed


def _row(phase: str, reason: str, now: str) -> Any:
    from tomlkit import table

    row = table()
    for key, value in (("phase", phase), ("step", "executing"), ("reason", reason), ("timestamp", now)):
        row[key] = value
    row["resolved"] = False
    return row


def _apart(text: str, standing: Standing, now: str) -> str:
    """The text with an empty line around each row that was added; tomlkit leaves some out."""
    for each in standing.blocked:
        row = f"[[blockers]]\n{_row(standing.phase, each.reason, now).as_string()}"
        before, found, after = text.partition(row)
        if found and before and not before.endswith("\n\n"):
            before += "\n"
        if found and after and not after.startswith("\n"):
            after = f"\n{after}"
        text = before + found + after
    return text


def result_text(values: Sequence[tuple[str, Any]], note: str, at: float, before: str) -> str:
    """The text of a result file; with the time of the text before where that says the same otherwise."""
    lines = [f"# {note}"] if note else []
    lines += [f"{key} = {_toml(value)}" for key, value in values]
    body = "\n".join(lines) + "\n"
    if before.startswith(f"{body}timestamp = "):
        return before
    return f'{body}timestamp = "{iso(at)}"\n'


def _toml(value: Any) -> str:
    from tomlkit import item

    text: str = item(value).as_string()
    return text

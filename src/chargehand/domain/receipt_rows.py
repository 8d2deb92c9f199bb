"""The parts of a receipt that are not gates: attempts, usage, scope, verdicts, answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import DecisionAnswered, FixFinished
from chargehand.domain.evidence import stray_changes
from chargehand.domain.outcome import Change, Sealed, Usage
from chargehand.domain.plan import Plan, Scope, Task
from chargehand.domain.review import Reviews
from chargehand.domain.silencing import Silenced
from chargehand.domain.test_changes import TestChange
from chargehand.domain.words import Decision

__all__ = [
    "answer_row",
    "attempt_row",
    "mended_row",
    "parked_rows",
    "review_rows",
    "scope_part",
    "silenced_rows",
    "sum_usage",
    "test_change_rows",
    "usage_row",
]

Row = dict[str, Any]


def attempt_row(effect: StartAttempt, agent: str) -> Row:
    """An attempt that was started; its end is filled in when it is known."""
    return {
        "number": effect.attempt,
        "launch": effect.launch,
        "role": effect.role.value,
        "agent": agent,
        "base": effect.base,
        "model": "",
        "exit": None,
        "usage": None,
        "log": "",
    }


def mended_row(event: FixFinished, sealed: Sealed) -> Row:
    """What `fix` commands made of a change, and of which attempt's."""
    return {
        "attempt": event.attempt,
        "gates": list(event.gates),
        "commit": sealed.commit,
        "tree": sealed.tree,
        "changed": sorted(change.path for change in sealed.changes),
    }


def usage_row(usage: Usage) -> Row:
    """What one attempt used; None where nobody measured."""
    return {
        "tokens": usage.tokens,
        "usd": _money(usage.usd),
        "held_usd": _money(usage.held_usd),
        "estimated": usage.estimated,
        "wall_s": round(usage.wall_s, 3),
    }


def sum_usage(rows: Sequence[Row | None]) -> Row:
    """What several attempts used; None where nobody measured any of them."""
    told = [row for row in rows if row is not None]

    def total(key: str) -> Any:
        known = [row[key] for row in told if row[key] is not None]
        return sum(known) if known else None

    return {
        "tokens": total("tokens"),
        "usd": _money(total("usd")),
        "held_usd": _money(total("held_usd")),
        "estimated": sum(row["estimated"] for row in told),
        "wall_s": round(sum((row["wall_s"] for row in told), 0.0), 3),
    }


def _money(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 6)


def scope_part(task: Task, plan: Plan, sealed: Sealed, changes: Mapping[str, Change | None]) -> Row:
    """Which paths the task may change, which it did, and which of them lie outside.

    `changes` are those of the whole change by path, None for one whose kind only an earlier attempt told.
    """
    known = tuple(change for change in changes.values() if change is not None)
    stray = [change.path for change in stray_changes(task, plan, replace(sealed, changes=known))]
    scoped = task.files if task.scope is not Scope.LEASE else None
    allowed = None if scoped is None else [*scoped.writes, *plan.allowlist]
    verdict = "outside" if stray else "unscoped" if allowed is None else "inside"
    return {
        "verdict": verdict,
        "mode": task.scope.value,
        "allowed": allowed,
        "changed": [{"path": path, "kind": change.kind.value if change else None} for path, change in changes.items()],
        "stray": stray,
    }


def test_change_rows(changes: Iterable[TestChange]) -> list[Row]:
    """Places where the change touches the tests that judge it."""
    return [{"path": each.path, "line": each.line, "kind": each.kind.value, "detail": each.detail} for each in changes]


def silenced_rows(silenced: Iterable[Silenced]) -> list[Row]:
    """Places where the change keeps a check from looking."""
    return [{"path": each.path, "line": each.line, "by": each.by.value, "detail": each.detail} for each in silenced]


def review_rows(reviews: Reviews) -> list[Row]:
    """Every verdict that counted, each for exactly one tree."""
    return [
        {
            "stage": each.stage.value,
            "tree": each.tree,
            "passed": each.passed,
            "attempt": each.attempt,
            "agent": each.agent,
            "model": each.model,
            "carried": each.carried,
            **({"approved_by": each.by} if each.by else {}),
        }
        for each in reviews.judged
    ]


def parked_rows(reviews: Reviews) -> list[Row]:
    """The findings that held nothing up, with the ruling that says why."""
    return [
        {
            "stage": each.stage.value,
            "ruling": each.ruling.value,
            "severity": each.finding.severity.value,
            "id": each.finding.id,
            "claim": each.finding.claim,
            "file": each.finding.file,
            "line": each.finding.line,
        }
        for each in reviews.parked
    ]


def answer_row(decision: Decision, answer: DecisionAnswered) -> Row:
    """Who said what to which question; what people wrote beside their answer stays in the journal."""
    return {
        "id": answer.id,
        "kind": decision.kind.value,
        "reason": decision.reason.value,
        "command": decision.command or None,
        "choice": answer.choice,
        "by": answer.by,
    }

"""Whole runs in which somebody judges: what is told of them, in journal, document, `show`, report and receipts."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chargehand.cli.looking import task_of
from chargehand.cli.render.pen import Pen
from chargehand.cli.render.story import story_lines
from chargehand.cli.stories import tell_stories
from chargehand.domain import view
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import (
    CircuitOpened,
    DecisionAnswered,
    DecisionAsked,
    DispatchStopped,
    EffectIntended,
    EffectLost,
    Event,
    FixFinished,
    GateMitigated,
    GatesFinished,
    Recorded,
    ReviewFailed,
    ReviewPassed,
    ReviewVoided,
    TaskEnded,
    TaskIntegrated,
    TaskRequeued,
)
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import GateStatus
from chargehand.report.html import to_html
from chargehand.report.markdown import to_markdown
from chargehand.wiring.reporting import tell_report
from tests.e2e.world import DONE, World, write

__all__ = ["BOX", "DONE", "FAIL", "PASS", "Court", "fails", "roles", "task", "telling", "write"]

BOX = "bwrap" if shutil.which("bwrap") else "none"
"""The sandbox of these runs."""

PASS: dict[str, Any] = {"verdict": "PASS"}
FAIL: dict[str, Any] = {"verdict": "FAIL"}
REVIEWED = {"code_review": True, "holistic": False}


def task(name: str = "a", **keys: Any) -> dict[str, Any]:
    """A task that makes one file of its name."""
    return {"id": name, "title": name.upper(), "files": {"create": [f"{name}.txt"]}, **keys}


def fails(*findings: str | Mapping[str, Any], **keys: Any) -> dict[str, Any]:
    """A step: a verdict with these findings."""
    return {"verdict": {"findings": list(findings), **keys}}


def roles(name: str = "a", text: str = "one\n", **others: Any) -> dict[str, Any]:
    """The roles of a task whose implementer writes its file; names of others with `_` for `-`, lists or attempts.

    A mapping from numbers to steps is about attempts; whoever is not named, or not in that attempt, is content.
    """
    found: dict[str, Any] = {"implementer": [write(f"{name}.txt", text), DONE]}
    for role, steps in others.items():
        if isinstance(steps, Mapping):
            default = {} if "default" in steps else {"default": [PASS]} if "reviewer" in role else {}
            found[role.replace("_", "-")] = {"attempts": {**steps, **default}}
        else:
            found[role.replace("_", "-")] = list(steps)
    return {"roles": found}


class Court(World):
    """A world whose runs are reviewed; what is told of them afterwards."""

    def judge(self, tasks: Sequence[Mapping[str, Any]], scenario: Mapping[str, Any], **keys: Any) -> int:
        """Play it; the exit code of the run."""
        keys.setdefault("features", REVIEWED)
        self.play(tasks, scenario, **keys)
        return self.code

    def go_on(self, **keys: Any) -> int:
        """Take it up again; the exit code then."""
        self.resume(**keys)
        return self.code

    @property
    def code(self) -> int:
        """The exit code of `run` and `resume`."""
        assert self.state is not None
        return view.exit_code(self.state)

    @property
    def runs(self) -> Path:
        """The folder of the newest run."""
        return self.repo.path / ".git" / "chargehand" / "runs" / self.run

    def answer(self, choice: str, decision: str = "d1") -> None:
        """What a person says."""

        async def say() -> None:
            shop = await self.shop(())
            shop.service.answer(self.run, decision, choice, "uma", "for now")

        asyncio.run(say())

    def told(self, name: str = "a") -> list[str]:
        """The journal of a task (or, with an empty name, of the run) in short."""
        return list(telling(self.events(), name))

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events() if isinstance(event, kind)]

    def show(self, name: str = "a") -> str:
        """What `show` prints, on a wide terminal, with runs of spaces as one."""

        async def read() -> Sequence[Recorded]:
            return tuple((await self.shop(())).service.events(self.run))

        events = asyncio.run(read())
        state = fold(events)
        lines = story_lines(state, task_of(state, name), tell_stories(events, name), Pen(width=4000), events[-1].at)
        return " ".join(" ".join(lines).split())

    def report(self) -> str:
        """What `report --markdown` prints; the page can be made, too."""

        async def read() -> Any:
            return await tell_report(await self.shop(()), self.run)

        told = asyncio.run(read())
        assert to_html(told)
        return to_markdown(told)

    def receipt(self, name: str = "a") -> dict[str, Any]:
        """The receipt of a task that landed, as it is noted on the commit."""
        lines = self.repo.git("notes", "--ref=chargehand", "show", str(self.task(name)["landed"])).splitlines()
        found = [json.loads(line) for line in lines]
        body: dict[str, Any] = next(each for each in found if each["kind"] == "task" and each["task"]["id"] == name)
        return body

    def warned(self) -> list[str]:
        """The codes of all warnings, without what an agent warned of."""
        return [each["code"] for each in self.document["warnings"]]

    def states(self) -> dict[str, str]:
        """State of every task, with its reason where it is not integrated."""
        return {
            each["id"]: each["state"] if each["state"] == "integrated" else f"{each['state']} {each['reason']}"
            for each in self.document["tasks"]
        }


def telling(events: Sequence[Event], name: str) -> Iterator[str]:
    """One word or two for each event about a task that says who judged what."""
    asked: set[str] = set()
    for event in events:
        match event:
            case EffectIntended(effect=StartAttempt() as effect) if effect.task == name:
                yield f"{effect.role} {effect.attempt}"
            case EffectLost():
                yield "lost"
            case DecisionAsked(decision=decision) if decision.task == name:
                asked.add(decision.id)
                yield f"asked {decision.kind} {'|'.join(decision.choices)}"
            case DecisionAnswered(id=number) if number in asked:
                yield f"answered {event.choice}"
            case DispatchStopped() if not name:
                yield f"stopped {event.reason}"
            case CircuitOpened():
                yield "provider waits"
            case _ if getattr(event, "task", None) == name:
                yield from _about(event)
            case _:
                pass


def _about(event: Event) -> Iterator[str]:
    match event:
        case TaskRequeued():
            yield f"again: {event.why}"
        case GatesFinished():
            yield from (
                f"{each.gate} {each.fault or ('flaky' if each.flaky else each.status)}"
                for each in event.results
                if each.status is not GateStatus.PASS or each.flaky
            )
        case GateMitigated():
            yield f"{event.gate} {event.by}"
        case FixFinished():
            yield f"fix {'mended' if event.sealed else 'nothing'}"
        case ReviewPassed():
            parked = "".join(f" {each.ruling}:{each.finding.id}" for each in event.parked)
            yield f"{event.stage} {'carried' if event.carried else 'passed'}{parked}"
        case ReviewFailed():
            names = [each.id for each in event.open] + [f"'{each.criterion}'" for each in event.unmet]
            yield f"{event.stage} failed: {', '.join(names)}"
        case ReviewVoided():
            yield f"void: {event.why}"
        case TaskIntegrated():
            yield "landed"
        case TaskEnded():
            yield f"{event.status}: {event.reason}"
        case _:
            pass

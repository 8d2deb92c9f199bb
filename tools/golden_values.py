"""What no run of the command line shows: endings that need a model provider, and every word a field may have."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from chargehand import __version__
from chargehand.adapters.codec import EVENTS
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.domain import view
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import CommandDropped, Event, RunResumed, RunStarted
from chargehand.domain.evolve import fold
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, Usage
from chargehand.domain.plan import Plan, Task
from chargehand.domain.policy import Policy
from chargehand.engine.dispatch import Ports
from chargehand.engine.loop import Engine
from chargehand.ports import AttemptSpec
from chargehand.testing.fakes import FakeFleet, FakeGates, FakeInbox, FakeIntegrator, FakeNotifier, attempt_result

__all__ = ["keep_values", "keep_waits"]

Outcome = Callable[[AttemptSpec], AttemptResult]


# -- a run on the shipped fakes -------------------------------------------------------------------


class _Clock:
    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


def keep_waits(target: Path, journal: Path) -> None:
    """Rate limits, a provider that is down, budgets, lost workers and measured usage, through the real engine."""
    from record_golden import export

    with SqliteJournal.create(journal, run="waits-1") as made:
        asyncio.run(_play(made))
        state = fold(list(made.read()))
    status = json.dumps(view.document(state, held=False), indent=1)
    export(journal, target, status, database=False)


async def _play(journal: SqliteJournal) -> None:
    plan = Plan(plan="waits", tasks=tuple(Task(id=name, title=name.upper()) for name in "abcdef"))
    policy = Policy(backoff_s=0.05, backoff_max_s=0.1)
    agents = (AgentDef(name="agent", kind="command", command="agent --go", cwd="/srv/project", jobs=2),)
    options = RunOptions(agent="agent", agents=agents, unattended=True, review=False, policy=policy, jobs=2)
    started = RunStarted(run="waits-1", plan=plan, options=options, base="b" * 40, branch="chargehand/waits-1")
    journal.append([started], time.time())
    fleet = _Asking(
        {
            "a/1/attempt": _ends(ExitKind.RATE_LIMITED, retry_in_s=0.1),
            "a/1/attempt-2": _ends(ExitKind.RATE_LIMITED),
            "b/1/attempt": _ends(ExitKind.PROVIDER_DOWN),
            "c": _ends(ExitKind.OVER_BUDGET),
            "d/1/attempt": _ends(ExitKind.LOST),
            "e": AdapterError("fleet", "There is no room for a workspace."),
        }
    )
    for task in "abd":
        fleet.outcomes.setdefault(task, _measured)
    ports = Ports(
        journal=journal,
        inbox=FakeInbox(),
        fleet=fleet,
        gates=FakeGates(),
        integrator=FakeIntegrator(conventions=("AGENTS.md",)),
        workspaces=None,  # type: ignore[arg-type]  # asked only for context, which nobody wants here
        notifier=FakeNotifier(),
        clock=_Clock(),
    )
    resumed = RunResumed(pid=7, host="workshop", version=__version__)
    await Engine(ports, fold(list(journal.read()))).run([resumed])


class _Asking(FakeFleet):
    """The agent of task f is held at two commands: one is answered, for the other nobody came in time."""

    async def submit(self, spec: AttemptSpec) -> None:
        """Start it; the one that asks ends a little later."""
        self.hold = spec.task == "f"
        await super().submit(spec)
        if self.hold and self._asked is not None:
            for number in (1, 2):
                self.hold_at(spec.key, f"{spec.key}/call-{number}", "rm -rf /srv/data")
            self._asked(CommandDropped(call=f"{spec.key}/call-2"))
            asyncio.get_running_loop().call_later(0.1, self.finish, spec.key)


def _ends(kind: ExitKind, retry_in_s: float | None = None) -> Outcome:
    def end(spec: AttemptSpec) -> AttemptResult:
        made = attempt_result(spec, None, exit_kind=kind)
        at = None if retry_in_s is None else time.time() + retry_in_s
        return replace(made, exit=AgentExit(kind=kind, detail=f"It is {kind}.", retry_at=at))

    return end


def _measured(spec: AttemptSpec) -> AttemptResult:
    return replace(attempt_result(spec), usage=Usage(tokens=1200, usd=0.25, wall_s=3.5))


# -- every word -----------------------------------------------------------------------------------


def keep_values(target: Path) -> None:
    """Events of every type that between them hold every member of every enum and union, with and without options."""
    lines = [EVENTS.encode(value) for kind in get_args(Event) for value in _values(kind)]
    target.write_text("\n".join(lines) + "\n", encoding="ascii")
    sys.stdout.write(f"{target.name}: {len(lines)} events, {target.stat().st_size} bytes\n")


def _values(hint: Any) -> Iterator[Any]:
    """As few values of a type as show everything it may hold; the first is the fullest."""
    origin, args = get_origin(hint), get_args(hint)
    if hasattr(hint, "__supertype__"):
        yield from _values(hint.__supertype__)
    elif origin in (Union, UnionType):
        for arm in sorted(args, key=lambda arm: arm is NoneType):
            yield from _values(arm)
    elif origin is tuple and args[1:] != (...,):
        yield tuple(next(_values(arg)) for arg in args)
    elif origin in (tuple, frozenset):
        yield origin(_values(args[0]))
        yield origin()
    elif isinstance(hint, type) and issubclass(hint, Enum):
        yield from hint
    elif is_dataclass(hint):
        yield from _records(hint)
    else:
        yield {str: "text", int: 7, float: 1.5, bool: True, NoneType: None}[hint]


def _records(kind: Any) -> Iterator[Any]:
    """As many records as the field with the most values has; the others go round."""
    hints = get_type_hints(kind)
    columns = {field.name: list(_values(hints[field.name])) for field in fields(kind)}
    for number in range(max(map(len, columns.values()))):
        yield kind(**{name: values[min(number, len(values) - 1)] for name, values in columns.items()})

"""Nexus Cortexia: an agreed graph is carried out wave by wave, and its `state.json` kept up to date (SPEC 11).

What its prompt asks a model for is data here: the bounds stand in `profiles.bounds`, the words for briefs below. The
lists of the state are drawn from the run after each event; what else the file holds stays as it is, byte by byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import Recorded
from chargehand.domain.outcome import Role
from chargehand.domain.plan import Command, GatePoint, GateSpec, Plan
from chargehand.domain.state import RunState
from chargehand.ports import Projection
from chargehand.profiles.bounds import BOUNDS
from chargehand.profiles.dispatch_state import Standing, standing_of, updated
from chargehand.profiles.profile import Profile, Site
from chargehand.profiles.told import told_by_dispatch

__all__ = ["PROFILE"]

_FILE = "state.json"

_REQUIREMENTS = """\
Requirements:
- Where there is code already, read before you write: the files this task touches and those beside them. Match their
  names, their layout and the way they are tested.
- Deliver the whole of it, working, for every point under "Done when", with the edge cases that the task names. A
  skeleton or a note to finish it later is checked for, and fails.
- A comment explains what a reader could not see: a rule of the trade, a pattern that parses a format. None repeats the
  code.
- Before you report, establish each for yourself: it builds or parses; the edge cases are handled; every criterion
  holds; the interfaces are those that tasks after this one were told.
- If it cannot be done, find out why first. Report FAILED or BLOCKED with the cause and what you tried; never hand in
  what you know to be broken.
- In the report, "summary" and "interfaces" are all that later tasks see of this one: signatures, types and paths in a
  few lines, no code."""

_WORDING = tuple((role.value, _REQUIREMENTS) for role in (Role.IMPLEMENTER, Role.FIXER))

_POINTS = {
    "build": frozenset({GatePoint.TASK, GatePoint.INTEGRATE, GatePoint.RUN}),
    "test": frozenset({GatePoint.INTEGRATE, GatePoint.WAVE, GatePoint.RUN}),
}


def _arrange(plan: Plan, settings: Mapping[str, object]) -> Plan:
    """With a build and a test command of the project: gates of tasks, of landing, of waves and of the end."""
    taken = {gate.id for gate in plan.gates}
    gates = [
        GateSpec(id=name, run=command, on=points)
        for name, points in _POINTS.items()
        if isinstance(command := settings.get(f"commands.{name}"), Command) and name not in taken
    ]
    return replace(plan, gates=(*plan.gates, *gates))


@dataclass(slots=True, kw_only=True)
class _State(Projection):
    """The state file of a project; `shown` is what was last written of the run."""

    site: Site
    path: Path
    shown: Standing | None = None

    def begin(self, state: RunState) -> None:
        """The lists as the journal has them, whatever the file said meanwhile."""
        self.shown = None
        self._show(state)

    def take(self, recorded: Recorded, state: RunState) -> None:  # noqa: ARG002 - all of it is in the state
        """The lists, when the event changed them."""
        self._show(state)

    def accepted(self, state: RunState, commit: str) -> None:  # noqa: ARG002 - it is in the state
        """What landed is on a branch of the user's from now on."""
        self._show(state)

    def _show(self, state: RunState) -> None:
        standing = standing_of(state)
        if standing == self.shown:
            return
        try:
            own = self.site.own(self.path)
            is_ours = own is not None and own.is_current and not own.theirs
            text = own.text if own is not None and is_ours else self.path.read_bytes().decode("utf-8")
            after = updated(text, standing, state.last_at)
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            text = (
                f"{self.path} cannot be brought up to date: {reason}. Put it back, and go on with `chargehand resume`."
            )
            raise AdapterError("projection", text) from error
        self.site.write(self.path, after)  # one that says so already is known by that, too
        self.shown = standing


class _Outside(Projection):
    """A state that lies outside the work tree, or below a link out of it, is read and never written to [I1]."""

    def begin(self, state: RunState) -> None:
        """Nothing."""

    def take(self, recorded: Recorded, state: RunState) -> None:
        """Nothing."""

    def accepted(self, state: RunState, commit: str) -> None:
        """Nothing."""


def _project(site: Site, plan: Plan) -> Projection:  # noqa: ARG001 - the state says what is in it
    root, source = site.root.resolve(), site.source.resolve()
    path = (source / _FILE if source.is_dir() else source).resolve()
    if not path.is_relative_to(root):
        return _Outside()
    return _State(site=replace(site, root=root), path=path)


PROFILE = Profile(
    name="dispatch",
    policy=BOUNDS["dispatch"].policy,
    wording=_WORDING,
    arrange=_arrange,
    project=_project,
    told=told_by_dispatch,
    artifacts=("**/.nexus-cortexia/state.json", "**/.chargehand-*.tmp"),
)

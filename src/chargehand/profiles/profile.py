"""What a profile is, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from chargehand.domain.errors import UserError
from chargehand.domain.events import Recorded
from chargehand.domain.hand_edits import Told
from chargehand.domain.plan import Plan
from chargehand.domain.policy import HOUSE, Policy
from chargehand.domain.problem import Problem
from chargehand.domain.state import RunState
from chargehand.ports import OwnReport, Projection
from chargehand.profiles.pen import Own, Pen, Reader
from chargehand.profiles.writing import write_atomically

__all__ = ["HOUSE_PROFILE", "NAMES", "Profile", "Site", "profile_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a projection writes: `root` is the user's work tree, `source` the plan file or folder that was read.

    `pen` writes so that an edit by hand is found; without one, files are written over. `history` reads the events of
    the run up to now, for records that a state does not hold.
    """

    root: Path
    source: Path
    pen: Pen | None = None
    history: Callable[[], Iterable[Recorded]] = tuple

    def write(self, path: Path, text: str, *, whole: bool = False) -> None:
        """As `Pen.write`."""
        if self.pen is None:
            write_atomically(path, text, self.root)
        else:
            self.pen.write(path, text, whole=whole)

    def note(self, path: Path) -> None:
        """As `Pen.note`."""
        if self.pen is not None:
            self.pen.note(path)

    def words(self, path: Path) -> Mapping[str, Told]:
        """As `Pen.words`."""
        return {} if self.pen is None else self.pen.words(path)

    def own(self, path: Path) -> Own | None:
        """As `Pen.own`."""
        return None if self.pen is None else self.pen.own(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How runs of one system are driven.

    `wording` is (role, text) added to the briefs of a role. `arrange` makes of a plan as it was read the plan as it is
    run, with the settings of the run as dotted keys; it may raise UserError where the system has a gate of its own
    before a run. `accepts`: whether `--accept` may land by itself. `project` makes the projection onto the system's
    files; None: there are none. `artifacts` are patterns of the paths those files may have, relative to the work tree:
    that they change under an attempt says nothing of its agent, and what an agent writes there is no part of its
    change. `artifacts_at` adds those that depend on where the plan lies. `report` makes what reads an agent's report in
    the system's own form; None: there is no such form. `refused` leaves the system's own report when a run of
    a plan is refused for these problems. `books` are the commands of the system's own tool that are run, in order,
    once a result was accepted, as far as that tool is there. `shown` are the rows `show` adds about a task, or with
    None about the run: what that system reports in a form of its own. It only reads, and may raise AdapterError.
    `shown_live`: those of the run are a list of what is to be done, with `[ ]`, `[-]` and `[x]`, and stand on the
    terminal while it goes on.
    `told` reads what the files that `project` writes say of tasks: so an edit by hand is told from our own writing.
    """

    name: str
    policy: Policy = HOUSE
    wording: tuple[tuple[str, str], ...] = ()
    arrange: Callable[[Plan, Mapping[str, object]], Plan] | None = None
    accepts: bool = True
    project: Callable[[Site, Plan], Projection] | None = None
    refused: Callable[[Site, Plan, Sequence[Problem]], None] | None = None
    books: Callable[[Site, RunState], tuple[tuple[str, ...], ...]] | None = None
    artifacts: tuple[str, ...] = ()
    artifacts_at: Callable[[Site, Plan], tuple[str, ...]] | None = None
    report: Callable[[Site, Plan], OwnReport | None] | None = None
    shown: Callable[[Site, RunState, str | None], tuple[str, ...]] | None = None
    shown_live: bool = False
    told: Reader | None = None


HOUSE_PROFILE = Profile(name="house")

_MODULES = {
    "konductor": "chargehand.profiles.konductor",
    "dispatch": "chargehand.profiles.dispatch",
    "factory-line": "chargehand.profiles.factory_line",
    "task-executor": "chargehand.profiles.task_executor",
    "sendit": "chargehand.profiles.sendit",
}

NAMES = ("house", *_MODULES)


def profile_of(name: str) -> Profile:
    """The profile of a name; `UserError` (code `unknown_profile`) when there is none."""
    if name == HOUSE_PROFILE.name:
        return HOUSE_PROFILE
    if name not in _MODULES:
        known = ", ".join(NAMES)
        raise UserError(f"There is no profile {name!r}.", code="unknown_profile", hint=f"There are: {known}.")
    try:
        module = import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        if error.name != _MODULES[name]:
            raise
        text = f"Profile {name} is not in this version."
        raise UserError(text, code="profile_unavailable", hint="Use `profile: house`, or leave it out.") from None
    profile: Profile = module.PROFILE
    return profile

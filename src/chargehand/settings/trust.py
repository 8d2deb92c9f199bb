"""What a project's file cannot say: it comes with a repository, and whoever wrote it is not the person who runs it.

Whatever sends a key or a login somewhere, starts a program outside the sandbox, widens the sandbox, or is a yes, is the
user's to say: in a file of their own, by environment, `--set` and flags. A project's file may repeat what those
say already, and may make the sandbox narrower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargehand.domain.secrecy import is_secret_name
from chargehand.domain.variables import is_loaded, leads_elsewhere
from chargehand.settings.options import OPTIONS, env_name, option_for, split_key
from chargehand.settings.sources import Gathered
from chargehand.settings.values import Rank

__all__ = ["Refusal", "not_of_a_project"]

_YOURS = {
    "commands.approved": "is a yes of yours",
    "notify.command": "runs outside the sandbox",
    "meter.record": "names a cassette",
    "meter.replay": "names a cassette",
    "meter.prices": "says what counts against a budget of yours",
    "sandbox.read": "opens the sandbox",
    "sandbox.write": "opens the sandbox",
    "agents.*.key": "says which variable of yours is sent away as a key",
    "agents.*.base_url": "says where a key of yours is sent",
    "agents.*.meter": "decides whether a program is given a key of yours",
    "agents.*.login": "says which files of yours a program is given",
    "agents.*.home": "decides which HOME, with the login in it, a program is given",
    "agents.*.args": "can change where a program sends a key, and what it asks about",
    "agents.*.project_config": "is a yes of yours",
}
_CREDENTIALS = ("key", "login", "home", "meter", "base_url")
_HELD_BY_US = frozenset({"command", "scripted"})
_NARROWER = {
    "sandbox.kind": {
        "none": ("none", "landlock", "auto", "bwrap"),
        "landlock": ("landlock", "bwrap"),
        "auto": ("auto", "bwrap"),  # it takes bwrap where that works
        "bwrap": ("bwrap",),
    },
    "sandbox.network": {"open": ("open", "meter", "none"), "meter": ("meter", "none"), "none": ("none",)},
}
"""What a project's file may say where the user has the one or the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A setting of the project's file that does not count, why (a sentence), and where to say it instead."""

    key: str
    message: str
    hint: str


def not_of_a_project(
    found: Gathered, *, root: Path, state_dir: Path | None, own_file: Path | None
) -> Iterator[Refusal]:
    """What the project's file says and cannot; a stronger source that says it, too, makes that harmless.

    `root` is the repository, `state_dir` the path that this option came to, `own_file` where the user's file is or
    would be.
    """
    where = f"your own settings file ({own_file})" if own_file is not None else "your own settings file"
    for key, value in found.values.items():
        if value.rank is not Rank.PROJECT:
            continue
        within = key == "state_dir" and state_dir is not None and state_dir.resolve().is_relative_to(root.resolve())
        why = "leads into the repository, which could bring along runs of its own" if within else _why(found, key)
        if why:
            yield Refusal(key=key, message=f"{key} {why}.", hint=_hint(key, where))


def _why(found: Gathered, key: str) -> str:
    """Why a value of the project's file does not count, as the end of a sentence that begins with its key."""
    value, path = found.values[key].value, split_key(key)
    no = "and cannot be set by a project's file"
    pattern = f"agents.*.{path[2]}" if path[0] == "agents" and len(path) == 3 else key
    if pattern in _YOURS and not _harmless(found, key):
        return f"{_YOURS[pattern]}, {no}"
    if pattern in {"agents.*.command", "agents.*.kind"}:
        return _why_no_program(found, path[1], path[2])
    if pattern in {"agents.*.model", "defaults.model"} and value.startswith("-"):
        return "begins with '-', which a program would take for one of its options"
    if key in _NARROWER and value not in _NARROWER[key][str(_before(found, key))]:
        return f"can be made narrower by a project's file, not wider: {_before(found, key)} is what you have"
    if path[:2] == ("env", "set") and _is_leading(path[2]) and value != _before(found, key):
        return f"can change where a program sends a key or what it runs, {no}"
    if key == "env.pass":
        return _why_not_passed(found)
    if path[0] in {"caps", "defaults"} and _is_wider(found, key):
        return f"can be lowered by a project's file, not raised: {found.before[key].shown} is what you have"
    return ""


def _is_leading(name: str) -> bool:
    return name in {"PATH", "NODE_OPTIONS"} or leads_elsewhere(name) or is_loaded(name)


def _why_not_passed(found: Gathered) -> str:
    """A key or another secret of the user's that a project's file would hand to all its programs."""
    key, no = "env.pass", "and cannot be set by a project's file"
    keys = {each.value.removeprefix("env:") for name, each in found.values.items() if _is_key(name)}
    before: Any = _before(found, key) or ()
    given = [name for name in found.values[key].value if name not in before]
    if named := sorted(keys.intersection(given)):
        return f"hands {named[0]}, the key of an agent, to every program of the run, {no}"
    if secret := next(filter(is_secret_name, given), ""):
        return f"hands {secret}, by its name a secret of yours, to every program of the run, {no}"
    return ""


def _is_wider(found: Gathered, key: str) -> bool:
    """Whether a bound lets more through than without the project's file; None bounds nothing."""
    if not key.startswith(("caps.", "defaults.limits.")):
        return False
    value, before = found.values[key].value, _before(found, key)
    if before is None:
        return False
    return value is None or value > before


def _harmless(found: Gathered, key: str) -> bool:
    """Whether it changes nothing, or takes away what the sandbox shows."""
    value, before = found.values[key].value, _before(found, key)
    return bool(value == before or (not value and (not before or key.startswith("sandbox."))))


def _why_no_program(found: Gathered, agent: str, field: str) -> str:
    """A program that is given a key or a login, or is asked for its version outside the sandbox, is the user's."""
    key = f"agents.{agent}.{field}"
    if found.values[key].value == _before(found, key):
        return ""
    mine = [name for name in _CREDENTIALS if _is_users(found, f"agents.{agent}.{name}")]
    if mine:
        return f"says which program works with the `{mine[0]}` that you set, and cannot be set by a project's file"
    kind = found.values.get(f"agents.{agent}.kind")
    if field == "command" and kind is not None and kind.value not in _HELD_BY_US:
        return f"says which program is taken for {kind.value}, and cannot be set by a project's file"
    return ""


def _is_users(found: Gathered, key: str) -> bool:
    return key in found.before or (key in found.values and found.values[key].rank is not Rank.PROJECT)


def _is_key(name: str) -> bool:
    return name.startswith("agents.") and name.endswith(".key")


def _before(found: Gathered, key: str) -> object:
    """What would hold without the project's file, as far as weaker sources say; None where nobody says anything."""
    if key in found.before:
        return found.before[key].value
    option = option_for(split_key(key))
    return option.default if option is not None else None


def _hint(key: str, where: str) -> str:
    option = next((each for each in OPTIONS if each.key == key), None)
    other = env_name(key) if option is not None and option.env else f"--set {key}=…"
    return f"Take it out there, and say it in {where}, or with {other}."

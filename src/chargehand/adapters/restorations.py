"""Reading what a fitter answers: the Restoration contract of SPEC 5, a claim.

A fitter may change budgets, invocation and environment of a gate and nothing else, so nothing else can be said here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chargehand.adapters.answers import Malformed, Object, a_text, any_text, one_of, read_object, shown, texts
from chargehand.adapters.command_lines import argv_of
from chargehand.domain.line import Fit, Restoration, RestorationOutcome

__all__ = ["NO_RESTORATION", "RESTORATION_TAG", "read_restoration"]

RESTORATION_TAG = "chargehand-restoration"
NO_RESTORATION = "The agent wrote no restoration."
_LONGEST_S = 7 * 86_400.0
_MOST_NAMES = 100
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def read_restoration(result: Path, output: Path | None, gate: str) -> Restoration | str:
    """The restoration of `gate` in `result`, else in the end of the file `output`; else why there is none."""
    found = read_object(result, output, RESTORATION_TAG, "restoration")
    if isinstance(found, str):
        return found
    try:
        return _restoration(found, gate)
    except Malformed as problem:
        return f"The restoration is malformed: {problem}"


def _restoration(data: Object, gate: str) -> Restoration:
    if "status" in data and not data.keys() & {"gate_id", "outcome", "mitigation_applied", "updated_fit_profile"}:
        raise Malformed("it is a report; a fitter answers with `gate_id`, `mitigation_applied` and `outcome`.")
    named = a_text(data, "gate_id").strip() or gate
    if gate and named != gate:
        raise Malformed(f"`gate_id` must be {gate}, the gate that was asked about; found {shown(named)}.")
    profile = _object(data, "updated_fit_profile")
    _object(data, "verification_run")  # a claim that nobody needs: the runtime runs the gate
    return Restoration(
        gate_id=named,
        outcome=_outcome(data.get("outcome")),
        mitigation_applied=texts(data, "mitigation_applied", loose=True),
        fit=Fit(
            wall_s=_seconds(profile, "timeout_seconds"),
            idle_s=_seconds(profile, "stall_seconds"),
            argv=_invocation(data.get("invocation")),
            env=_environment(data),
        ),
        notes=any_text(profile, "notes") or any_text(data, "notes"),
        confidence=any_text(profile, "confidence") or any_text(data, "confidence"),
    )


def _outcome(value: Any) -> RestorationOutcome:
    if value is None:
        return RestorationOutcome.GREEN
    word = value.strip().upper() if isinstance(value, str) else ""
    if word not in RestorationOutcome.__members__.values():
        raise Malformed(f"`outcome` must be one of {one_of(RestorationOutcome)}; found {shown(value)}.")
    return RestorationOutcome(word)


def _object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"`{key}` must be an object; found {shown(value)}.")
    return value


def _seconds(profile: Mapping[str, Any], key: str) -> float | None:
    value = profile.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= _LONGEST_S:
        raise Malformed(
            f"`updated_fit_profile.{key}` must be seconds, more than 0 and at most a week; found {shown(value)}."
        )
    return float(value)


def _invocation(value: Any) -> tuple[str, ...]:
    """A whole command line; empty where nothing is said of it."""
    if value is None or value in ("", []):
        return ()
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        argv: tuple[str, ...] | str = tuple(value)
    elif isinstance(value, str):
        argv = argv_of(value)
    else:
        raise Malformed(f"`invocation` must be a text or a list of texts; found {shown(value)}.")
    if isinstance(argv, str):
        raise Malformed(f"`invocation` cannot be read as a command: {argv}")
    if not argv or not argv[0].strip() or any("\0" in word for word in argv):
        raise Malformed(f"`invocation` must begin with a program; found {shown(value)}.")
    return argv


def _environment(data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = _object(data, "environment")
    if len(found) > _MOST_NAMES:
        raise Malformed(f"`environment` has {len(found)} names; at most {_MOST_NAMES} are read.")
    for name, value in found.items():
        if not _VARIABLE.match(name):
            raise Malformed(f"`environment` has the name {shown(name)}, which is none of a variable.")
        if not isinstance(value, str) or "\0" in value:
            raise Malformed(f"`environment.{name[:60]}` must be text; found {shown(value)}.")
    return tuple(sorted(found.items()))

"""The commands of a plan under the rules, and what a plan names (SPEC 7.2)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace

from chargehand.adapters.guarding.classify import classify, classify_argv
from chargehand.adapters.guarding.place import Place
from chargehand.adapters.guarding.plan_environment import ENVIRONMENT, environment_dangers
from chargehand.adapters.guarding.verdict import Kind, Verdict
from chargehand.domain.plan import Command, Plan
from chargehand.ports import Places

__all__ = [
    "ENVIRONMENT",
    "SETUP",
    "attempt_place",
    "named_hosts",
    "named_packages",
    "plan_commands",
    "plan_dangers",
    "plan_place",
]

SETUP = "setup"
"""Stands for the id where the command is the plan's `setup`."""

_ROOT = "/chargehand"
_NUMBERS = {"CHARGEHAND_PORT_BASE": "20000", "CHARGEHAND_TREE": "0" * 40, "CHARGEHAND_BASE": "0" * 40}
_VARIABLE = re.compile(r"\$(CHARGEHAND_[A-Z_]+)")
_URL_HOST = re.compile(r"\b(?:https?|wss?|ssh|ftp)://(?:[^\s/@]*@)?([A-Za-z0-9.-]+)")
_SPAN = re.compile(r"`([^`\n]{1,200})`")
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_PACKAGE = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9._/-]*")


def plan_commands(plan: Plan) -> Iterator[tuple[str, Command]]:
    """Every command of a plan with the id of its task or gate, in the order of the plan; `setup` comes first."""
    if plan.setup is not None:
        yield SETUP, plan.setup.run
    for gate in plan.gates:
        yield gate.id, gate.run
        if gate.fix is not None:
            yield gate.id, gate.fix
    for task in plan.tasks:
        for command in task.verify:
            yield task.id, command


def plan_dangers(plan: Plan, place: Place) -> list[tuple[str, str, Verdict]]:
    """What is asked about: (task or gate id, exact command, verdict), in the order of the plan.

    The variables of `env.set` come first, as `NAME=value` with `ENVIRONMENT` for the id.

    A list is written with quotes, so that no two commands have one text.

    Whether a sandbox will hold them makes no difference: these are agreed before anything runs. A program that nobody
    knows is no question here, as long as nothing else is.
    """
    place = replace(place, sandboxed=False)
    found = [*environment_dangers(plan.env.values, place)]
    for owner, command in plan_commands(plan):
        if command.shell:
            verdict = classify(command.argv[0], place, strangers=False)
        else:
            verdict = classify_argv([_substituted(word, place) for word in command.argv], place, strangers=False)
        if verdict.kind is not Kind.HARMLESS:
            found.append((owner, command.argv[0] if command.shell else shlex.join(command.argv), verdict))
    return found


def plan_place(plan: Plan) -> Place:
    """Where the commands of a plan will run, before there is a workspace: only its shape matters."""
    folders = {"HOME": f"{_ROOT}/home", "TMPDIR": f"{_ROOT}/temporary", "CHARGEHAND_SCRATCH": f"{_ROOT}/scratch"}
    out = f"{_ROOT}/out"
    return Place(
        cwd=f"{_ROOT}/workspace",
        inside=(f"{_ROOT}/workspace",),
        private=(*folders.values(), out),
        home=folders["HOME"],
        tmp=folders["TMPDIR"],
        hosts=named_hosts(plan),
        packages=named_packages(plan),
        variables=dict(plan.env.values) | folders | {"CHARGEHAND_JUNIT": f"{out}/junit.xml"} | _NUMBERS,
    )


def attempt_place(
    plan: Plan, places: Places, *, sandboxed: bool, private: Iterable[str] = (), untracked: Iterable[str] = ()
) -> Place:
    """Where the tool calls of an attempt happen. `private`: further folders of its own, as a temporary one of bwrap."""
    folders = {"HOME": str(places.home), "TMPDIR": str(places.tmp), "CHARGEHAND_SCRATCH": str(places.scratch)}
    return Place(
        cwd=str(places.workspace),
        inside=(str(places.workspace),),
        private=(*folders.values(), str(places.result.parent), *private),
        home=folders["HOME"],
        tmp=folders["TMPDIR"],
        sandboxed=sandboxed,
        hosts=named_hosts(plan),
        packages=named_packages(plan),
        variables=dict(plan.env.values) | folders | {"CHARGEHAND_RESULT": str(places.result)},
        untracked=frozenset(untracked),
        real=True,
    )


def _substituted(word: str, place: Place) -> str:
    return _VARIABLE.sub(lambda match: place.variables.get(match[1], match[0]), word)


def named_hosts(plan: Plan) -> frozenset[str]:
    """The hosts that the plan's prose names: in an address, or as a code span. Its commands name nothing."""
    hosts = {host.lower().rstrip(".") for text in _prose(plan) for host in _URL_HOST.findall(text)}
    return frozenset(hosts | {span.lower() for span in _spans(plan) if _HOST.fullmatch(span.lower())})


def named_packages(plan: Plan) -> frozenset[str]:
    """The packages that the plan's prose names, as code spans, in lower case. Its commands name nothing."""
    return frozenset(span.lower() for span in _spans(plan) if _PACKAGE.fullmatch(span))


def _spans(plan: Plan) -> Iterator[str]:
    for text in _prose(plan):
        yield from _SPAN.findall(text)


def _prose(plan: Plan) -> Iterator[str]:
    yield plan.goal
    yield from plan.success_criteria
    for risk in plan.risks:
        yield risk.mitigation
    for task in plan.tasks:
        yield from (task.title, task.description, task.approach, *task.acceptance, *task.mandates)

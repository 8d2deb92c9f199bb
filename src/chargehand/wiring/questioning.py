"""Which commands of a plan want somebody's yes before a run executes them (SPEC 7.2)."""

from __future__ import annotations

from collections.abc import Sequence

from chargehand.domain.plan import Plan
from chargehand.domain.problem import Problem, Severity
from chargehand.domain.words import Questioned
from chargehand.settings import Rank, Settings

__all__ = ["agreed", "dangers_ahead", "keys_handed_out", "questioned"]

_SET = "env.set."


def agreed(settings: Settings) -> tuple[str, ...]:
    """What the user said already: approved commands, and the variables that their own settings set, `NAME=value`."""
    own = [
        f"{key.removeprefix(_SET)}={value.value}"
        for key, value in settings.values.items()
        if key.startswith(_SET) and value.rank is not Rank.PROJECT
    ]
    return (*settings.commands.approved, *own)


def keys_handed_out(plan: Plan, settings: Settings, source: str) -> list[Problem]:
    """Errors for names in `env.pass` that hold the keys of agents whose programs are handed them by their drivers.

    Every gate and every other agent would get the key, past the meter. What the settings pass on is the user's to say.
    """
    from chargehand.wiring.providers import takes_key

    keys = {agent.key.removeprefix("env:"): agent.name for agent in settings.agents if agent.key and takes_key(agent)}
    return [
        Problem(
            code="bad_value",
            message=f"env.pass hands {name}, the key of agent {keys[name]}, to every program of the run.",
            hint=f"Take {name} out: the agent gets what it needs without it.",
            file=source,
            path=("env", "pass", number),
        )
        for number, name in enumerate(plan.env.passed)
        if name in keys and name not in settings.env.passed
    ]


def questioned(plan: Plan, approved: Sequence[str] = ()) -> tuple[Questioned, ...]:
    """The dangerous and the unreadable commands of a plan, but for those whose exact text was approved before."""
    from chargehand.adapters.guarding.plans import ENVIRONMENT, SETUP, plan_dangers, plan_place

    gates = {gate.id for gate in plan.gates}
    found = []
    for owner, command, verdict in plan_dangers(plan, plan_place(plan)):
        if command in approved:
            continue
        if owner in gates:
            of_run, where = True, f"Gate {owner}"
        elif owner == ENVIRONMENT:
            of_run, where = True, "Environment"
        elif owner == SETUP and plan.setup is not None:
            of_run, where = True, "Setup"
        else:
            of_run, where = False, f"Task {owner}"
        why = " ".join(dict.fromkeys(danger.why for danger in verdict.reasons))
        found.append(Questioned(task="" if of_run else owner, where=where, command=command, why=why))
    return tuple(found)


def dangers_ahead(plan: Plan, source: str, approved: Sequence[str] = ()) -> list[Problem]:
    """The same as warnings of `check`: nothing is wrong with them, but a run will ask (SPEC 10.1)."""
    return [
        Problem(
            code="dangerous_command",
            message=f"{each.where}: a run asks before it executes `{each.command}`. {each.why}",
            severity=Severity.WARNING,
            hint="Answer it in the run, or name its exact text in `commands.approved` of your own settings.",
            file=source,
            task=each.task,
            command=each.command,
        )
        for each in questioned(plan, approved)
    ]

"""Joins a plan with the settings: the plan goes before files, the environment and flags before the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chargehand.domain.plan import Defaults, EnvSpec, Features, GateSpec, Limits, Plan, Task
from chargehand.plans.loaded import Stated
from chargehand.settings.values import Rank, Settings

__all__ = ["merge_into"]

_NAMES = ("agent", "reviewer", "model", "weight", "mode")
_BOUNDS = {"wall": "wall_s", "idle": "idle_s", "tokens": "tokens", "usd": "usd"}


def merge_into(plan: Plan, settings: Settings, stated: Stated) -> Plan:
    """The plan with what the settings add.

    Files fill in what the plan does not state; environment, `--set` and flags go before what it states for all its
    tasks. What a task states itself stays. Gates are added unless the plan has one of that id, names to pass on are
    joined, a variable or a setup of the plan wins.
    """
    defaults, changed = _defaults(plan.defaults, settings, stated)
    return replace(
        plan,
        profile=_choose(plan.profile, settings.profile, "profile", settings, stated),
        barrier=_choose(plan.barrier, settings.barrier, "barrier", settings, stated),
        features=Features(
            code_review=_choose(
                plan.features.code_review, settings.code_review, "features.code_review", settings, stated
            ),
            holistic=_choose(plan.features.holistic, settings.holistic, "features.holistic", settings, stated),
        ),
        setup=plan.setup or settings.setup,
        env=_env(plan.env, settings.env),
        gates=_gates(plan.gates, settings.gates),
        defaults=defaults,
        tasks=tuple(_task(task, changed, stated) for task in plan.tasks) if changed else plan.tasks,
    )


def _choose(own: Any, other: Any, key: str, settings: Settings, stated: Stated) -> Any:
    if other is None or (key in stated.keys and settings.rank(key) <= Rank.PROJECT):
        return own
    return other


def _defaults(own: Defaults, settings: Settings, stated: Stated) -> tuple[Defaults, Mapping[str, Any]]:
    """The defaults, and those of them that the settings changed (`weight`, `limits.wall`, …)."""
    changed: dict[str, Any] = {}
    for name in _NAMES:
        top = name if name in {"agent", "reviewer"} and name in settings.values else f"defaults.{name}"
        other = getattr(settings, name) if top == name else getattr(settings.defaults, name)
        before = f"defaults.{name}" in stated.keys and settings.rank(top) <= Rank.PROJECT
        if other is not None and not before and other != getattr(own, name):
            changed[name] = other
    for bound, field in _BOUNDS.items():
        key = f"defaults.limits.{bound}"
        other = _choose(None, getattr(settings.defaults.limits, field), key, settings, stated)
        if other is not None:
            changed[f"limits.{bound}"] = other
    plain = {name: value for name, value in changed.items() if name in _NAMES}
    return replace(own, **plain, limits=_limits(own.limits, changed)), changed


def _limits(own: Limits, changed: Mapping[str, Any]) -> Limits:
    found = {field: changed[f"limits.{bound}"] for bound, field in _BOUNDS.items() if f"limits.{bound}" in changed}
    return replace(own, **found) if found else own


def _task(task: Task, changed: Mapping[str, Any], stated: Stated) -> Task:
    taken = {key: value for key, value in changed.items() if task.id not in stated.tasks.get(key, ())}
    plain = {name: value for name, value in taken.items() if name in _NAMES}
    return replace(task, **plain, limits=_limits(task.limits, taken))


def _env(own: EnvSpec, other: EnvSpec) -> EnvSpec:
    return EnvSpec(
        passed=tuple(dict.fromkeys((*own.passed, *other.passed))),
        values=tuple({**dict(other.values), **dict(own.values)}.items()),
    )


def _gates(own: tuple[GateSpec, ...], other: tuple[GateSpec, ...]) -> tuple[GateSpec, ...]:
    ids = {gate.id for gate in own}
    return (*own, *(gate for gate in other if gate.id not in ids))

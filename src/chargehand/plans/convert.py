"""From the models of the native format to the values of the domain: defaults are filled in here."""

from __future__ import annotations

from collections.abc import Iterator

from chargehand.domain.plan import (
    Barrier,
    Complexity,
    Defaults,
    EnvSpec,
    Features,
    Files,
    GatePoint,
    GateSpec,
    Interfaces,
    Limits,
    Mode,
    Plan,
    Risk,
    Scope,
    SetupSpec,
    Task,
    TaskType,
    Weight,
)
from chargehand.plans.loaded import Stated
from chargehand.plans.models import (
    DefaultsModel,
    EnvModel,
    FeaturesModel,
    FilesModel,
    GateModel,
    InterfacesModel,
    LimitsModel,
    PlanModel,
    SetupModel,
    TaskModel,
)

__all__ = ["defaults_of", "env_of", "features_of", "gate_of", "plan_of", "setup_of", "stated_of"]

_LIMITS = Limits()
_INTERFACES = Interfaces()
_GATE_POINTS = frozenset({GatePoint.INTEGRATE, GatePoint.RUN})
_INHERITED = ("agent", "reviewer", "model", "weight", "mode")
_BOUNDS = ("wall", "idle", "tokens", "usd")


def plan_of(model: PlanModel) -> Plan:
    """The plan; each task has what `defaults` give where it says nothing."""
    defaults = defaults_of(model.defaults)
    return Plan(
        plan=model.plan,
        goal=model.goal or "",
        profile=model.profile or "house",
        barrier=model.barrier or Barrier.NONE,
        success_criteria=_many(model.success_criteria),
        risks=tuple(Risk(risk=risk.risk, mitigation=risk.mitigation or "") for risk in model.risks or ()),
        features=features_of(model.features),
        setup=setup_of(model.setup),
        env=env_of(model.env),
        allowlist=_many(model.allowlist),
        allow_red=_many(model.allow_red),
        defaults=defaults,
        gates=tuple(gate_of(gate) for gate in model.gates or ()),
        tasks=tuple(_task_of(task, defaults) for task in model.tasks or ()),
    )


def _many(texts: list[str] | None) -> tuple[str, ...]:
    return tuple(texts) if texts else ()


def features_of(model: FeaturesModel | None) -> Features:
    """The switches, each on unless it says otherwise."""
    if model is None:
        return Features()
    return Features(code_review=model.code_review is not False, holistic=model.holistic is not False)


def setup_of(model: SetupModel | None) -> SetupSpec | None:
    """The setup command, or None."""
    if model is None:
        return None
    return SetupSpec(run=model.run, key=_many(model.key), keep=_many(model.keep))


def env_of(model: EnvModel | None) -> EnvSpec:
    """The environment, in the order of the file."""
    if model is None:
        return EnvSpec()
    return EnvSpec(passed=_many(model.pass_), values=tuple((model.set_ or {}).items()))


def defaults_of(model: DefaultsModel | None) -> Defaults:
    """What tasks take where they say nothing."""
    if model is None:
        return Defaults()
    return Defaults(
        agent=model.agent,
        reviewer=model.reviewer,
        model=model.model,
        weight=model.weight or Weight.FULL,
        mode=model.mode or Mode.PARALLEL,
        limits=_limits_of(model.limits, _LIMITS),
    )


def _limits_of(model: LimitsModel | None, defaults: Limits) -> Limits:
    if model is None:
        return defaults
    return Limits(
        wall_s=defaults.wall_s if model.wall is None else model.wall,
        idle_s=defaults.idle_s if model.idle is None else model.idle,
        tokens=defaults.tokens if model.tokens is None else model.tokens,
        usd=defaults.usd if model.usd is None else model.usd,
    )


def gate_of(model: GateModel) -> GateSpec:
    """A gate; it runs on candidates and on the final tree unless it says otherwise."""
    return GateSpec(
        id=model.id,
        run=model.run,
        on=frozenset(model.on) if model.on else _GATE_POINTS,
        wall_s=model.wall,
        idle_s=model.idle,
        fix=model.fix,
        junit=bool(model.junit),
    )


def _task_of(model: TaskModel, defaults: Defaults) -> Task:
    return Task(
        id=model.id,
        title=model.title,
        description=model.description or "",
        approach=model.approach or "",
        depends_on=_many(model.depends_on),
        wave=model.wave,
        files=_files_of(model.files),
        scope=model.scope or Scope.STRICT,
        acceptance=_many(model.acceptance),
        verify=tuple(model.verify or ()),
        interfaces=_interfaces_of(model.interfaces),
        type=model.type or TaskType.EXECUTE,
        weight=model.weight or defaults.weight,
        complexity=model.complexity or Complexity.SIMPLE,
        needs_human=bool(model.needs_human),
        allow_empty=bool(model.allow_empty),
        allow_test_changes=bool(model.allow_test_changes),
        overlay=bool(model.overlay),
        mandates=_many(model.mandates),
        agent=model.agent or defaults.agent,
        model=model.model or defaults.model,
        reviewer=model.reviewer or defaults.reviewer,
        limits=_limits_of(model.limits, defaults.limits),
        mode=model.mode or defaults.mode,
    )


def _files_of(model: FilesModel | None) -> Files | None:
    if model is None:
        return None
    return Files(create=_many(model.create), modify=_many(model.modify), test=_many(model.test), read=_many(model.read))


def _interfaces_of(model: InterfacesModel | None) -> Interfaces:
    if model is None:
        return _INTERFACES
    return Interfaces(consumes=_many(model.consumes), produces=_many(model.produces))


# -- what was said --------------------------------------------------------------------------------


def stated_of(model: PlanModel) -> Stated:
    """Which keys the plan states itself (see `Stated`)."""
    tasks: dict[str, set[str]] = {}
    for task in model.tasks or ():
        for key in _task_keys(task):
            tasks.setdefault(key, set()).add(task.id)
    return Stated(
        keys=frozenset(_plan_keys(model)),
        tasks={key: frozenset(ids) for key, ids in tasks.items()},
        gates=len(model.gates or ()),
    )


def _plan_keys(model: PlanModel) -> Iterator[str]:
    for name in type(model).model_fields:
        if getattr(model, name) is not None:
            yield name
    for name in ("code_review", "holistic"):
        if model.features is not None and getattr(model.features, name) is not None:
            yield f"features.{name}"
    if model.defaults is not None:
        for name in _INHERITED:
            if getattr(model.defaults, name) is not None:
                yield f"defaults.{name}"
        yield from (f"defaults.limits.{name}" for name in _bounds(model.defaults.limits))


def _task_keys(task: TaskModel) -> Iterator[str]:
    for name in _INHERITED:
        if getattr(task, name) is not None:
            yield name
    yield from (f"limits.{name}" for name in _bounds(task.limits))


def _bounds(limits: LimitsModel | None) -> list[str]:
    return [name for name in _BOUNDS if getattr(limits, name) is not None] if limits is not None else []

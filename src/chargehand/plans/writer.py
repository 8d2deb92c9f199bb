"""A plan as native YAML that reads back to an equal plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import yaml

from chargehand.domain.plan import Command, Defaults, Files, GatePoint, GateSpec, Interfaces, Limits, Plan, Task
from chargehand.plans.fields import duration_text, parse_duration

__all__ = ["dump_native", "native_document"]

_POINTS = tuple(GatePoint)
_GATE_DEFAULT = frozenset({GatePoint.INTEGRATE, GatePoint.RUN})


def dump_native(plan: Plan) -> str:
    """The plan as YAML; `inferred` and `accept_staged`, which the format does not have, become comments at the top.

    `ValueError` when it cannot be written so that it reads back: a task without an agent, model, reviewer or bound
    where `defaults` have one, or a text with a NUL.
    """
    notes = "".join(f"# inferred: {' '.join(note.split())}\n" for note in plan.inferred)
    notes += "# accept_staged: of this plan, accept would leave the change staged\n" if plan.accept_staged else ""
    document = native_document(plan)
    body: str = yaml.dump(
        document, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )
    return notes + body


def native_document(plan: Plan) -> dict[str, Any]:
    """The plan as a JSON value in the native format; what is a default is left out."""
    env = {"pass": list(plan.env.passed), "set": dict(plan.env.values)}
    document: dict[str, Any] = {
        "chargehand": 1,
        "plan": plan.plan,
        "goal": plan.goal,
        "profile": _unless(plan.profile, "house"),
        "barrier": _unless(plan.barrier.value, "none"),
        "success_criteria": list(plan.success_criteria),
        "risks": [_full({"risk": risk.risk, "mitigation": risk.mitigation}) for risk in plan.risks],
        "features": {key: value for key, value in asdict(plan.features).items() if not value},
        "setup": _setup(plan),
        "env": _full(env),
        "allowlist": list(plan.allowlist),
        "allow_red": list(plan.allow_red),
        "defaults": _inherited(plan.defaults, Defaults(), "The plan's defaults"),
        "gates": [_gate(gate) for gate in plan.gates],
        "tasks": [_task(task, plan.defaults) for task in plan.tasks],
    }
    return {key: value for key, value in document.items() if value not in (None, "", [], {}) or key == "tasks"}


def _dumper() -> Any:
    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """Leaves words like `on` and `none` unquoted: for the reader they are text."""

        yaml_implicit_resolvers = {  # noqa: RUF012 - the name PyYAML looks for
            first: [(tag, expression) for tag, expression in resolvers if not _is_word(tag, first)]
            for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
        }

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
            """Write everything out."""
            return True

    return Dumper


def _is_word(tag: str, first: str) -> bool:
    return tag == "tag:yaml.org,2002:bool" and first not in "tTfF"


def _unless(value: str, default: str) -> str | None:
    return None if value == default else value


def _full(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in value.items() if part not in (None, "", [], {}, False)}


def _command(command: Command | None) -> list[str] | str | None:
    if command is None:
        return None
    return command.argv[0] if command.shell else list(command.argv)


def _seconds(value: float | None) -> str | None:
    if value is None:
        return None
    text = duration_text(value)
    return text if parse_duration(text) == value else f"{Decimal(str(value)):f}s"


def _setup(plan: Plan) -> dict[str, Any] | None:
    if plan.setup is None:
        return None
    return _full({"run": _command(plan.setup.run), "key": list(plan.setup.key), "keep": list(plan.setup.keep)})


def _gate(gate: GateSpec) -> dict[str, Any]:
    on = None if gate.on == _GATE_DEFAULT else [point.value for point in _POINTS if point in gate.on]
    bounds = {"wall": _seconds(gate.wall_s), "idle": _seconds(gate.idle_s)}
    more = {"fix": _command(gate.fix), "junit": gate.junit}
    return _full({"id": gate.id, "run": _command(gate.run), "on": on, **bounds, **more})


def _inherited(own: Task | Defaults, defaults: Defaults, who: str) -> dict[str, Any]:
    """The keys that a task takes from the defaults, where it differs."""
    found: dict[str, Any] = {}
    for name in ("agent", "reviewer", "model", "weight", "mode"):
        value, default = getattr(own, name), getattr(defaults, name)
        if value != default:
            found[name] = _stated(value, f"{who}: {name}")
    limits = {
        name: _stated(value, f"{who}: limits.{name}")
        for name, value in _bounds(own.limits).items()
        if value != _bounds(defaults.limits)[name]
    }
    return {**found, "limits": limits} if limits else found


def _stated(value: Any, what: str) -> Any:
    if value is None:
        raise ValueError(f"{what} cannot be written as unset, because the defaults of the plan set it.")
    return getattr(value, "value", value)


def _bounds(limits: Limits) -> dict[str, Any]:
    return {
        "wall": _seconds(limits.wall_s),
        "idle": _seconds(limits.idle_s),
        "tokens": limits.tokens,
        "usd": limits.usd,
    }


def _lists(value: Files | Interfaces) -> dict[str, list[str]]:
    return {key: list(texts) for key, texts in asdict(value).items() if texts}


def _task(task: Task, defaults: Defaults) -> dict[str, Any]:
    head = {
        "description": task.description,
        "approach": task.approach,
        "depends_on": list(task.depends_on),
        "wave": task.wave,
    }
    files = {} if task.files is None else {"files": _lists(task.files)}
    rest = {
        "scope": _unless(task.scope.value, "strict"),
        "acceptance": list(task.acceptance),
        "verify": [_command(command) for command in task.verify],
        "interfaces": _lists(task.interfaces),
        "type": _unless(task.type.value, "execute"),
        "complexity": _unless(task.complexity.value, "simple"),
        "needs_human": task.needs_human,
        "allow_empty": task.allow_empty,
        "allow_test_changes": task.allow_test_changes,
        "overlay": task.overlay,
        "mandates": list(task.mandates),
    }
    own = _inherited(task, defaults, f"Task {task.id}")
    return {"id": task.id, "title": task.title, **_full(head), **files, **_full(rest), **own}

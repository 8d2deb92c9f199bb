"""The agent that plays a scenario instead of asking a model: for demos, tests, and trying a plan out for free.

Scenarios are YAML or JSON (docs/reference/scripted-agent.md). The program that plays them stands in
`chargehand.testing.scripted`; it is started by its path, isolated and without site-packages, which takes a third
of the time and works in any sandbox that lets the interpreter in.
"""

from __future__ import annotations

import json
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from chargehand.domain.errors import AdapterError
from chargehand.domain.options import AgentDef
from chargehand.ports import AttemptSpec, Launch, Places

__all__ = ["PROGRAM", "ScriptedAgent"]

PROGRAM = Path(__file__).parents[2] / "testing" / "scripted" / "__main__.py"


class ScriptedAgent:
    """Implements `ports.Agent`. The command of the definition is the path of the scenario file."""

    def __init__(self, definition: AgentDef) -> None:
        self.name = definition.name
        self._scenario = Path(definition.cwd or ".").absolute() / definition.command

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """The player on a file with this task's part of the scenario, next to the brief: visible in any sandbox."""
        tasks = self._tasks
        part = {task: tasks[task] for task in (spec.task, "*") if task in tasks}
        script = places.brief.with_name("scenario.json")
        try:
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text(json.dumps({"tasks": part}), "utf-8")
        except OSError as error:
            raise AdapterError("agent", f"The scenario cannot be written to {script}: {error.strerror}.") from error
        argv = (sys.executable, "-I", "-S", str(PROGRAM), str(script))
        return Launch(argv=argv, env={}, stdin=spec.brief.encode("utf-8", "replace"))

    def missing(self) -> str:
        """Why there is nothing to play; what is wrong inside the steps is said by the player."""
        try:
            self._tasks  # noqa: B018
        except AdapterError as error:
            return error.message
        return ""

    @cached_property
    def _tasks(self) -> dict[str, Any]:
        try:
            scenario = _load(self._scenario)
        except (OSError, ValueError, RecursionError) as error:
            raise AdapterError("agent", f"The scenario {self._scenario} cannot be read: {error}.") from None
        tasks = scenario.get("tasks") if isinstance(scenario, dict) else None
        if not isinstance(tasks, dict):
            raise AdapterError("agent", f"The scenario {self._scenario} has no mapping `tasks`.")
        return tasks


def _load(path: Path) -> Any:
    """A scenario with the types of JSON: keys become text, dates their ISO form."""
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    import yaml

    try:
        safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return json.loads(json.dumps(yaml.load(text, safe), default=str))  # noqa: S506
    except yaml.YAMLError as error:
        raise ValueError(str(error).replace("\n", " ")) from None
    except TypeError as error:
        raise ValueError(f"its keys must be texts or numbers ({error})") from None

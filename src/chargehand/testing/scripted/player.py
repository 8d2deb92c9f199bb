"""The program: arguments and environment in, exit code out."""
# importing `pathlib` would cost a quarter of the start-up time
# ruff: noqa: PTH109, PTH123

from __future__ import annotations

import json
import os
import sys

from .scenario import chosen, problems
from .steps import BAD_SCENARIO, STEP_FAILED, Quit, file_of, say
from .table import STEPS

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing `typing` would cost a quarter of the start-up time
    from collections.abc import Callable
    from typing import Any

__all__ = ["Player", "load", "main"]


class Player:
    """What the steps know: who is asked, and where things are."""

    def __init__(self, task: str, attempt: int, role: str, brief: str) -> None:
        self.task = task
        self.attempt = attempt
        self.role = role
        self.brief = brief

    def play(self, steps: list[Any]) -> None:
        """One step after the other."""
        for step in steps:
            if "if" in step:
                self.play(step.get("then" if self._holds(step["if"]) else "else", []))
                continue
            ((name, given),) = step.items()
            kind = STEPS[name]
            values = given if isinstance(given, dict) and not kind.whole else {kind.short: given}
            try:
                kind.play(self, **self._filled(values))
            except (OSError, ValueError) as error:
                raise Quit(STEP_FAILED, f"step `{name}`: {error}") from error

    def _holds(self, condition: dict[str, Any]) -> bool:
        facts: dict[str, Callable[[Any], bool]] = {
            "previous": lambda wanted: bool(file_of("CHARGEHAND_PREVIOUS")) == wanted,
            "exists": os.path.lexists,
            "brief": lambda text: text in self.brief,
        }
        return all(facts[name](self._filled(value)) for name, value in condition.items())

    def _filled(self, value: Any) -> Any:
        """The value with {{task}}, {{attempt}} and the like filled in, wherever it holds text."""
        if isinstance(value, dict):
            return {name: self._filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, str) or "{{" not in value:
            return value
        words = {"task": self.task, "attempt": str(self.attempt), "role": self.role, "cwd": os.getcwd()}
        for name in ("run", "base", "scratch", "tree"):
            words[name] = os.environ.get(f"CHARGEHAND_{name.upper()}", "")
        if "{{head}}" in value:
            words["head"] = os.popen("git rev-parse HEAD").read().strip()  # noqa: S605
        for name, text in words.items():
            value = value.replace("{{%s}}" % name, text)  # noqa: UP031
        return value


def load(path: str) -> Any:
    """A scenario from JSON, or from YAML where PyYAML can be imported."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if path.endswith((".yaml", ".yml")):
            import yaml

            return json.loads(json.dumps(yaml.safe_load(text), default=str))
        return json.loads(text)
    except ImportError:
        raise Quit(BAD_SCENARIO, f"{path}: YAML needs PyYAML; give JSON") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Quit(BAD_SCENARIO, f"{path}: {error}") from None
    except Exception as error:  # noqa: BLE001 - the errors of a module that may not be there
        raise Quit(BAD_SCENARIO, f"{path}: {error}") from None


def _arguments(argv: list[str]) -> tuple[str, bool]:
    """The scenario, and whether it is only to be checked; options become the environment they stand for."""
    if len(argv) == 1 and not argv[0].startswith("-"):
        return argv[0], False
    import argparse

    parser = argparse.ArgumentParser(prog="chargehand.testing.scripted", description="Play a scenario.")
    parser.add_argument("scenario")
    parser.add_argument("--check", action="store_true", help="only say what is wrong with the scenario")
    for name in ("task", "attempt", "role"):
        parser.add_argument(f"--{name}", help=f"instead of CHARGEHAND_{name.upper()}")
    options = parser.parse_args(argv)
    for name in ("task", "attempt", "role"):
        if getattr(options, name):
            os.environ[f"CHARGEHAND_{name.upper()}"] = getattr(options, name)
    return options.scenario, options.check


def _main(argv: list[str]) -> int:
    path, only_check = _arguments(argv)
    scenario = load(path)
    found = problems(scenario)
    if found:
        raise Quit(BAD_SCENARIO, "\n".join([f"{path} is not a scenario:", *found]))
    if only_check:
        say(f"{path}: {len(scenario['tasks'])} tasks, nothing wrong.\n")
        return 0
    task, role = os.environ.get("CHARGEHAND_TASK", ""), os.environ.get("CHARGEHAND_ROLE", "implementer")
    number = os.environ.get("CHARGEHAND_ATTEMPT", "1")
    if not number.isdecimal():
        raise Quit(BAD_SCENARIO, f"CHARGEHAND_ATTEMPT is {number!r}, which is no number")
    attempt = int(number)
    steps = chosen(scenario, task, attempt, role)
    brief = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8", "replace")
    Player(task, attempt, role, brief).play(steps)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Play, and say on stderr why when it ends early; answers the exit code."""
    try:
        return _main(sys.argv[1:] if argv is None else argv)
    except Quit as quit_:
        say(f"scripted agent: {quit_}\n", "stderr")
        return quit_.code

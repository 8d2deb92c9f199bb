"""The projects in which real coordinators are killed: the one of the demo, and a short one with restless agents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from chargehand.demo.stage import SAMPLE

__all__ = ["DEMO_TASKS", "RESTLESS_TASKS", "demo", "restless"]

DEMO_TASKS = ("ledger", "csvfile", "money", "search", "report", "labels", "cli", "readme")
RESTLESS_TASKS = ("a", "b", "c", "d")


def demo() -> dict[str, str]:
    """The project of `make demo`, whose agents do not dawdle; its state lies where it lies by default."""
    files = {
        str(file.relative_to(SAMPLE)): file.read_text(encoding="utf-8")
        for file in sorted(SAMPLE.rglob("*"))
        if file.is_file() and not {"__pycache__", ".ruff_cache"} & set(file.parts)
    }
    files["agent.yaml"] = re.sub(r"wait: 0\.\d+", "wait: 0.02", files["agent.yaml"])
    files["chargehand.toml"] = re.sub(r"(?m)^state_dir.*$", "", files["chargehand.toml"])
    return files


def restless() -> dict[str, str]:
    """Four tasks, two in a row and two of them in each other's way; agents write slowly and leave children behind.

    Every agent starts a child, one in another session and one that detached twice; they write into the workspace
    long after the agent has ended, if nobody ends them.
    """
    plan: dict[str, Any] = {
        "chargehand": 1,
        "plan": "restless",
        "features": {"code_review": False, "holistic": False},
        "allowlist": ["CHANGES.md"],
        "defaults": {"agent": "script", "limits": {"wall": "30s"}},
        "gates": [{"id": "tests", "run": ["sh", "-c", "sleep 0.05; ! grep -rq broken --include=*.txt ."]}],
        "tasks": [
            {"id": name, "title": name.upper(), "depends_on": needs, "files": {"create": [f"{name}.txt"]}}
            for name, needs in (("a", []), ("b", []), ("c", ["a"]), ("d", ["b"]))
        ],
    }
    tasks = {name: _steps(name) for name in RESTLESS_TASKS}
    return {
        "README.md": "A project.\n",
        "CHANGES.md": "# Changes\n",
        "plan.yaml": json.dumps(plan, indent=1),
        "agent.json": json.dumps({"scenario": 1, "tasks": tasks}, indent=1),
        "chargehand.toml": '[agents.script]\nkind = "scripted"\ncommand = "agent.json"\n',
    }


def _steps(name: str) -> list[Mapping[str, Any]]:
    late = {"seconds": 20, "write": f"{name}.txt"}
    return [
        {"spawn": {"how": "plain", **late}},
        {"spawn": {"how": "setsid", **late, "keep_output": True}},
        {"spawn": {"how": "double_fork", **late}},
        {"write": {"path": f"{name}.txt", "text": "one\n"}},
        {"wait": 0.1},
        {"append": {"path": f"{name}.txt", "text": "two\n"}},
        {"wait": 0.1},
        {"append": {"path": f"{name}.txt", "text": f"three of {name}\n"}},
        *([{"append": {"path": "CHANGES.md", "text": f"- {name}\n"}}] if name in "ab" else []),
        {"report": {"status": "DONE"}},
    ]

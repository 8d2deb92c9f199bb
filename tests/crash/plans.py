"""The projects in which real coordinators are killed: the demo's, one that is judged, one with restless agents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from chargehand.demo.stage import SAMPLE

__all__ = ["DEMO_TASKS", "JUDGED_TASKS", "RESTLESS_TASKS", "demo", "judged", "restless"]

DEMO_TASKS = ("ledger", "csvfile", "money", "search", "report", "labels", "cli", "readme")
JUDGED_TASKS = ("doubt", "mend", "unfit", "plain", "also")
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


def judged() -> dict[str, str]:
    """Five tasks side by side: a review that fails, a `fix` command, a gate that needs a fitter, two without anything.

    Those two are gated as merged, one on the other, and in the end somebody looks at the whole. Whoever looks and every
    command takes long enough to be cut off in the middle.
    """
    light = {"complexity": "trivial", "weight": "light"}
    checks = {
        "lint.sh": "sleep 0.2\n! grep -q badly mend.txt 2> /dev/null\n",
        "mend.sh": "sleep 0.3\nsed -i s/badly/well/ mend.txt\n",
        "fit.sh": 'test -e unfit.txt || exit 0\nsleep 0.2\ntest -n "$FIT_PORT" || exit 126\n',
        "sum.sh": "test -e plain.txt && test -e also.txt || sleep 0.4\nsleep 0.2\n",
    }
    plan: dict[str, Any] = {
        "chargehand": 1,
        "plan": "judged",
        "features": {"code_review": True, "holistic": True},
        "defaults": {"agent": "script", "limits": {"wall": "30s"}},
        "gates": [
            {"id": "lint", "run": ["sh", "lint.sh"], "on": ["task"], "fix": ["sh", "mend.sh"]},
            {"id": "fit", "run": ["sh", "fit.sh"], "on": ["task"]},
            {"id": "sum", "run": ["sh", "sum.sh"], "on": ["integrate", "run"]},
        ],
        "tasks": [
            {"id": name, "title": name, "files": {"create": [f"{name}.txt"]}, **(light if name in quick else {})}
            for quick in [("unfit", "plain", "also")]
            for name in ("plain", "also", "unfit", "mend", "doubt")
        ],
    }
    return {
        "README.md": "A project.\n",
        **checks,
        "plan.yaml": json.dumps(plan, indent=1),
        "agent.json": json.dumps({"scenario": 1, "tasks": _judged_steps()}, indent=1),
        "chargehand.toml": 'jobs = 5\n[agents.script]\nkind = "scripted"\ncommand = "agent.json"\n',
    }


def _judged_steps() -> dict[str, Any]:
    done = {"report": {"status": "DONE"}}

    def wrote(name: str, text: str) -> list[Mapping[str, Any]]:
        return [{"wait": 0.1}, {"write": {"path": f"{name}.txt", "text": text}}, {"wait": 0.1}, done]

    late = {"spawn": {"how": "double_fork", "seconds": 20, "write": "late.txt"}}
    passes = [late, {"wait": 0.3}, {"verdict": "PASS"}]
    mended = [{"replace": {"path": "doubt.txt", "old": "draft", "new": "final"}}, {"wait": 0.3}, done]
    fitted = {"mitigation_applied": ["It is told that it may start."], "environment": {"FIT_PORT": "1"}}
    looks = {"default": {"attempts": {"default": passes}}}
    fails = [{"wait": 0.3}, {"verdict": ["major doubt.txt:1 It is a draft."]}]
    return {
        "doubt": {
            "roles": {
                "implementer": wrote("doubt", "draft\n"),
                "spec-reviewer": {"attempts": {2: fails, "default": passes}},
                "fixer": mended,
                **looks,
            }
        },
        "mend": {"roles": {"implementer": wrote("mend", "badly\n"), **looks}},
        "unfit": {
            "roles": {"implementer": wrote("unfit", "unfit\n"), "fitter": [{"wait": 0.3}, {"restoration": fitted}]}
        },
        "plain": {"roles": {"implementer": wrote("plain", "plain\n")}},
        "also": {"roles": {"implementer": wrote("also", "also\n")}},
        "run": {"roles": looks},
    }


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

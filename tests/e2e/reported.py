"""A run with something of everything, for whoever looks at reports: retries, findings, a flake, questions, a block."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.e2e.world import World, write

__all__ = ["HOSTILE", "answer", "play_rich"]

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'> @everyone #1 \u202eevil\u202c \x1b[31mred"
"""What a plan, an agent or a file name may hold."""

_MODEL = """\
from dataclasses import dataclass


@dataclass(frozen=True)
class Todo:
    title: str
    done: bool = False


def add(title: str) -> Todo:
    if not title:
        raise ValueError("title")
    return Todo(title)
"""
_API = "from todo.model import add\n\n\ndef post(body):\n    return add(body['title'])\n"
_GREEN = ["sh", "-c", "test ! -e broken"]


def done(summary: str) -> dict[str, Any]:
    return {"report": {"status": "DONE", "summary": summary}}


def _task(name: str, title: str, *needs: str, **keys: Any) -> dict[str, Any]:
    return {"id": name, "title": title, "depends_on": list(needs), **keys}


def _tasks(marks: str) -> list[dict[str, Any]]:
    flaky = ["sh", "-c", f"test -e {marks}/flaky || {{ touch {marks}/flaky; echo not yet; exit 1; }}"]
    return [
        _task(
            "model",
            "Todo model",
            description="A value with a title.\n\nAn empty title is an error.",
            approach="A frozen dataclass.",
            acceptance=["add() rejects an empty title"],
            files={"create": ["todo/model.py"], "test": ["tests/test_model.py"]},
        ),
        _task("store", "Keep todos in a file", "model", files={"create": ["todo/store.py"]}, verify=[flaky]),
        _task(
            "api",
            "HTTP interface over the model",
            "model",
            files={"create": ["todo/api.py"]},
            verify=[["sh", "-c", "grep -q model todo/api.py || { echo it does not use the model; exit 1; }"]],
        ),
        _task("ui", "A page that lists todos", "api", files={"create": ["todo/ui.py"]}, verify=[["false"]]),
        _task("deploy", "Put it on a server", "ui", "store", files={"create": ["deploy.sh"]}),
        _task("docs", HOSTILE, "api", description=HOSTILE, files={"create": ["docs/**"]}, acceptance=[HOSTILE]),
        _task("assets", "A picture and a large file", files={"create": ["assets/**"]}),
        _task("migrate", "Move the old data over", "store", needs_human=True, files={"create": ["migrate.py"]}),
        _task("cleanup", "Remove what nobody uses", "docs", "migrate", files={"modify": ["README.md"]}),
    ]


_MAJOR = "major todo/model.py:12 A title of blanks is as empty as none, and passes."
_SCENARIO: Mapping[str, Any] = {
    "model": {
        "roles": {
            "implementer": [
                write("todo/model.py", _MODEL),
                write("tests/test_model.py", "def test_add():\n    assert True\n"),
                done("The model, with a check of the title."),
            ],
            "fixer": [
                {"replace": {"path": "todo/model.py", "old": "if not title:", "new": "if not title.strip():"}},
                done("Blanks are refused, too."),
            ],
            "quality-reviewer": {
                "attempts": {
                    3: [
                        {
                            "verdict": [
                                _MAJOR,
                                "minor todo/model.py:7 `done` is never set.",
                                "note todo/model.py:1 Fine.",
                            ]
                        }
                    ],
                    "default": [{"verdict": "PASS"}],
                }
            },
        }
    },
    "store": [write("todo/store.py", "PATH = 'todos.json'\n"), done("A file.")],
    "api": {
        "roles": {
            "implementer": {
                "attempts": {
                    1: [write("todo/api.py", "def post(body):\n    return body\n"), done("All done!")],
                    "default": [write("todo/api.py", _API), done("It goes through the model now.")],
                }
            }
        }
    },
    "ui": [write("todo/ui.py", "def page():\n    return ''\n"), done("A page.")],
    "docs": [write("docs/<b>index</b>.md", f"# Docs\n\n{HOSTILE}\n"), done(HOSTILE)],
    "assets": [
        write("assets/pixel.bin", "\0\1\2" * 50),
        write("assets/table.csv", "".join(f"{n},{n * n}\n" for n in range(3000))),
        done("Made."),
    ],
    "migrate": [write("migrate.py", "print('moved')\n"), done("Moved.")],
    "cleanup": [write("README.md", "A project of todos.\n"), done("Less.")],
    "*": [done("Nothing to do.")],
    "run": {
        "roles": {
            "holistic-reviewer": [
                {
                    "verdict": {
                        "criteria": [{"criterion": "Todos can be added", "met": True, "evidence": "todo/model.py:11"}],
                        "findings": ["minor todo/api.py:4 `post` and `add` name one thing in two ways."],
                    }
                }
            ]
        }
    },
}


def play_rich(world: World) -> None:
    """Play it until it rests, say yes to the question about `migrate`, no more to the others, and go on to the end."""
    marks = world.folder / "marks"
    marks.mkdir()
    world.play(
        _tasks(str(marks)),
        _SCENARIO,
        unattended=False,
        features={"code_review": True, "holistic": True},
        goal="A small program that keeps todos, with an interface over HTTP.",
        success_criteria=["Todos can be added", "It runs on a server"],
        gates=[
            {"id": "tests", "run": _GREEN, "on": ["task", "integrate", "run"]},
            {"id": "legacy", "run": ["sh", "-c", "echo two tests fail since last year; exit 1"], "on": ["run"]},
        ],
        allow_red=["legacy"],
    )
    for _ in range(4):
        if not (world.state and world.state.decisions):
            break
        for decision in list(world.state.decisions.values()):
            choice = {"migrate": "approve"}.get(decision.task, decision.choices[-1])
            if decision.task != "migrate":
                choice = "skip" if "skip" in decision.choices else decision.choices[0]
            answer(world, decision.id, choice)
        world.resume()


def answer(world: World, decision: str, choice: str) -> None:
    """What a person says."""

    async def say() -> None:
        shop = await world.shop(())
        shop.service.answer(world.run, decision, choice, "uma", "for now")

    asyncio.run(say())

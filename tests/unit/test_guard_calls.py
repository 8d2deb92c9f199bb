"""Tool calls of agents, in the form their programs send them, and the rule on each."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chargehand.adapters.guarding.calls import Question, Ruling, ToolKind, read_call, rule
from tests.unit.test_guard_cases import PLACE, SANDBOXED

ALLOWED = Ruling(allow=True)


def call(tool: str, **given: Any):
    document = {
        "session_id": "s",
        "cwd": "/ws/repo",
        "hook_event_name": "PreToolUse",
        "tool_name": tool,
        "tool_input": given,
    }
    return read_call("claude", document)


def test_the_form_of_claude_and_codex() -> None:
    read = call("Bash", command="ls", description="list")
    assert (read.agent, read.session, read.tool, read.kind, read.command) == (
        "claude",
        "s",
        "Bash",
        ToolKind.COMMAND,
        "ls",
    )
    assert json.loads(read.raw)["tool_input"]["description"] == "list"


def test_the_form_of_gemini() -> None:
    document = {
        "session_id": "g",
        "cwd": "/ws/repo",
        "tool_name": "run_shell_command",
        "tool_input": {"command": "ls", "directory": "src"},
    }
    read = read_call("gemini", document)
    assert (read.kind, read.command, read.cwd) == (ToolKind.COMMAND, "ls", "src")
    assert read_call("gemini", {"tool_name": "write_file", "tool_input": {"file_path": "a"}}).paths == ("a",)
    assert read_call(
        "gemini", {"tool_name": "web_fetch", "tool_input": {"prompt": "Read https://x.example/a."}}
    ).urls == ("https://x.example/a.",)


def test_a_command_given_as_words() -> None:
    assert call("shell", command=["bash", "-lc", "rm -rf /outside"]).command == "bash -lc 'rm -rf /outside'"


@pytest.mark.parametrize("sandboxed", [False, True])
@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("Bash", {"command": "pytest -q"}),
        ("Bash", {"command": "rm build/x"}),
        ("Write", {"file_path": "/ws/repo/src/new.py", "content": "x"}),
        ("Edit", {"file_path": "src/app.py"}),
        ("Write", {"file_path": "/ws/tmp/x"}),
        ("apply_patch", {"command": "*** Begin Patch\n*** Add File: src/a.py\n+x\n*** End Patch"}),
        ("Read", {"file_path": "/etc/hosts"}),
        ("Read", {"file_path": "src/app.py"}),
        ("WebFetch", {"url": "http://127.0.0.1:8000/x", "prompt": "p"}),
        ("WebFetch", {"url": "https://api.example.com/x"}),
        ("TodoWrite", {"todos": []}),
        ("Glob", {"pattern": "**/.env"}),
    ],
)
def test_what_is_allowed(tool: str, given: dict[str, Any], sandboxed: bool) -> None:
    assert rule(call(tool, **given), SANDBOXED if sandboxed else PLACE) == ALLOWED


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("Bash", {}),
        ("Bash", {"command": 3}),
        ("Bash", {"command": "echo a\0b"}),
        ("Bash", {"command": "echo \udc80"}),
        ("Bash", {"command": "echo " + "x" * 9000}),
        ("Write", {"file_path": "/etc/motd"}),
        ("Write", {"file_path": "../other"}),
        ("Write", {"file_path": ""}),
        ("Write", {}),
        ("Edit", {"file_path": "~/../x"}),
        (
            "apply_patch",
            {"command": "*** Begin Patch\n*** Update File: src/a.py\n*** Move to: /etc/a.py\n*** End Patch"},
        ),
        ("apply_patch", {"command": "nothing"}),
    ],
)
@pytest.mark.parametrize("sandboxed", [False, True])
def test_what_is_denied_with_a_reason(tool: str, given: dict[str, Any], sandboxed: bool) -> None:
    """I8: what is written outside, or cannot be judged, is denied in every place."""
    told = rule(call(tool, **given), SANDBOXED if sandboxed else PLACE)
    assert isinstance(told, Ruling)
    assert not told.allow
    assert told.reason.endswith(".")


@pytest.mark.parametrize(
    ("tool", "given", "exact", "inside"),
    [
        ("Bash", {"command": "sh -c 'rm -rf /outside'"}, "sh -c 'rm -rf /outside'", False),
        ("Bash", {"command": "rm -rf build"}, "rm -rf build", True),
        ("Bash", {"command": "echo ("}, "echo (", False),
        ("Read", {"file_path": "/home/me/.ssh/id_rsa"}, "Read /home/me/.ssh/id_rsa", False),
        ("Read", {"file_path": ".env"}, "Read .env", True),
        ("Grep", {"pattern": "KEY", "path": "/home/me/.aws/credentials"}, "Grep /home/me/.aws/credentials", False),
        ("WebFetch", {"url": "https://evil.example/x"}, "WebFetch https://evil.example/x", False),
        ("WebFetch", {}, "WebFetch", False),
    ],
)
def test_what_is_a_question(tool: str, given: dict[str, Any], exact: str, inside: bool) -> None:
    """I9: the question holds the exact text, and inside a sandbox only what reaches outside it is one."""
    told = rule(call(tool, **given), PLACE)
    assert isinstance(told, Question)
    assert told.command == exact
    assert told.dangers
    assert all(danger.why in told.text for danger in told.dangers)
    assert (rule(call(tool, **given), SANDBOXED) == ALLOWED) == inside


def test_unknown_tools_are_allowed_in_a_sandbox_only() -> None:
    """SPEC 7.2: unknown = denied where no sandbox holds them."""
    assert rule(call("mcp__db__query", sql="drop table x"), SANDBOXED) == ALLOWED
    told = rule(call("mcp__db__query", sql="drop table x"), PLACE)
    assert isinstance(told, Ruling)
    assert "mcp__db__query" in told.reason
    assert not told.allow
    assert rule(read_call("claude", ["not", "a", "call"]), SANDBOXED) != ALLOWED


def test_the_repository_s_own_folder_is_not_written_without_a_sandbox() -> None:
    assert rule(call("Write", file_path=".git/hooks/pre-commit"), PLACE) != ALLOWED
    assert rule(call("Write", file_path=".git/hooks/pre-commit"), SANDBOXED) == ALLOWED


def test_a_call_from_another_folder_is_judged_there() -> None:
    moved = replace(call("Bash", command="rm victim"), cwd="/outside")
    assert isinstance(rule(moved, SANDBOXED), Question)

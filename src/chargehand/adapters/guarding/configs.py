"""What agents' programs are told about the hook, and the rules of their own that are the second line.

A native rule cannot be overruled by a yes, therefore those beside a hook hold only what nobody would allow; a program
without a hook is denied everything that would have been a question and that its rules can express.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "DENIED_ALWAYS",
    "DENIED_WITHOUT_HOOK",
    "WAIT_S",
    "claude_denied",
    "claude_settings",
    "codex_hooks",
    "codex_rules",
    "gemini_policy",
    "gemini_settings",
    "hook_argv",
    "opencode_permission",
]

WAIT_S = 7 * 24 * 3600
"""How long a program lets its hook wait for a person, in seconds; the hook itself denies a minute before."""

DENIED_ALWAYS = (
    *(("sudo",), ("su",), ("doas",), ("pkexec",), ("mkfs",), ("fdisk",), ("shutdown",), ("reboot",), ("halt",)),
    *(("poweroff",), ("crontab",), ("rm", "-rf", "/"), ("rm", "-fr", "/"), ("rm", "-rf", "~"), ("rm", "-fr", "~")),
)
"""Beginnings of commands that no program may run, whatever anybody says."""
DENIED_WITHOUT_HOOK = (
    *(("rm", "-rf", ".."), ("rm", "-rf", "/*"), ("git", "push"), ("npm", "publish"), ("twine", "upload")),
    *(("cargo", "publish"), ("gem", "push"), ("docker",), ("kubectl",), ("ssh",), ("scp",), ("systemctl",)),
    *(("killall",), ("pkill",), ("dd",)),
)
"""Those that are a question elsewhere, for programs that cannot be made to ask."""


def hook_argv(python: str, form: str, socket: Path) -> tuple[str, ...]:
    """The hook as the agent's program starts it: `form` is claude, codex, gemini or json."""
    program = Path(__file__).with_name("hook.py")
    return (python, "-I", "-S", str(program), form, "--socket", str(socket), "--within", str(WAIT_S - 60))


def claude_settings(hook: Sequence[str]) -> str:
    """The JSON for `claude --settings`."""
    return json.dumps({"hooks": _hooks("PreToolUse", hook, WAIT_S, "*")})


def claude_denied(*, hooked: bool = True) -> tuple[str, ...]:
    """The words behind `--disallowedTools`."""
    return tuple(f"Bash({' '.join(words)}:*)" for words in _denied(hooked=hooked))


def codex_hooks(hook: Sequence[str]) -> tuple[str, str]:
    """Path below HOME and text of the hooks of Codex, which needs `--dangerously-bypass-hook-trust` to believe it."""
    return ".codex/hooks.json", json.dumps({"hooks": _hooks("PreToolUse", hook, WAIT_S, ".*")})


def codex_rules(*, hooked: bool = True) -> tuple[str, str]:
    """Path below HOME and text of the rules of Codex; they count only without `--ignore-rules`."""
    lines = [
        f'prefix_rule(pattern={json.dumps(words)}, decision="forbidden", justification="Chargehand does not allow it.")'
        for words in _denied(hooked=hooked)
    ]
    return ".codex/rules/default.rules", "\n".join(lines) + "\n"


def gemini_settings(hook: Sequence[str], base: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """Path below HOME and text of the settings of Gemini CLI, with the hook added to `base`. Its times are ms."""
    hooks = _hooks("BeforeTool", hook, WAIT_S * 1000, ".*")
    return ".gemini/settings.json", json.dumps({**(base or {}), "hooks": hooks})


def gemini_policy(*, hooked: bool = True) -> str:
    """The TOML for `gemini --policy`."""
    rules = [
        "[[rule]]\n"
        'toolName = "run_shell_command"\n'
        f"commandPrefix = {json.dumps(' '.join(words))}\n"
        'decision = "deny"\n'
        "priority = 900\n"
        'denyMessage = "Chargehand does not allow it."\n'
        for words in _denied(hooked=hooked)
    ]
    return "\n".join(rules)


def opencode_permission(*, hooked: bool = False) -> dict[str, Any]:
    """The value of `permission` in the configuration of OpenCode, which has no hook: its last matching rule counts."""
    denied: dict[str, str] = {}
    for words in _denied(hooked=hooked):
        denied |= {" ".join(words): "deny", f"{' '.join(words)} *": "deny"}
    return {"edit": "allow", "webfetch": "deny", "external_directory": "deny", "bash": {"*": "allow", **denied}}


def _hooks(event: str, hook: Sequence[str], timeout: int, matcher: str) -> dict[str, Any]:
    command = {"type": "command", "command": shlex.join(hook), "timeout": timeout}
    return {event: [{"matcher": matcher, "hooks": [command]}]}


def _denied(*, hooked: bool) -> tuple[tuple[str, ...], ...]:
    return DENIED_ALWAYS if hooked else (*DENIED_ALWAYS, *DENIED_WITHOUT_HOOK)

"""Tool calls of agents: what their programs send before each of them, and the rule on it (SPEC 7.2).

Shell commands are classified. Files are written in the workspace and the private folders only. Files with secrets are a
question, as are hosts the plan does not name. A tool nobody knows is allowed where a sandbox holds the agent, and
denied elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from chargehand.adapters.guarding.classify import classify, unreadable
from chargehand.adapters.guarding.network import host_of
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.place import Place, Spot, is_loopback, is_secret_file
from chargehand.adapters.guarding.rules import RULES
from chargehand.adapters.guarding.verdict import Danger, Kind

__all__ = ["Question", "Ruling", "ToolCall", "ToolKind", "read_call", "rule"]


class ToolKind(StrEnum):
    """What a tool does; `nothing`: it touches neither files nor the network."""

    COMMAND = "command"
    WRITE = "write"
    READ = "read"
    FETCH = "fetch"
    NOTHING = "nothing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool, before it happens: all of it untrusted.

    `command` is the text for a shell (None: not told), `paths` what is written or read, `urls` what is fetched; `cwd`
    is where the agent says that it stands; `raw` the call as it came, as JSON.
    """

    agent: str
    session: str
    tool: str
    kind: ToolKind
    command: str | None = None
    paths: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    cwd: str = ""
    raw: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The answer to a tool call; the reason is read by the agent."""

    allow: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A call that somebody has to decide: `command` is the exact text, and a yes covers one execution of it."""

    command: str
    dangers: tuple[Danger, ...]

    @property
    def text(self) -> str:
        """Why it is asked, in plain words, one line for each reason."""
        return "\n".join(f"{danger.why} [{danger.rule}: {danger.exact}]" for danger in self.dangers)


_KINDS = {
    **dict.fromkeys(
        names("bash shell run_shell_command exec_command local_shell unified_exec execute"), ToolKind.COMMAND
    ),
    **dict.fromkeys(
        names("write edit multiedit notebookedit write_file replace apply_patch str_replace_editor"), ToolKind.WRITE
    ),
    **dict.fromkeys(
        names("read read_file read_many_files grep search_file_content grep_search view_image"), ToolKind.READ
    ),
    **dict.fromkeys(names("webfetch web_fetch fetch"), ToolKind.FETCH),
    **dict.fromkeys(
        names(
            "glob ls list_directory todowrite todoread write_todos update_plan task agent exitplanmode enterplanmode "
            "bashoutput taskoutput killshell killbash taskstop skill toolsearch structuredoutput complete_task"
        ),
        ToolKind.NOTHING,
    ),
}
_PATH_KEYS = ("file_path", "notebook_path", "absolute_path", "path", "paths", "filePath", "include")
_PATCHED = re.compile(r"^\*\*\* (?:Add File|Update File|Delete File|Move to): (.+)$", re.MULTILINE)
_URL = re.compile(r"https?://[^\s\"'<>)\]]+")


def read_call(agent: str, document: object, cwd: str = "") -> ToolCall:
    """The call in what the hook was given; what is missing or of another shape stays empty, and the rule denies it."""
    given = document if isinstance(document, Mapping) else {}
    tool = _text(given, "tool_name") or _text(given, "tool")
    put = given.get("tool_input", given.get("input"))
    fields: Mapping[str, Any] = put if isinstance(put, Mapping) else {}
    kind = _KINDS.get(tool.lower(), ToolKind.UNKNOWN)
    command = _command(fields)
    paths = _paths(fields)
    if tool == "apply_patch" or (kind is ToolKind.WRITE and not paths):
        patch = command or _text(fields, "input") or _text(fields, "patch")
        paths = tuple(_PATCHED.findall(patch))
    where = _text(given, "cwd") or cwd
    return ToolCall(
        agent=agent,
        session=_text(given, "session_id"),
        tool=tool,
        kind=kind,
        command=command,
        paths=paths,
        urls=_urls(fields) if kind is ToolKind.FETCH else (),
        cwd=(_text(fields, "directory") or _text(fields, "workdir") or where) if kind is ToolKind.COMMAND else where,
        raw=json.dumps(document),
    )


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _command(fields: Mapping[str, Any]) -> str | None:
    for key in ("command", "cmd"):
        value = fields.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
            import shlex

            return shlex.join(value)
    return None


def _paths(fields: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for key in _PATH_KEYS:
        value = fields.get(key)
        found += [value] if isinstance(value, str) else []
        found += [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    return tuple(found)


def _urls(fields: Mapping[str, Any]) -> tuple[str, ...]:
    url = _text(fields, "url")
    return (url,) if url else tuple(_URL.findall(_text(fields, "prompt")))


def rule(call: ToolCall, place: Place) -> Ruling | Question:
    """What the rules say of a call: yes, no with the reason, or a question for a person."""
    here = replace(place, cwd=place.full(call.cwd, place.cwd)) if call.cwd else place
    match call.kind:
        case ToolKind.COMMAND:
            return _rule_command(call, here)
        case ToolKind.WRITE:
            return _rule_write(call, here)
        case ToolKind.READ:
            return _rule_read(call, here)
        case ToolKind.FETCH:
            return _rule_fetch(call, here)
        case ToolKind.NOTHING:
            return Ruling(allow=True)
        case _:
            return _rule_unknown(call, here)


def _rule_command(call: ToolCall, place: Place) -> Ruling | Question:
    if call.command is None:
        return Ruling(allow=False, reason="There is no command in this call, so nobody can judge it.")
    problem = unreadable(call.command)
    if problem:
        return Ruling(allow=False, reason=f"{problem} Use the tool for files, or smaller commands.")
    verdict = classify(call.command, place)
    if verdict.kind is Kind.HARMLESS:
        return Ruling(allow=True)
    return Question(command=call.command, dangers=verdict.reasons)


def _rule_write(call: ToolCall, place: Place) -> Ruling:
    if not call.paths:
        return Ruling(allow=False, reason="It does not say which file it writes, so it is denied.")
    for path in call.paths:
        spot = place.spot(path, (place.cwd,)) if not unreadable(path) else Spot.UNKNOWN
        if spot is Spot.GIT and not place.sandboxed:
            return Ruling(allow=False, reason=f"{path} belongs to the repository itself; use git.")
        if spot in {Spot.OUTSIDE, Spot.UNKNOWN, Spot.ROOT}:
            return Ruling(allow=False, reason=f"{path} is outside the workspace; write below {place.inside[0]} only.")
    return Ruling(allow=True)


def _rule_read(call: ToolCall, place: Place) -> Ruling | Question:
    dangers = []
    for path in call.paths:
        own = place.spot(path, (place.cwd,)) in {Spot.INSIDE, Spot.GIT, Spot.ROOT}
        if is_secret_file(path) and not (own and place.sandboxed):
            dangers.append(Danger(rule="secret_file", exact=path, why=RULES["secret_file"]))
    if dangers:
        return Question(command=f"{call.tool} {' '.join(call.paths)}", dangers=tuple(dangers))
    return Ruling(allow=True)


def _rule_fetch(call: ToolCall, place: Place) -> Ruling | Question:
    hosts = [host_of(url).lower() for url in call.urls]
    strange = [
        url for url, host in zip(call.urls, hosts, strict=True) if not is_loopback(host) and host not in place.hosts
    ]
    if call.urls and not strange:
        return Ruling(allow=True)
    exact = " ".join(strange) or call.tool
    return Question(
        command=f"{call.tool} {' '.join(call.urls)}".strip(),
        dangers=(Danger(rule="network", exact=exact, why=RULES["network"]),),
    )


def _rule_unknown(call: ToolCall, place: Place) -> Ruling:
    if place.sandboxed and call.tool:
        return Ruling(allow=True)
    name = call.tool or "without a name"
    return Ruling(allow=False, reason=f"The tool {name} is not known here, and no sandbox holds the agent: denied.")

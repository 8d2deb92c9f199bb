"""Tool calls of agents: what their programs send before each of them, and the rule on it (SPEC 7.2).

Shell commands are classified. Files are written in the workspace and the private folders only. Files with secrets are a
question, as are hosts the plan does not name. A tool nobody knows is allowed where a sandbox holds the agent, and
denied elsewhere.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from chargehand.adapters.guarding.classify import classify, unreadable
from chargehand.adapters.guarding.fields import (
    commands,
    each_command,
    environment,
    folders,
    is_url,
    patch_problem,
    patches,
    paths,
    urls,
)
from chargehand.adapters.guarding.files import patched
from chargehand.adapters.guarding.network import host_of
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.place import UNKNOWN, Place, Spot, is_loopback, is_secret_file
from chargehand.adapters.guarding.rules import RULES
from chargehand.adapters.guarding.verdict import Danger

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

    `command` is the text for a shell (None: not told), `each` the commands it is made of, where they are several,
    `variables` what is set before it, as lines of a shell; `paths` what is written or read, `urls` what is fetched;
    `cwd` is where the agent says that it stands, `typed_into` the running program that a text is typed into; `raw` the
    call as it came, as JSON; `problem` why it cannot be judged.
    """

    agent: str
    session: str
    tool: str
    kind: ToolKind
    command: str | None = None
    each: tuple[str, ...] = ()
    variables: str = ""
    typed_into: str = ""
    paths: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    cwd: str = ""
    raw: str = "{}"
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The answer to a tool call; the reason is read by the agent."""

    allow: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A call that somebody has to decide: `command` is the exact text, and a yes covers one execution of it.

    The text says where it runs, when that is not the workspace itself. `plain` is the command as the agent gave it.
    """

    command: str
    dangers: tuple[Danger, ...]
    plain: str = ""

    @property
    def text(self) -> str:
        """Why it is asked, in plain words, one line for each reason."""
        return "\n".join(f"{danger.why} [{danger.rule}: {danger.exact}]" for danger in self.dangers)


_KINDS = {
    **dict.fromkeys(
        names("bash shell run_shell_command exec_command local_shell unified_exec execute shell_command write_stdin"),
        ToolKind.COMMAND,
    ),
    **dict.fromkeys(
        names(
            "write edit multiedit multi_edit notebookedit notebook_edit edit_notebook write_file replace apply_patch "
            "str_replace_editor create_file edit_file"
        ),
        ToolKind.WRITE,
    ),
    **dict.fromkeys(
        names(
            "read read_file read_many_files grep search_file_content grep_search grep_files search_files view_image "
            "notebookread notebook_read read_notebook"
        ),
        ToolKind.READ,
    ),
    **dict.fromkeys(names("webfetch web_fetch fetch"), ToolKind.FETCH),
    **dict.fromkeys(
        names(
            "glob ls list_directory list_dir todowrite todoread write_todos update_plan task agent exitplanmode "
            "enterplanmode bashoutput taskoutput killshell killbash taskstop skill toolsearch structuredoutput "
            "complete_task"
        ),
        ToolKind.NOTHING,
    ),
}
_MANY = frozenset({"read_many_files"})
_SEARCH = names("grep search_file_content grep_search grep_files search_files")
_MOST_PATHS = 200
_MOST_TOGETHER = 20
"""A pattern may count from a folder in another field, as in tools that search; lists of files are longer."""


def read_call(agent: str, document: object, cwd: str = "") -> ToolCall:
    """The call in what the hook was given; what is missing or of another shape stays empty, and the rule denies it."""
    given = document if isinstance(document, Mapping) else {}
    tool = _text(given, "tool_name") or _text(given, "tool")
    put = given.get("tool_input", given.get("input"))
    fields: Mapping[str, Any] = put if isinstance(put, Mapping) else {"input": put} if isinstance(put, str) else {}
    kind = _kind(tool, fields)
    command, problem = commands(fields, certain=kind is not ToolKind.UNKNOWN)
    folder, doubt = folders(fields) if kind is ToolKind.COMMAND else ("", "")
    variables, strange = environment(fields) if command is not None else ("", "")
    problem = (problem or doubt or strange) if kind in {ToolKind.COMMAND, ToolKind.UNKNOWN} else ""
    found = paths(fields, written=kind is ToolKind.WRITE)
    if _plain(tool) == "apply_patch":
        text = patches(fields)
        written, deleted = patched(text)
        found, problem = (*found, *written, *deleted), patch_problem(text)
    return ToolCall(
        agent=agent,
        session=_text(given, "session_id"),
        tool=tool,
        kind=kind,
        command=command,
        each=each_command(fields) if kind is ToolKind.UNKNOWN else (),
        variables=variables,
        typed_into=_typed_into(tool, fields),
        paths=found,
        urls=urls(fields, hosts=kind is ToolKind.UNKNOWN)
        if kind in {ToolKind.FETCH, ToolKind.READ, ToolKind.UNKNOWN}
        else (),
        cwd=folder or _text(given, "cwd") or cwd,
        raw=json.dumps(document),
        problem=_two_names(given) or problem,
    )


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _typed_into(tool: str, fields: Mapping[str, Any]) -> str:
    if _plain(tool) != "write_stdin":
        return ""
    session = next((str(fields[key]) for key in ("session_id", "session") if fields.get(key) is not None), "")
    return f"session {session[:40]}".strip()


def _plain(tool: str) -> str:
    return re.sub(r"^(?:functions|default_api)[.:]", "", tool.strip().lower())


def _kind(tool: str, fields: Mapping[str, Any]) -> ToolKind:
    plain = _plain(tool)
    if plain == "write_stdin" and not _text(fields, "chars").strip("\x00\x03\x04\x1a\x1c\r\n "):
        return ToolKind.NOTHING
    return _KINDS.get(plain, ToolKind.UNKNOWN)


def _two_names(given: Mapping[str, Any]) -> str:
    for one, other in (("tool_name", "tool"), ("tool_input", "input")):
        if one in given and other in given and given[one] != given[other]:
            return f"Its {one} and its {other} are not the same."
    return ""


def rule(call: ToolCall, place: Place) -> Ruling | Question:
    """What the rules say of a call: yes, no with the reason, or a question for a person."""
    here = replace(place, cwd=_folder(call, place))
    if call.problem:
        return Ruling(allow=False, reason=f"{call.problem} Nobody can judge it, so it is denied.")
    told = _ruled(call, here)
    if not isinstance(told, Question):
        return told
    return replace(told, command=_where(call, here.cwd, place) + told.command, plain=told.plain or told.command)


def _ruled(call: ToolCall, here: Place) -> Ruling | Question:
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


def _folder(call: ToolCall, place: Place) -> str:
    """Where a call runs: nobody knows where a program stands that has been running for a while."""
    if call.typed_into:
        return UNKNOWN
    return place.full(call.cwd, place.cwd) if call.cwd else place.cwd


def _where(call: ToolCall, folder: str, place: Place) -> str:
    """What stands before a command in a question: the same words in another folder are another command."""
    if call.typed_into:
        return f"(typed into {call.typed_into}) "
    if folder == place.full(".", place.cwd) or call.kind is ToolKind.FETCH:
        return ""
    inside = folder.startswith(place.cwd.rstrip("/") + "/")
    return f"cd {shlex.quote(posixpath.relpath(folder, place.cwd) if inside else folder)} && "


def _rule_command(call: ToolCall, place: Place) -> Ruling | Question:
    """A program may ignore the variables that it is given: the command is judged with them and without."""
    if call.command is None:
        return Ruling(allow=False, reason="There is no command in this call, so nobody can judge it.")
    text = call.variables + call.command
    problem = unreadable(text)
    if problem:
        return Ruling(allow=False, reason=f"{problem} Use the tool for files, or smaller commands.")
    ways = dict.fromkeys((text, call.command, *call.each))
    dangers = dict.fromkeys(danger for way in ways for danger in classify(way, place).reasons)
    for danger in dangers:
        if danger.rule == "forbidden":
            return Ruling(allow=False, reason=f"{danger.why} Go on without it: {danger.exact}")
    if not dangers:
        return Ruling(allow=True)
    return Question(command=text, dangers=tuple(dangers), plain=call.command)


def _rule_write(call: ToolCall, place: Place) -> Ruling:
    if not call.paths:
        return Ruling(allow=False, reason="It does not say which file it writes, so it is denied.")
    for path in call.paths:
        if is_url(path) or path.lower().startswith("file:"):
            return Ruling(allow=False, reason=f"{path} is an address; give the path of a file in the workspace.")
        spot = place.spot(path, (place.cwd,)) if not unreadable(path) else Spot.UNKNOWN
        if spot is Spot.GIT and not place.sandboxed:
            return Ruling(allow=False, reason=f"{path} belongs to the repository itself; use git.")
        if spot in {Spot.OUTSIDE, Spot.UNKNOWN, Spot.ROOT}:
            return Ruling(allow=False, reason=f"{path} is outside the workspace; write below {place.inside[0]} only.")
    return Ruling(allow=True)


def _rule_read(call: ToolCall, place: Place) -> Ruling | Question:
    unread = next((problem for path in call.paths if (problem := unreadable(path))), "")
    if unread or len(call.paths) > _MOST_PATHS:
        return Ruling(allow=False, reason=unread or f"It names more than {_MOST_PATHS} files; do it in smaller steps.")
    if call.kind is ToolKind.READ and not call.paths and _plain(call.tool) not in _SEARCH:
        return Ruling(allow=False, reason="It does not say what it reads, so it is denied.")
    dangers = [
        Danger(rule="secret_file", exact=path, why=RULES["secret_file"])
        for path in call.paths
        if not path.startswith("!") and _is_secret(path, call, place)
    ]
    if dangers:
        return Question(command=f"{call.tool} {' '.join(call.paths)}", dangers=tuple(dangers))
    return _rule_fetch(call, place) if call.urls else Ruling(allow=True)


def _is_secret(path: str, call: ToolCall, place: Place) -> bool:
    """Whether something with secrets is read that neither the workspace nor its sandbox makes the agent's own."""
    spots = [(path, place.cwd)]
    if len(call.paths) <= _MOST_TOGETHER:
        spots += [(path, place.full(folder, place.cwd)) for folder in call.paths if folder != path]
    for name, cwd in spots:
        spot = place.spot(name, (cwd,))
        own = spot in {Spot.INSIDE, Spot.GIT} or (spot is Spot.ROOT and not place.holds_home(name, cwd))
        everything = _plain(call.tool) in _MANY and not name.strip("*?./")
        secret = everything or place.holds_home(name, cwd) or any(map(is_secret_file, place.names(name, cwd)))
        if secret and not (own and place.sandboxed):
            return True
    return False


def _rule_fetch(call: ToolCall, place: Place) -> Ruling | Question:
    hosts = [host_of(url).lower().rstrip(".") for url in call.urls]
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


def _rule_unknown(call: ToolCall, place: Place) -> Ruling | Question:
    """In a sandbox such a tool may do what a command may: what it names is judged all the same."""
    if not (place.sandboxed and call.tool.strip()):
        name = call.tool.strip() or "without a name"
        return Ruling(allow=False, reason=f"The tool {name} is not known here, and no sandbox holds the agent: denied.")
    if call.command is not None:
        told = _rule_command(call, place)
        if told != Ruling(allow=True):
            return told
    return _rule_read(call, place)

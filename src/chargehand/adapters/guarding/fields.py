"""The fields of a tool call, whatever an agent's program names them: commands, paths, addresses, folders.

All of it is untrusted. A field that names the same thing twice in two ways is not resolved but told: nobody knows
which of them the program will take.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from chargehand.adapters.guarding.files import patched
from chargehand.adapters.guarding.options import names

__all__ = ["commands", "each_command", "environment", "folders", "is_url", "patch_problem", "patches", "paths", "urls"]

_COMMANDS = names(
    "command cmd commands cmdline command_line commandline shell_command script argv args arguments bash exec code "
    "chars stdin"
)
_CERTAIN = names("command cmd cmdline command_line commandline shell_command")
_RUNNABLE = _CERTAIN | names("script scripts commands shell_script bash sh run_command exec")
_HOSTS = frozenset({"host", "hostname", "hosts", "server", "domain", "remote_host", "base_url", "baseurl"})
_FOLDERS = ("directory", "workdir", "dir_path", "cwd", "working_directory", "working_dir", "workingdirectory")
_PATHS = re.compile(
    r"path|file|dir(?:ectory|ectories|s)?(?:$|_)|folder|root|dest|source|target|uri|^glob$|include|cwd|notebook$|workspace|^to$|^from$",
    re.IGNORECASE,
)
_NOT_PATHS = re.compile(
    r"^new_source$|exclude|ignore|content|text|prompt|description|pattern|types?$|mode|limit|lines?$|filter|_id$|string|message|query",
    re.IGNORECASE,
)
_WRITTEN = re.compile(_PATHS.pattern + r"|^name$|^location$", re.IGNORECASE)
_CONTENTS = re.compile(
    r"^(?:new|old)_(?:source|str|string|text|content|code)$|^(?:file|cell)?_?(?:contents?|text|data|body|code)$"
    r"|description|instruction|prompt|types?$|mode$|limit|lines?$|_id$|encoding",
    re.IGNORECASE,
)
"""Fields of tools that write whose texts are no paths, whatever else is in their names."""
_URLS = names("url urls uri uris link links href endpoint address")
_URL = re.compile(r"https?://[^\s\"'<>)\]]+", re.IGNORECASE)
_HEADER = re.compile(r"^[^\S\n]*\*\*\*(.*)$", re.MULTILINE)
_FRAME = re.compile(r"\s*(?:begin\s*patch|end\s*patch|end\s*of\s*file)\s*", re.IGNORECASE)
_SHELLS = names("sh bash zsh dash ksh ash fish pwsh powershell cmd cmd.exe true false")
_SHELL_FOLDERS = frozenset({"", "/bin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"})
_ENVIRONMENTS = frozenset({"env", "environment", "envs", "env_vars", "environment_variables"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def commands(fields: Mapping[str, Any], *, certain: bool) -> tuple[str | None, str]:
    """The command of a call for a shell (None: not told), and what is wrong with how it is given.

    `certain`: the tool runs commands; of others only fields that can hardly mean anything else are taken for one.
    """
    if not certain:
        return _anywhere(fields)
    keys = _COMMANDS
    given = [_command(value) for key, value in fields.items() if key.lower() in keys and value not in (None, "", [])]
    told = dict.fromkeys(given)
    if len(told) > 1:
        return None, "It names its command more than once, and not in the same words."
    command = next(iter(told), None)
    if any(not _is_known_shell(value) for key, value in fields.items() if key.lower() == "shell"):
        return command, "The shell that it asks for is none that is known here."
    return command, ""


def _anywhere(fields: Mapping[str, Any]) -> tuple[str | None, str]:
    """Every command in a call whose tool nobody knows, however deep it lies."""
    near = {key: value for key, value in fields.items() if key.lower() in _CERTAIN}
    _, problem = commands(near, certain=True)
    if any(not _is_known_shell(part[key]) for part in _parts(fields) for key in part if key.lower() == "shell"):
        problem = "The shell that it asks for is none that is known here."
    return "\n".join(each_command(fields)) or None, problem


def each_command(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The commands in a call whose tool nobody knows: each is judged by itself, since one may hide the next."""
    found: list[str | None] = []
    for part in _parts(fields):
        for key, value in part.items():
            if key.lower() in _RUNNABLE:
                found.append(_command(value))
                found += [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    return tuple(dict.fromkeys(text for text in found if text and text.strip()))


def _parts(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The fields, and those that lie in them."""
    waiting: list[object] = [fields]
    while waiting:
        given = waiting.pop()
        if isinstance(given, Mapping):
            yield {str(key): value for key, value in given.items()}
            waiting += reversed(list(given.values()))
        elif isinstance(given, list):
            waiting += reversed(given)


def _is_known_shell(value: object) -> bool:
    """A shell by its bare name, or from where the machine keeps its own; another `bash` may be anything."""
    if value is None or isinstance(value, bool):
        return True
    return isinstance(value, str) and (
        posixpath.basename(value) in _SHELLS and posixpath.dirname(value) in _SHELL_FOLDERS
    )


def _command(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return shlex.join(value)
    return None


def environment(fields: Mapping[str, Any]) -> tuple[str, str]:
    """The variables of a call as lines for a shell, and what is wrong with how they are given.

    A name that is none would end up in the text that is judged as something else: `x; y`, `x <<E`.
    """
    given: dict[str, str] = {}
    told = [value for part in _parts(fields) for key, value in part.items() if key.lower() in _ENVIRONMENTS]
    for value in told:
        pairs = _pairs(value)
        if pairs is None or any(_VARIABLE.fullmatch(name) is None for name, _ in pairs):
            return "", "Its environment is not one of names and texts."
        if any(given.setdefault(name, text) != text for name, text in pairs):
            return "", "It sets a variable twice, and not to the same."
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in given.items()), ""


def _pairs(value: object) -> list[tuple[str, str]] | None:
    if not value or isinstance(value, bool) or (isinstance(value, str) and "=" not in value):
        return []  # the name of one: `environment: staging`
    if isinstance(value, Mapping) and all(isinstance(text, str | int | float) for text in value.values()):
        return [(str(name), str(text)) for name, text in value.items()]
    if isinstance(value, list) and all(isinstance(one, str) and "=" in one for one in value):
        return [(one.partition("=")[0], one.partition("=")[2]) for one in value]
    return None


def folders(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Where a command is to run (empty: not told), and what is wrong with how it is given."""
    told = dict.fromkeys(
        value
        for key, value in fields.items()
        if key.lower() in _FOLDERS and isinstance(value, str) and value not in ("", ".")
    )
    return next(iter(told), ""), "It names two folders to run in." if len(told) > 1 else ""


def paths(fields: Mapping[str, Any], *, written: bool = False) -> tuple[str, ...]:
    """The paths in the fields, also in lists and in parts, by the names of the fields; patterns included.

    `written`: of a tool that writes every field counts that may be one, and what looks like an address is kept.
    """
    if written:
        found = [text for key, text in _texts(fields) if _WRITTEN.search(key) and not _CONTENTS.search(key)]
        return tuple(dict.fromkeys(text for text in found if text))
    found = [text for key, text in _texts(fields) if _PATHS.search(key) and not _NOT_PATHS.search(key)]
    return tuple(dict.fromkeys(text.removeprefix("file://") for text in found if text and not is_url(text)))


def urls(fields: Mapping[str, Any], *, hosts: bool = False) -> tuple[str, ...]:
    """The addresses that a call names; those in its prompt where no field holds one; `hosts`: also by their names."""
    named = [
        text
        for key, text in _texts(fields)
        if text and (key.lower() in _URLS or (is_url(text) and not re.search(r"\s", text)))
    ]
    if hosts:
        told = [(key.lower(), text) for key, text in _texts(fields) if key.lower() in _HOSTS and text.strip()]
        named += [text for key, text in told if key.startswith("host") or "." in text or ":" in text]
    prompt = fields.get("prompt")
    return tuple(dict.fromkeys(named or (_URL.findall(prompt) if isinstance(prompt, str) else [])))


def patches(fields: Mapping[str, Any]) -> str:
    """Every text of a call that may be a patch in the form of Codex."""
    return "\n".join(text for _, text in _texts(fields))


def patch_problem(text: str) -> str:
    """What is wrong with the headers of a patch, or an empty string."""
    headers = [header for header in _HEADER.findall(text) if not _FRAME.fullmatch(header)]
    written, deleted = patched(text)
    return "" if len(headers) == len(written) + len(deleted) else "It has headers that nobody can read here."


def is_url(text: str) -> bool:
    """Whether a text has the form of an address; one of a file counts as its path."""
    return bool(re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*:/", text))


def _texts(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text with the name of its field, in lists and parts as well."""
    waiting: list[tuple[str, object]] = [(str(key), value) for key, value in fields.items()][::-1]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, list):
            waiting += [(key, one) for one in reversed(value)]
        elif isinstance(value, Mapping):
            waiting += [(str(inner), one) for inner, one in value.items()]

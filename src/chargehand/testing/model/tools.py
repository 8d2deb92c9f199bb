"""Finds among the tools an agent offers the one that writes, edits or runs, and fills in its input.

No program is named here: names and schemas are those of the request, so a new version of an agent needs no change as
long as its tools look like tools of this kind.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .conversation import Conversation, Tool
from .scenario import Edit, Step, Write

__all__ = ["NoTool", "ToolCall", "example", "text_edits", "tool_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call as it goes to the agent; `kind` as in `Tool`, `broken` asks for arguments that are no JSON."""

    name: str
    input: Mapping[str, Any]
    kind: str = "function"
    broken: bool = False


class NoTool(Exception):
    """The agent offers nothing to do a step with."""


_RUN = (
    "bash", "shell", "runshellcommand", "execcommand", "shellcommand", "localshell", "executecommand", "runcommand",
    "runcommands", "terminal", "runinterminal", "runterminalcmd", "containerexec", "runbash", "execute", "exec",
)  # fmt: skip
_WRITE = (
    "write",
    "writefile",
    "create",
    "createfile",
    "writetofile",
    "filewrite",
    "texteditor",
    "strreplaceeditor",
    "editor",
)
_EDIT = (
    "edit",
    "replace",
    "editfile",
    "strreplace",
    "strreplacefile",
    "replaceinfile",
    "texteditor",
    "strreplaceeditor",
    "editor",
)
_COMMAND = ("command", "cmd", "script", "commandline", "commands", "code")
_PATH = ("filepath", "path", "absolutepath", "targetfile", "filename", "file")
_CONTENT = ("content", "filetext", "contents", "text", "newcontent")
_OLD = ("oldstring", "oldstr", "oldtext", "before", "search", "old")
_NEW = ("newstring", "newstr", "newtext", "after", "replacement", "new")


def tool_calls(step: Step, conversation: Conversation) -> list[ToolCall]:
    """The calls that do `step`; `NoTool` when the agent offers none for it."""
    if step.together is not None:
        return [call for inner in step.together for call in tool_calls(inner, conversation)]
    if step.call is not None:
        named = next((tool for tool in conversation.tools if tool.name == step.call.tool), None)
        return [ToolCall(name=step.call.tool, input=step.call.input, kind=named.kind if named else "function")]
    if step.run is not None:
        return [_run(step.run, conversation)]
    if step.write is not None:
        return [_write(step.write, conversation)]
    if step.edit is not None:
        return [_edit(step.edit, conversation)]
    broken = _run("true", conversation)
    return [ToolCall(name=broken.name, input=broken.input, kind=broken.kind, broken=True)]


def _run(command: str, conversation: Conversation) -> ToolCall:
    tool = _find(conversation.tools, _RUN)
    if tool is None:
        raise NoTool(f"no tool that runs commands among {_names(conversation)}")
    if tool.kind == "local_shell":
        return ToolCall(name=tool.name, input={"command": ["bash", "-lc", command]}, kind=tool.kind)
    return ToolCall(name=tool.name, input=_filled(tool, {_COMMAND: command}))


def _write(file: Write, conversation: Conversation) -> ToolCall:
    tool = _find(conversation.tools, _WRITE)
    if tool is not None:
        return ToolCall(
            name=tool.name,
            input=_filled(tool, {_PATH: _placed(file.path, conversation), _CONTENT: file.text}, "create"),
        )
    if (patch := _find(conversation.tools, ("applypatch",))) is not None:
        lines = "".join(f"+{line}\n" for line in file.text.splitlines())
        return _patch(patch, f"*** Add File: {file.path}\n{lines}")
    folder = str(PurePosixPath(file.path).parent)
    end = "END_OF_FILE"
    while end in file.text:
        end += "_"
    text = file.text if file.text.endswith("\n") or not file.text else file.text + "\n"
    return _run(
        f"mkdir -p {shlex.quote(folder)} && cat > {shlex.quote(file.path)} <<'{end}'\n{text}{end}", conversation
    )


def _edit(edit: Edit, conversation: Conversation) -> ToolCall:
    tool = _find(conversation.tools, _EDIT)
    if tool is not None:
        values: dict[tuple[str, ...], str] = {_PATH: _placed(edit.path, conversation), _OLD: edit.old, _NEW: edit.new}
        return ToolCall(name=tool.name, input=_filled(tool, values, "edit"))
    if (patch := _find(conversation.tools, ("applypatch",))) is not None:
        old = "".join(f"-{line}\n" for line in edit.old.splitlines())
        new = "".join(f"+{line}\n" for line in edit.new.splitlines())
        return _patch(patch, f"*** Update File: {edit.path}\n@@\n{old}{new}")
    program = (
        "import pathlib,sys;p=pathlib.Path(sys.argv[1]);t=p.read_text();assert sys.argv[2] in t;"
        "p.write_text(t.replace(sys.argv[2],sys.argv[3],1))"
    )
    return _run(shlex.join(["python3", "-c", program, edit.path, edit.old, edit.new]), conversation)


def _patch(tool: Tool, change: str) -> ToolCall:
    text = f"*** Begin Patch\n{change}*** End Patch\n"
    if tool.kind == "custom":
        return ToolCall(name=tool.name, input={"input": text}, kind="custom")
    return ToolCall(name=tool.name, input=_filled(tool, {("input", "patch", "patchtext"): text}))


def text_edits(steps: Sequence[Step]) -> str:
    """The files and edits of `steps` as the blocks of an agent that takes edits as text."""
    blocks = []
    for step in steps:
        for one in step.together or (step,):
            if one.write is not None:
                blocks.append(_block(one.write.path, "", one.write.text))
            elif one.edit is not None:
                blocks.append(_block(one.edit.path, one.edit.old, one.edit.new))
    return "\n\n".join(blocks)


def _block(path: str, old: str, new: str) -> str:
    lines = [text if not text or text.endswith("\n") else text + "\n" for text in (old, new)]
    return f"{path}\n```\n<<<<<<< SEARCH\n{lines[0]}=======\n{lines[1]}>>>>>>> REPLACE\n```"


# -- names and schemas ----------------------------------------------------------------------------


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


def _find(tools: Sequence[Tool], names: Sequence[str]) -> Tool | None:
    """The first tool with one of `names`, whatever prefix its server gave it."""
    for name in names:
        for tool in tools:
            if name in {_plain(tool.name), _plain(tool.name.rsplit("__", 1)[-1]), _plain(tool.name.rsplit(".", 1)[-1])}:
                return tool
    return None


def _names(conversation: Conversation) -> str:
    return ", ".join(sorted(tool.name for tool in conversation.tools)) or "no tools"


def _placed(path: str, conversation: Conversation) -> str:
    """An absolute path where the agent says where it works: many tools want one."""
    return str(PurePosixPath(conversation.folder) / path) if conversation.folder else path


def _filled(tool: Tool, values: Mapping[tuple[str, ...], str], verb: str = "") -> dict[str, Any]:
    """An input for the tool: `values` where the schema has a place of one of their names, the rest by its types."""
    properties = tool.schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    required = tool.schema.get("required")
    required = [key for key in required if isinstance(key, str)] if isinstance(required, list) else []
    filled: dict[str, Any] = {}
    for names, value in values.items():
        key = next(
            (key for name in names for key in properties if _plain(key) == name and not _choices(properties[key])), None
        )
        key = key or next((key for key in required if key not in filled), names[0])
        filled[key] = _shaped(key, properties.get(key), value)
    for key in required:
        if key not in filled:
            choices = _choices(properties.get(key))
            wanted = ("write", "create") if verb == "create" else ("str_replace", "edit", "replace")
            filled[key] = next((one for one in wanted if one in choices), None) or example(properties.get(key))
    return filled


def _choices(schema: object) -> list[Any]:
    found = schema.get("enum") if isinstance(schema, dict) else None
    return found if isinstance(found, list) else []


def _shaped(key: str, schema: object, value: str) -> Any:
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind == "array" or (isinstance(kind, list) and "array" in kind and "string" not in kind):
        return [value] if _plain(key) == "commands" else ["bash", "-lc", value]
    return value


def example(schema: object) -> Any:
    """The least value that fits a JSON schema (types in either case: Gemini writes them in capitals)."""
    if not isinstance(schema, dict):
        return "scripted"
    if choices := _choices(schema):
        return choices[0]
    if "const" in schema:
        return schema["const"]
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(options := schema.get(key), list) and options:
            return example(options[0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) and kind else kind).lower()
    if kind == "object":
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        wanted = schema.get("required")
        return {key: example(properties.get(key)) for key in (wanted if isinstance(wanted, list) else properties)}
    simple = {"array": [], "boolean": False, "null": None}
    if kind in {"integer", "number"}:
        least = schema.get("minimum", 0)
        return least if isinstance(least, int | float) else 0
    return simple.get(kind, "scripted")

"""What a shell does itself: `eval`, `source`, `exec`, `trap`, `read`, `echo` and their like."""

from __future__ import annotations

import re

from chargehand.adapters.guarding.look import Call, Handler, Look
from chargehand.adapters.guarding.options import read_options
from chargehand.adapters.guarding.place import UNKNOWN
from chargehand.adapters.guarding.scope import NOTHING, SOMETHING, Out
from chargehand.adapters.guarding.words import escapes

__all__ = ["BUILTINS"]

_DIRECTIVE = re.compile(r"%(?:%|-?\d*(?:\.\d+)?[sbqdiu])")


def _eval(call: Call, look: Look) -> Out:
    return look.shell(" ".join(call.args), call)


def _source(call: Call, look: Look) -> Out | None:
    if not call.args:
        return None
    path = call.args[0]
    look.reads(path, call)
    known = look.script(path, call)
    look.runs(known, call, lambda text: look.shell(text, call, call.args[1:] or None))
    return None


def _command(call: Call, look: Look) -> Out | None:
    options = read_options(call.args, short="a", stop=True)
    if options.has("-v", "-V") or not options.rest:
        return SOMETHING
    return look.again(options.rest, call)


def _alias(call: Call, _look: Look) -> Out | None:
    for word in call.args:
        name, equals, value = word.partition("=")
        if equals:
            call.scope.aliases[name] = value
    return None


def _unalias(call: Call, _look: Look) -> Out | None:
    for word in call.args:
        call.scope.aliases.pop(word, None)
    return None


def _read(call: Call, _look: Look) -> Out | None:
    options = read_options(call.args, short="adiNnptu")
    names = [*options.rest, *options.values("-a")]
    text = call.feed.text if call.feed is not None else None
    for name in names:
        known = text.strip() if text is not None and len(names) == 1 and "\n" not in text.strip() else UNKNOWN
        call.scope.variables[name] = (known,)
        call.scope.arrays[name] = (UNKNOWN,)
    return None


def _set(call: Call, look: Look) -> Out | None:
    if not call.args:
        look.report("environment", call, inside=True)
    elif "--" in call.args:
        call.scope.positional = call.args[call.args.index("--") + 1 :]
    elif not call.args[0].startswith(("-", "+")):
        call.scope.positional = call.args
    return SOMETHING


def _shift(call: Call, _look: Look) -> Out | None:
    held = call.scope.positional
    many = call.args[0] if call.args else "1"
    call.scope.positional = held[int(many) :] if held is not None and many.isdigit() and len(many) < 4 else None
    return None


def _trap(call: Call, look: Look) -> Out | None:
    options = read_options(call.args)
    if options.rest and options.rest[0] != "-" and not options.has("-l", "-p"):
        look.shell(options.rest[0], call)
    return None


def _echo(call: Call, _look: Look) -> Out:
    words = list(call.args)
    interpret, end = False, "\n"
    while words and re.fullmatch(r"-[neE]+", words[0]):
        option = words.pop(0)
        interpret = interpret or "e" in option
        end = "" if "n" in option else end
    text = " ".join(words)
    # dash interprets escapes without being asked: both readings may be what runs
    return Out(text=(escapes(text) if interpret or (call.feed is None and "\\0" in text) else text) + end)


def _printf(call: Call, _look: Look) -> Out:
    words = list(call.args)
    name = ""
    if len(words) > 1 and words[0] == "-v":
        name, words = words[1], words[2:]
    if words and words[0] == "--":
        words = words[1:]
    text = _formatted(words)
    if name:
        call.scope.variables[name] = (UNKNOWN if text is None else text,)
        return NOTHING
    return Out(text=text)


def _formatted(words: list[str]) -> str | None:
    if not words:
        return ""
    form, given = escapes(words[0]), words[1:]
    if "%" in _DIRECTIVE.sub("", form):
        return None
    pieces: list[str] = []
    for _ in range(50):
        pieces.append(_DIRECTIVE.sub(lambda match: _filled(match[0], given), form))
        if not given or not _DIRECTIVE.search(form.replace("%%", "")):
            return "".join(pieces)
    return None


def _filled(directive: str, given: list[str]) -> str:
    if directive == "%%":
        return "%"
    value = given.pop(0) if given else ""
    if directive.endswith("b"):
        value = escapes(value)
    width = re.search(r"\.(\d+)", directive)
    return value[: int(width[1])] if width is not None and directive.endswith("s") else value


def _nothing(_call: Call, _look: Look) -> Out:
    return NOTHING


def _pwd(call: Call, _look: Look) -> Out:
    return Out(text=call.scope.cwds[0] + "\n") if len(call.scope.cwds) == 1 else SOMETHING


def _test(_call: Call, _look: Look) -> Out:
    return NOTHING


def _mapfile(call: Call, look: Look) -> Out | None:
    options = read_options(call.args, short="dnOsucC")
    for text in options.values("-C"):
        look.shell(text, call)
    call.scope.arrays[options.rest[0] if options.rest else "MAPFILE"] = (UNKNOWN,)
    return None


def _exec(call: Call, look: Look) -> Out | None:
    options = read_options(call.args, short="a", stop=True)
    return look.again(options.rest, call) if options.rest else None


BUILTINS: dict[str, Handler] = {
    "eval": _eval,
    ".": _source,
    "source": _source,
    "command": _command,
    "builtin": _command,
    "exec": _exec,
    "alias": _alias,
    "unalias": _unalias,
    "read": _read,
    "mapfile": _mapfile,
    "readarray": _mapfile,
    "set": _set,
    "shift": _shift,
    "trap": _trap,
    "echo": _echo,
    "printf": _printf,
    "pwd": _pwd,
    "[": _test,
    "[[": _test,
    "test": _test,
    **dict.fromkeys((":", "true", "false", "return", "exit", "break", "continue", "wait", "jobs", "let"), _nothing),
    **dict.fromkeys(("type", "hash", "umask", "ulimit", "shopt", "getopts", "fg", "bg", "disown"), _nothing),
}

"""What a shell does itself: `eval`, `source`, `exec`, `trap`, `read`, `echo` and their like."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chargehand.adapters.guarding.code import run_file
from chargehand.adapters.guarding.evaluated import arithmetic, expand, look_at_name
from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import read_options
from chargehand.adapters.guarding.place import UNKNOWN
from chargehand.adapters.guarding.scope import NOTHING, SOMETHING, Out
from chargehand.adapters.guarding.variables import look_at_variable
from chargehand.adapters.guarding.words import escapes

__all__ = ["BUILTINS", "declare", "refer"]

_DIRECTIVE = re.compile(r"%(?:%|-?\d*(?:\.\d+)?[sbqdiu])")


def _eval(call: Call, look: Look) -> Out:
    return look.shell(" ".join(call.args), call)


def _source(call: Call, look: Look) -> Out | None:
    if not call.args:
        return None
    path = call.args[0]
    look.reads(path, call)
    run_file(path, call, look, lambda text: look.shell(text, call, call.args[1:] or None))
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


def _read(call: Call, look: Look) -> Out | None:
    options = read_options(call.args, short="adiNnptu")
    names = [*options.rest, *options.values("-a")]
    text = call.feed.text if call.feed is not None else None
    for name in names:
        look_at_name(name, call, look)
        known = text.strip() if text is not None and len(names) == 1 and "\n" not in text.strip() else UNKNOWN
        _assigned(name, known, call, look)
        call.scope.arrays[name] = (UNKNOWN,)
    return None


def _assigned(name: str, value: str, call: Call, look: Look) -> None:
    call.scope.assign(name, (value,))
    look_at_variable(name, value, call, look)


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


def _printf(call: Call, look: Look) -> Out:
    words = list(call.args)
    name = ""
    if words and (match := re.fullmatch(r"-v(.*)", words[0], re.DOTALL)):
        name, words = (match[1], words[1:]) if match[1] else ("".join(words[1:2]), words[2:])
    if words and words[0] == "--":
        words = words[1:]
    text = _formatted(words)
    if name:
        look_at_name(name, call, look)
        _assigned(name, UNKNOWN if text is None else text, call, look)
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


def _takes_names(call: Call, look: Look) -> Out:
    """`test -v`, `unset`, `wait -p`, `getopts`: a name may have a subscript, which is evaluated."""
    for word in call.args:
        look_at_name(word, call, look)
    return NOTHING


def _let(call: Call, look: Look) -> Out:
    for word in call.args:
        arithmetic(word, call, look)
    return NOTHING


def _declare(call: Call, look: Look) -> Out:
    """`declare`, `local`, `export` and their like where they are called by way of `command` or `builtin`."""
    declared = [word for word in call.args if not word.startswith(("-", "+"))]
    refers = any(re.fullmatch(r"-\w*n\w*", word) for word in call.args)
    declare(declared, call, look, refers=refers)
    if not declared and program(call.argv[0]) != "local":
        look.report("environment", call, inside=True)
    return NOTHING


def declare(words: Sequence[str], call: Call, look: Look, *, refers: bool) -> None:
    """Variables are declared; `refers`: what is assigned is the name of another one (`declare -n`)."""
    for word in words:
        look_at_name(word, call, look)
        name, equals, value = word.partition("=")
        if equals and refers:
            refer(name, (value,), call, look)
        elif equals:
            _assigned(name.rstrip("+"), value, call, look)


def refer(name: str, values: Sequence[str], call: Call, look: Look) -> None:
    """`name` becomes another name for what `values` name."""
    if any(UNKNOWN in value for value in values):
        look.report("hidden_code", call, why="It gives a variable another name that cannot be told.")
    call.scope.variables[f"&{name}"] = tuple(value for value in values if value != name)


def _hash(call: Call, look: Look) -> Out:
    """`hash -p PATH NAME`: from now on NAME is that program."""
    options = read_options(call.args, short="p")
    for path in options.values("-p"):
        for name in options.rest:
            call.scope.aliases[name] = path
        if UNKNOWN in path or UNKNOWN in "".join(options.rest):
            look.report("unknown_command", call)
    return NOTHING


def _enable(call: Call, look: Look) -> Out:
    if read_options(call.args, short="f").has("-f"):
        look.report("hidden_code", call, why="It loads a library into the shell.")
    return NOTHING


def _complete(call: Call, look: Look) -> Out:
    """`compgen -C command` runs it, `-W words` expands them; `complete` and `bind -x` do so later."""
    options = read_options(call.args, short="oAGWFCXPSxmq")
    for text in options.values("-C", "-F"):
        look.shell(text, call)
    for text in options.values("-W", "-X"):
        expand(text, call, look)
    for text in options.values("-x"):
        look.shell(text.partition(":")[2].strip().strip("\"'"), call)
    return NOTHING


def _fc(call: Call, look: Look) -> Out:
    for text in read_options(call.args, short="e").values("-e"):
        look.shell(text, call)
    if read_options(call.args, short="e").has("-s"):
        look.report("unknown_command", call)
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
    **dict.fromkeys(("[", "[[", "test", "unset", "wait", "getopts"), _takes_names),
    "let": _let,
    **dict.fromkeys(("declare", "typeset", "local", "export", "readonly", "integer", "nameref"), _declare),
    "hash": _hash,
    "enable": _enable,
    **dict.fromkeys(("complete", "compgen", "compopt", "bind"), _complete),
    "fc": _fc,
    **dict.fromkeys((":", "true", "false", "return", "exit", "break", "continue", "jobs"), _nothing),
    **dict.fromkeys(("type", "umask", "ulimit", "shopt", "fg", "bg", "disown", "times", "caller"), _nothing),
    **dict.fromkeys(("dirs", "help", "history", "logout", "suspend", "setopt", "unsetopt", "autoload"), _nothing),
}

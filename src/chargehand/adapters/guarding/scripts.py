"""Tools with a language of their own that can run other programs: awk, sed, editors, make, pagers, debuggers."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import read_options
from chargehand.adapters.guarding.place import UNKNOWN
from chargehand.adapters.guarding.scope import SOMETHING, Out
from chargehand.adapters.guarding.variables import look_at_variable

__all__ = ["SCRIPTS"]

_STRING = r'"((?:[^"\\]|\\.)*)"'
_AWK_RUNS = re.compile(
    r'system\s*\((?!\s*""\s*\))|\|\s*(?!\|)(?:&\s*)?(?!getline|"")[\w($]|\|&?\s*""\s*[\w("$]|[\w)]\s*\|&?\s*getline|@load|@include|/inet'
)
_AWK_WRITES = re.compile(r'\bprintf?\b[^;}\n(>|]{0,200}>>?\s*(?:[A-Za-z_$(]|""\s*[\w"($])')


def _unescaped(text: str) -> str:
    return text.replace('\\"', '"').replace("\\\\", "\\")


def _awk(call: Call, look: Look) -> None:
    options = read_options(
        call.args,
        short="FvfeilE",
        long=("--file", "--source", "--assign", "--field-separator", "--include", "--load", "--exec"),
    )
    texts = [*options.values("-e", "--source")]
    files = [*options.values("-f", "--file", "-i", "--include", "-E", "--exec")]
    if options.has("-l", "--load"):
        look.report("hidden_code", call, why="It loads an extension.")
    if not texts and not options.has("-f", "--file", "-E", "--exec"):
        texts = list(options.rest[:1])
    if "inplace" in files or "inplace.awk" in files:
        for path in options.rest[0 if options.has("-f", "--file") or options.has("-e", "--source") else 1 :]:
            look.writes(path, call)
    for text in texts:
        _awk_text(text, call, look)
    for path in files:
        look.runs(look.script(path, call), call, lambda text: _awk_text(text, call, look))


def _awk_text(text: str, call: Call, look: Look) -> None:
    for command in re.findall(rf"system\s*\(\s*{_STRING}\s*\)", text):
        look.shell(_unescaped(command), call)
    for command in re.findall(rf"{_STRING}\s*\|&?\s*getline", text):
        look.shell(_unescaped(command), call)
    literal = re.compile(rf"\bprintf?\s*\(?\s*{_STRING}\s*\)?\s*$")
    for found in re.finditer(rf"\|&?\s*{_STRING}", text):
        printed = literal.search(text[max(0, found.start() - 500) : found.start()])
        feed = Out(text=_unescaped(printed[1]).replace("\\n", "\n")) if printed is not None else SOMETHING
        look.shell(_unescaped(found[1]), replace(call, feed=feed))
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    if _AWK_RUNS.search(rest.replace("||", "")) or UNKNOWN in text:
        look.report("hidden_code", call)
    for path in re.findall(r'>>?\s*"([^"]+)"', text):
        look.writes(path, call)
    if _AWK_WRITES.search(rest):
        look.report("overwrite_unknown", call, inside=True)
    for path in re.findall(r'<\s*"([^"]+)"', text):
        look.reads(path, call)


def _sed(call: Call, look: Look) -> None:
    options = read_options(call.args, short="efl", long=("--expression", "--file", "--line-length"))
    texts = [*options.values("-e", "--expression")]
    files = options.rest if texts or options.has("-f", "--file") else options.rest[1:]
    if not texts and not options.has("-f", "--file"):
        texts = list(options.rest[:1])
    if not options.has("--sandbox"):
        for text in texts:
            _sed_text(text, call, look)
    if options.has("-i", "--in-place"):
        for path in files:
            look.writes(path, call)
    for path in options.values("-f", "--file"):
        look.runs(look.script(path, call), call, lambda text: _sed_text(text, call, look))


_AT = r"(?:^|[;{}\n]|[0-9$/!~]|[/0-9][IM])[ \t]*"
"""Where a command of sed may begin: behind another one, a brace, or an address."""


def _sed_text(text: str, call: Call, look: Look) -> None:
    guess = call.scope.copy()
    guess.strangers = False
    for command in re.findall(rf"{_AT}e[ \t]+([^\n]+)", text):
        look.shell(command, replace(call, scope=guess))
    if re.search(rf"{_AT}e[ \t]*(?:$|[;}}\n])", text) or re.search(
        r"s(.)(?:\\.|(?!\1).)*\1(?:\\.|(?!\1).)*\1[gpiImM0-9]*e", text, re.DOTALL
    ):
        look.report("hidden_code", call, why="It runs lines of its input as commands.")
    for path in re.findall(rf"{_AT}[wW][ \t]*([~./][^\n;}}]+)", text):
        look.writes(path.strip(), call)
    for path in re.findall(r"(?:^|[;{}\n/0-9$|#,@:%!gpI])[ \t]*[wW][ \t]+([^\n;}]+)", text):
        look.writes(path.strip(), call)


_EDITOR_RUNS = re.compile(
    r"system\(|shell-command|call-process|start-process|delete-(?:file|directory)|delete\(|\bpy(?:thon|x|do|file)?3?\b|\blua\b"
    r"|\bruby\b|\bperl\b|\btcl\b|\bexec\w*\b|:?terminal|\bjob_start\b|\bwritefile\(|\brename\(|\bterm_start\b|\bset\w*\s+\w*(?:prg|sh|shell)="
)
_EDITOR_AT = r"(?:^|[|:\n\"'])[ \t]*(?:silent!?[ \t]+)?(?:[\d.,$%*'<>+-]*)[ \t]*"


def _editor(call: Call, look: Look) -> None:
    words = list(call.args)
    emacs = program(call.argv[0]) == "emacs"
    pairs = list(pairwise(words))
    texts = [after for word, after in pairs if re.fullmatch(r"-\w*c|--(?:cmd|eval|execute)|-eval", word)]
    texts += [word[1:] for word in words if word.startswith("+")]
    texts += [word.partition("=")[2] for word in words if word.startswith(("--eval=", "--execute="))]
    for word, after in pairs:
        if word in {"-S", "-u", "-s", "-l", "--load", "-script", "--script"} and not after.startswith("-"):
            look.runs(look.script(after, call), call, texts.append)
    if call.feed is not None and not emacs:
        look.runs(call.feed, call, texts.append)
    guess = call.scope.copy()
    guess.strangers = False
    for text in texts:
        for command in re.findall(
            rf"{_EDITOR_AT}(?:r|w|e|read|write|edit|norm(?:al)?!?)?[ \t]*![ \t]*([^\n]+)", text
        ) + re.findall(r"\dr?[ \t]*![ \t]*([^\n]+)", text):
            look.shell(command, replace(call, scope=guess, feed=None))
            look.report("hidden_code", call, why="It runs a command from within the editor.")
        for path in re.findall(rf"{_EDITOR_AT}(?:w|wq|W|write|sav(?:eas)?|up(?:date)?)!?[ \t]+([^\s!|]+)", text):
            look.writes(path, call)
        if _EDITOR_RUNS.search(text):
            look.report("hidden_code", call)


def _pager(call: Call, look: Look) -> None:
    for word in call.args:
        if word.startswith("+") and re.search(r"[!|#]", word):
            look.report("hidden_code", call, why="It runs a command from within the pager.")
            look.shell(re.split(r"[!|#]", word, maxsplit=1)[1], call)


def _make(call: Call, look: Look) -> None:
    options = read_options(
        call.args, short="fCIjoWlE", long=("--file", "--makefile", "--directory", "--eval", "--include-dir")
    )
    texts: list[str] = [*options.values("--eval", "-E")]
    for path in (*options.values("-f", "--file", "--makefile"), "GNUmakefile", "makefile", "Makefile"):
        known = look.script(path, call)
        look.runs(known, call, texts.append)
    for text in texts:
        _makefile(text, call, look)
    for word in options.rest:
        name, equals, value = word.partition("=")
        if not equals:
            continue
        if re.search(r"\$[({]\s*(?:shell|eval|call|guile|file)", value) or name in {"SHELL", ".SHELLFLAGS"}:
            look.report("hidden_code", call)
        if name.endswith("!"):
            look.shell(value, call)
        _makefile(value, call, look)
        look_at_variable(name.rstrip(":?+!"), value, call, look)


def _makefile(text: str, call: Call, look: Look) -> None:
    for line in re.findall(r"(?:^\t|;)\s*[@+-]*([^\n]+)", text, re.MULTILINE):
        look.shell(line.replace("$$", "$"), call)
    for line in re.findall(r"\$[({]shell ([^)}\n]+)[)}]", text):
        look.shell(line, call)
    for line in re.findall(r"^[^\S\n]*[\w.-]+\s*!=\s*([^\n]+)", text, re.MULTILINE):
        look.shell(line, call)


def _cmake(call: Call, look: Look) -> None:
    words = list(call.args)
    if words[:1] == ["-E"] and words[1:2]:
        names = {"rm": "rm", "remove": "rm", "remove_directory": "rm", "copy": "cp", "env": "env", "time": "time"}
        names |= {"rename": "mv", "copy_directory": "cp", "touch": "touch", "chdir": "env"}
        name = names.get(words[1])
        if name is not None:
            words[1:2] = [words[1], "-C"] if words[1] == "chdir" else [words[1]]
            look.again([name, *(["-r"] if words[1] == "remove_directory" else []), *words[2:]], call)
    elif words[:1] == ["-P"] and words[1:2]:
        code = lambda text: look.report("hidden_code", call) if "execute_process" in text else None  # noqa: E731
        look.runs(look.script(words[1], call), call, code)


def _sqlite(call: Call, look: Look) -> None:
    texts = list(call.args)
    if call.feed is not None and call.feed.text is not None:
        texts.append(call.feed.text)
    for text in texts:
        for command in re.findall(r"(?:^|\n)[^\S\n]*\.(?:shell|system)\s+([^\n]+)", text):
            look.shell(command, call)
        for path in re.findall(r"(?:^|\n)[^\S\n]*\.(?:output|once|backup|save|clone)\s+(?:-\w+\s+)*([^\s|]+)", text):
            look.writes(path, call)
        for command in re.findall(r"(?:^|\n)[^\S\n]*\.(?:output|once|import|read)\s+\"?'?\|\s*([^\n\"']+)", text):
            look.shell(command, call)
        if re.search(r"load_extension|\.load\b|\bedit\(|writefile\(|INSTALL\s|\bCOPY\b.*\bTO\b", text):
            look.report("hidden_code", call)


def _debugger(call: Call, look: Look) -> None:
    words = list(call.args)
    for at, word in enumerate(words[:-1]):
        if word in {"-ex", "-iex", "--eval-command", "-o", "--one-line", "-eval-command", "--init-eval-command"}:
            for command in re.findall(
                r"(?:shell|!|platform shell|call\s+\(?\w*\)?\s*system\(\"?)\s*([^\n\"]+)", words[at + 1]
            ):
                look.shell(command, call)
            if re.search(r"\bpython\b|\bscript\b|\bsystem\b|\bpipe\b|\bsource\b|\bguile\b", words[at + 1]):
                look.report("hidden_code", call)
    if "--args" in words:
        look.again(words[words.index("--args") + 1 :], call)
    elif program(call.argv[0]) == "lldb" and "--" in words:
        look.again(words[words.index("--") + 1 :], call)
    else:
        rest = read_options(words, long=("-ex", "-iex", "-x", "-p", "-cd"), single=True).rest
        if rest and "/" not in rest[0]:
            look.again(rest[:1], call)
    look.runs(call.feed, call, lambda _: look.report("hidden_code", call))


SCRIPTS: dict[str, Handler] = {
    "awk": _awk,
    "sed": _sed,
    **dict.fromkeys(("vi", "vim", "nvim", "view", "ex", "ed", "red", "emacs", "nano", "gvim", "vimdiff"), _editor),
    **dict.fromkeys(("less", "more", "most"), _pager),
    **dict.fromkeys(("make", "gmake", "bmake", "remake"), _make),
    "cmake": _cmake,
    **dict.fromkeys(("sqlite3", "duckdb"), _sqlite),
    **dict.fromkeys(("gdb", "lldb", "gdb-multiarch", "rust-gdb", "rust-lldb", "cgdb"), _debugger),
}

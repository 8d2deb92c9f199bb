"""What the words behind any program may write outside, whether or not somebody knows the program.

Options that name an output are known for many programs, and by their usual names for all others. A program nobody
lists may write whatever its words name: without a sandbox that is a question when it lies outside the workspace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from chargehand.adapters.guarding.environment import look_at_environment
from chargehand.adapters.guarding.forms import FORMS, READERS, Form
from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.options import names, read_options
from chargehand.adapters.guarding.place import UNKNOWN, Spot

__all__ = ["is_reader", "look_at_arguments"]


_OUTPUT = re.compile(
    r"--?(?:out|outfile|outdir|outputs?|(?:out|output|report|log|dump|result|target|dest|build|artifacts?|coverage)[-_]?"
    r"(?:file(?:name)?|dir(?:ectory)?|path|folder|to)|dest|destination|logfile|junit-?xml|basetemp|save(?:-(?:to|as))?"
    r"|export(?:-(?:to|file|filename))?|install-(?:dir|prefix))",
    re.IGNORECASE,
)
_INPUT = re.compile(
    r"--?(?:(?-i:I|L)|isystem|iquote|include\S*|config(?:-?(?:file|path|dir))?|rcfile|sysroot|input\S*|from|source|src|schema|load|import"
    r"|require|interpreter|python\S*|ca\S*|cert\S*|ignore-path|exclude\S*|template|theme|plugin\S*|filter\S*|format|prefix)",
    re.IGNORECASE,
)
_PATH = re.compile(r"/|~|\.\.(?:/|$)|.*/\.\.(?:/|$)")
_DESTINATION = re.compile(r"(?:DESTDIR|PREFIX|O|OUT\w*|BUILD\w*|\w*DIR)", re.IGNORECASE)
_GIT_OUTPUTS = {
    "format-patch": ("-o", "--output-directory", "--output"),
    "apply": ("--directory",),
    "am": ("--directory",),
    "archive": ("-o", "--output"),
    "mailsplit": ("-o",),
    "checkout-index": ("--prefix",),
    "read-tree": ("--prefix", "--index-output"),
    "fast-export": ("--export-marks",),
    "bugreport": ("-o", "--output-directory"),
    "diagnose": ("-o", "--output-directory"),
    "difftool": (),
    "clone": ("--separate-git-dir",),
    "init": ("--separate-git-dir",),
}


def is_reader(name: str) -> bool:
    """Whether a program only reads: what its words name is shown, looked through, or printed."""
    return name in READERS


def look_at_arguments(name: str, call: Call, look: Look, *, known: bool) -> None:
    """Report what the words would write outside; `known`: a handler of its own looks at the program as well."""
    look_at_environment(name, call, look)
    _searched(name, call, look)
    form = FORMS.get(name)
    more = _MORE.get(name)
    if more is not None:
        more(call, look)
    if form is not None:
        _formed(form, call, look)
    elif not known:
        _anything(call, look, reader=name in READERS)


def _formed(form: Form, call: Call, look: Look) -> None:
    words: Sequence[str] = call.args
    if form.stop:
        rest = read_options(words, short=form.valued, stop=True).rest
        words = words[: len(words) - len(rest)]
    options = read_options(words, short=form.valued, long=[one for one in form.outputs if one.startswith("--")])
    if options.has(*form.unless):
        return
    for path in _values(words, form.outputs):
        look.writes(path, call)
    rest = options.rest
    if form.outputs and any(len(one) > 2 and not one.startswith("--") for one in form.outputs):
        rest = read_options(words, long=form.outputs, single=True).rest
    chosen = {
        "all": rest,
        "first": rest[:1],
        "second": rest[1:2],
        "later": rest[1:],
        "last": rest[-1:] if len(rest) > 1 else (),
    }.get(form.words, ())
    for path in chosen:
        if path != "-" and look.spot(path, call) is Spot.OUTSIDE:
            look.writes(path, call)


def _values(words: Sequence[str], outputs: Sequence[str]) -> Iterator[str]:
    """What the options name: in the next word, behind `=`, attached, or behind others of one letter (`-uo x`)."""
    for at, word in enumerate(words):
        if word == "--":
            return
        following = words[at + 1] if at + 1 < len(words) else ""
        for option in outputs:
            if word == option:
                if following and following != "-":
                    yield following
            elif option.startswith("--"):
                name, equals, value = word.partition("=")
                if equals and len(name) > 4 and option.startswith(name):
                    yield value
                elif word.startswith("--") and len(word) > 4 and option.startswith(word) and following:
                    yield following
            elif word.startswith(option + "="):
                yield word[len(option) + 1 :]
            elif len(option) == 2 and re.match(r"-\w", word):
                attached = re.match(rf"-\w*?{option[1]}((?:/|~|\.\.?/|\.\.$|{UNKNOWN}).*)", word, re.DOTALL)
                if attached is not None:
                    yield attached[1]
                elif re.fullmatch(rf"-[a-zA-Z]{{1,3}}{option[1]}", word) and _PATH.match(following):
                    yield following


_SEARCHERS = names("rg ag ack ugrep zgrep 7z 7za 7zr 7zz rclone scp")


def _searched(name: str, call: Call, look: Look) -> None:
    """Programs that read whole folders: a HOME must not be among them."""
    recursive = name in _SEARCHERS or (
        name in {"grep", "egrep", "fgrep"}
        and read_options(call.args, short="efABCmd", long=("--regexp", "--file")).has(
            "-r", "-R", "--recursive", "--dereference-recursive"
        )
    )
    if recursive:
        for path in read_options(call.args, short="efABCmtgTjo").rest[0 if name == "scp" else 1 :]:
            look.reads_below(path, call)


def _git(call: Call, look: Look) -> None:
    options = read_options(call.args, short="cC", long=("--git-dir", "--work-tree", "--namespace"), stop=True)
    verb, words = (options.rest[0], options.rest[1:]) if options.rest else ("", ())
    for path in _values(words, (*_GIT_OUTPUTS.get(verb, ()), "--output")):
        look.writes(path, call)
    rest = read_options(words, short="bBomcuj").rest
    if verb in {"hash-object", "show", "cat-file", "grep"} or "--no-index" in words:
        for word in rest:
            look.reads(word.rpartition(":")[2], call)
    if verb == "bundle" and rest[:1] == ("create",):
        targets = rest[1:2]
    elif verb == "worktree" and rest[:1] in {("add",), ("move",)}:
        targets = tuple(word for word in rest[1:] if _PATH.match(word))
    elif verb == "init":
        targets = rest[:1]
    elif verb == "mv":
        targets = rest[-1:]
    elif verb == "submodule" and rest[:1] == ("add",):
        targets = rest[2:3]
    else:
        targets = ()
    for path in targets:
        if path != "-":
            look.writes(path, call, append=verb != "bundle")


def _make(call: Call, look: Look) -> None:
    for word in call.args:
        name, equals, value = word.partition("=")
        if equals and _DESTINATION.fullmatch(name) and _PATH.match(value) and look.spot(value, call) is Spot.OUTSIDE:
            look.writes(value, call)


def _outside(words: Sequence[str], call: Call, look: Look) -> None:
    for word in words:
        if _PATH.match(word) and look.spot(word, call) is Spot.OUTSIDE:
            look.writes(word, call)


def _project(call: Call, look: Look) -> None:
    """`cargo new`, `uv init`, `uv venv`: what is made stands where a word says."""
    if set(call.args[:2]) & {"new", "init", "venv"}:
        _outside(call.args, call, look)


def _in_place(call: Call, look: Look) -> None:
    """`perl -i` and `ruby -i` write the files that they read."""
    if any(re.match(r"-[pnlaws0-9]*i", word) for word in call.args):
        _outside(call.args, call, look)


def _python(call: Call, look: Look) -> None:
    """Modules of the standard library that write where their words say."""
    if "-m" in call.args[:-1]:
        words = call.args[call.args.index("-m") + 1 :]
        if words[0] in {"venv", "virtualenv", "zipfile", "tarfile", "compileall"} and not {"-l", "-t"} & set(words):
            _outside(words[1:], call, look)


def _cargo(call: Call, look: Look) -> None:
    """`cargo clean` removes a folder that a variable or an option names."""
    _project(call, look)
    if "clean" in call.args and not {"-n", "--dry-run"}.intersection(call.args):
        folders = [*_values(call.args, ("--target-dir",)), *call.scope.variables.get("CARGO_TARGET_DIR", ())]
        look.deletes([one for one in folders if look.spot(one, call) is not Spot.INSIDE], call, whole=True)


def _yq(call: Call, look: Look) -> None:
    """`yq -i` writes what it reads."""
    if any(re.match(r"-\w*i|--in-?place$|--inplace$", word) for word in call.args):
        _outside([word for word in call.args if not word.startswith("-")], call, look)


def _cmake(call: Call, look: Look) -> None:
    reading = ("cat", "compare", "md5", "sha", "echo", "env", "time", "sleep", "true", "false", "capabilities")
    if call.args[:1] == ("-E",) and not "".join(call.args[1:2]).startswith(reading):
        _outside(call.args[2:], call, look)


def _database(call: Call, look: Look) -> None:
    """Statements that write files: `.output x`, `ATTACH 'x'`, `\\o x`, `COPY t TO 'x'`."""
    for text in (*call.args, *([call.feed.text] if call.feed is not None and call.feed.text else [])):
        _outside(_WRITING_SQL.findall(text), call, look)
        for command in re.findall(r"\bPROGRAM\s+'([^']+)'", text, re.IGNORECASE):
            look.shell(command, call)


_WRITING_SQL = re.compile(
    r"(?:\\[og]\b|\.(?:output|once|backup|save|clone|log)\b|\bATTACH(?:\s+DATABASE)?|\bINTO(?:\s+(?:OUT|DUMP)FILE)?|\bTO)"
    r"\s*['\"]?((?:/|~|\.\./)[^'\"\s;]*)",
    re.IGNORECASE,
)
_MORE: dict[str, Callable[[Call, Look], None]] = {
    "git": _git,
    **dict.fromkeys(("make", "gmake", "ninja"), _make),
    "cargo": _cargo,
    "yq": _yq,
    **dict.fromkeys(("uv", "npm", "poetry", "pdm", "hatch", "rye"), _project),
    **dict.fromkeys(("perl", "ruby"), _in_place),
    "python": _python,
    "cmake": _cmake,
    **dict.fromkeys(("psql", "mysql", "mariadb", "sqlite3", "duckdb"), _database),
}


def _anything(call: Call, look: Look, *, reader: bool) -> None:
    """A program nobody lists: outputs by their usual names are written, everything else its words name perhaps."""
    before = ""
    for word in call.args:
        option, value = _split(word, before)
        before = word if word.startswith("-") and "=" not in word else ""
        if not _PATH.match(value) or look.spot(value, call) is not Spot.OUTSIDE:
            continue
        if _OUTPUT.fullmatch(option) or (option == "-o" and not reader):
            look.writes(value, call)
        elif not reader and not _INPUT.fullmatch(option) and not value.startswith("//"):
            why = "Its words name something outside the workspace, which it may write."
            look.report("overwrite_outside", call, inside=True, why=why)


def _split(word: str, before: str) -> tuple[str, str]:
    """The option (or name) a value belongs to, and the value: `--opt=value`, `-oVALUE`, `name=value`, or a word."""
    attached = re.match(r"(-\w)((?:/|~|\.\./).*)", word, re.DOTALL)
    if attached is not None:
        return attached[1], attached[2]
    named = re.match(r"(-{0,2}[A-Za-z][\w.-]*)[=:](.*)", word, re.DOTALL)
    if named is not None and "://" not in word:
        return (named[1] if named[1].startswith("-") else "--" + named[1]), named[2]
    return before, word.removeprefix("@")

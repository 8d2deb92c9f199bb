"""Interpreters: code given on the command line or by a pipe is looked into; a file of the workspace is simply run.

Python is parsed (`python_code`). Of other languages the words are looked at: a one-liner is a question when it names
something that removes, runs, fetches or hides, whether or not it would get there.
"""

from __future__ import annotations

import re

from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import read_options
from chargehand.adapters.guarding.packages import PYTHON_MODULES
from chargehand.adapters.guarding.place import UNKNOWN, Spot
from chargehand.adapters.guarding.python_code import look_into_python
from chargehand.adapters.guarding.scope import SOMETHING, Out

__all__ = ["CODE", "look_into"]

_REMOVES = re.compile(
    r"\brm\s*[(:,}=]|\.rm\b|\b(?:rmSync|rmdir|rmdirSync|unlink|unlinkSync|rmtree|rm_rf|rm_r|remove_entry|remove_dir|remove_entry_secure|delete_files"
    r"|truncate|truncateSync|remove_tree|removeSync|emptyDir|emptyDirSync|deltree|chmodSync|chownSync|renameSync)\b|\bFile\.delete\b"
    r"|\bFileUtils\b|\bfile\.remove\b|\bos\.remove\b"
)
_RUNS = re.compile(
    r"\b(?:child_process|exec|execSync|execFile|execFileSync|execvp|spawn|spawnSync|fork|system|popen|open3|IO\.popen|qx|shell_exec"
    r"|passthru|proc_open|pcntl_exec|syscall|os\.execute|io\.popen|Process\.spawn|Kernel|Deno\.(?:run|Command)|Bun\.spawn|doShellScript)\b"
    r"|`|%x|\bopen\s*\(?[^)]*\|"
)
_FETCHES = re.compile(
    r"\b(?:fetch|https?|net|dgram|tls|axios|XMLHttpRequest|WebSocket|LWP|Socket|TCPSocket|open-uri|Net::HTTP|IO::Socket"
    r"|curl_exec|fsockopen|file_get_contents\s*\(\s*['\"]https?:|node:(?:net|https?))\b"
)
_HIDES = re.compile(
    r"\beval\b|\bFunction\s*\(|\batob\b|base64|fromCharCode|\\x[0-9a-fA-F]|\\u|unescape|\bpack\b|\bunpack\b|\bsend\b|public_send"
    r"|instance_eval|class_eval|create_function|call_user_func|\bloadstring\b|process\.(?:binding|dlopen)|\[\s*['\"][^'\"]*['\"]\s*(?:\+|\])"
    r"|\brequire\s*\(\s*[^'\")]|\bimport\s*\(\s*[^'\")]|\bvm\b|\bassert\s*\(|\.constructor\b|Reflect|globalThis\["
)
_ENVIRONMENT = re.compile(
    r"process\.env(?!\s*[.\[]|\w)|%ENV|\bENV\.(?:to_|each|inspect)|\bputs\s+ENV\b|\bp\s+ENV\b|getenv\s*\(\s*\)|phpinfo"
)
_WRITES = re.compile(
    r"write|Write|File\.open|open\s*\(|copy|rename|mkdir|appendFile|file_put_contents|fopen|spurt|print\s*\{?\$?fh"
)
_PATHS = re.compile(r"""['"]((?:/|~|\.\./)[^'"\s]*|\.env[^'"\s]*|[^'"\s]*/\.env)['"]""")


def look_into(text: str, call: Call, look: Look) -> None:
    """Code of a language that is not parsed."""
    for pattern, rule, why in (
        (_REMOVES, "delete_unknown", "Its code names something that removes or empties files."),
        (_RUNS, "hidden_code", "Its code runs other programs."),
        (_FETCHES, "network", "Its code connects to the network."),
        (_HIDES, "hidden_code", ""),
    ):
        if pattern.search(text):
            look.report(rule, call, why=why)
    if _ENVIRONMENT.search(text):
        look.report("environment", call, inside=True)
    if UNKNOWN in text:
        look.report("hidden_code", call)
    for path in _PATHS.findall(text):
        look.reads(path, call)
        if _WRITES.search(text) and look.spot(path, call) is Spot.OUTSIDE:
            look.report("overwrite_outside", call)


def _shell(call: Call, look: Look) -> Out | None:
    words = list(call.args)
    from_input, at = False, 0
    while at < len(words) and re.match(r"[-+].", words[at]):
        word = words[at]
        if word == "--":
            at += 1
            break
        if word in {"--rcfile", "--init-file"} and at + 1 < len(words):
            look.runs(look.script(words[at + 1], call), call, lambda text: look.shell(text, call))
            at += 1
        elif not word.startswith("--"):
            if "c" in word and word[0] == "-":
                return _command_text(words[at + 1 :], call, look)
            from_input = from_input or "s" in word
            at += word.endswith(("o", "O"))
        at += 1
    if UNKNOWN in "".join(words[:at]):
        look.report("hidden_code", call)
    rest = words[at:]
    code = lambda text: look.shell(text, call.of(call.argv), rest[1:])  # noqa: E731
    if rest and not from_input:
        look.runs(look.script(rest[0], call), call, code)
    else:
        look.runs(call.feed, call, code)
    return SOMETHING


def _command_text(words: list[str], call: Call, look: Look) -> Out | None:
    """What stands behind `-c`, behind options that may follow it."""
    while words and re.match(r"[-+].", words[0]):
        option = words.pop(0)
        if option == "--":
            break
        if option.endswith(("o", "O")) and words and not option.startswith("--"):
            words.pop(0)
    if not words:
        return None
    inner = Call(argv=call.argv, exact=call.exact, scope=call.scope.copy(), feed=call.feed)
    return look.shell(words[0], inner, words[2:])


def _python(call: Call, look: Look) -> Out | None:
    words = list(call.args)
    at = 0

    def code(text: str) -> None:
        look_into_python(text, call, look)

    while at < len(words) and words[at].startswith("-") and words[at] != "-":
        word = words[at]
        cluster = (
            re.match(r"-[bBdEhiIOPqRsSuvVx?]*([cmWX])(.*)", word, re.DOTALL) if not word.startswith("--") else None
        )
        if cluster is None:
            at += 1
            continue
        value = cluster[2] or (words[at + 1] if at + 1 < len(words) else "")
        rest = words[at + 1 :] if cluster[2] else words[at + 2 :]
        if cluster[1] == "c":
            code(value)
            return SOMETHING
        if cluster[1] == "m":
            return _python_module(value, rest, call, look)
        at += 1 if cluster[2] else 2
    if at < len(words):
        look.runs(look.script(words[at], call), call, code)
    else:
        look.runs(call.feed, call, code)
    return SOMETHING


def _python_module(name: str, rest: list[str], call: Call, look: Look) -> Out | None:
    if UNKNOWN in name:
        look.report("unknown_command", call)
    elif name in PYTHON_MODULES:
        PYTHON_MODULES[name](rest, call, look)
    elif name in {"smtplib", "webbrowser", "telnetlib", "ftplib"} and rest:
        look.report("network", call)
    elif name in {"timeit", "trace", "cProfile", "profile", "pdb", "runpy", "coverage", "doctest"}:
        _runner(name, rest, call, look)
    elif name == "base64" and call.feed is not None and call.feed.text is not None and "-d" in rest:
        return look.again(("base64", "-d"), call)
    return SOMETHING


def _runner(name: str, rest: list[str], call: Call, look: Look) -> None:
    """Modules of Python that run code given to them."""
    if name == "timeit":
        options = read_options(rest, short="nrsu")
        for text in (*options.rest, *options.values("-s", "--setup")):
            look_into_python(text, call, look)
    elif name == "pdb":
        for text in read_options(rest, short="c", stop=True).values("-c"):
            look_into_python(text.lstrip("!"), call, look)
    elif "-m" in rest:
        at = rest.index("-m")
        _python_module(rest[at + 1] if at + 1 < len(rest) else "", rest[at + 2 :], call, look)


def _by_options(short: str, names: tuple[str, ...], long: tuple[str, ...] = (), script: bool = True) -> Handler:
    """Interpreters that take code behind the options `names`."""

    def handler(call: Call, look: Look) -> None:
        options = read_options(call.args, short=short, long=long, stop=True)
        texts = [*options.values(*names)]
        for text in texts:
            look_into(text, call, look)
        if not texts and script:
            code = lambda text: look_into(text, call, look)  # noqa: E731
            look.runs(look.script(options.rest[0], call) if options.rest else call.feed, call, code)

    return handler


def _node(call: Call, look: Look) -> Out | None:
    if program(call.argv[0]) in {"deno", "bun"} and call.args and not call.args[0].startswith("-"):
        verb, rest = call.args[0], call.args[1:]
        if verb == "eval":
            look_into(" ".join(rest), call, look)
        elif program(call.argv[0]) == "bun" and verb in {"x", "add", "install", "i", "publish", "create"}:
            return look.again(("npx" if verb == "x" else "npm", *(rest if verb == "x" else call.args)), call)
        elif any(host in word for word in rest[:3] for host in ("https://", "http://")):
            look.report("remote_code", call)
        return None
    options = read_options(
        call.args, short="epr", long=("--eval", "--print", "--require", "--import", "--loader"), stop=True
    )
    texts = [*options.values("-e", "-p", "--eval", "--print")]
    for text in (*texts, *(word for word in options.values("--import", "--loader") if word.startswith("data:"))):
        look_into(text, call, look)
    if not texts:
        code = lambda text: look_into(text, call, look)  # noqa: E731
        look.runs(look.script(options.rest[0], call) if options.rest else call.feed, call, code)
    return SOMETHING


def _perl(call: Call, look: Look) -> None:
    texts, at, words = [], 0, list(call.args)
    while at < len(words) and words[at].startswith("-") and words[at] not in {"-", "--"}:
        match = re.match(r"-[aclnpstuwWTUXi0-9.F]*?([eEMIr])(.*)", words[at], re.DOTALL)
        if match is not None and match[1] in "eEr":
            texts.append(match[2] or (words[at + 1] if at + 1 < len(words) else ""))
            at += 0 if match[2] else 1
        elif match is not None and match[1] == "I" and not match[2]:
            at += 1
        at += 1
    for text in texts:
        look_into(text, call, look)
    if not texts:
        code = lambda text: look_into(text, call, look)  # noqa: E731
        look.runs(look.script(words[at], call) if at < len(words) else call.feed, call, code)


def _awk(call: Call, look: Look) -> None:
    options = read_options(call.args, short="Fvfe", long=("--file", "--source", "--assign", "--field-separator"))
    texts = [*options.values("-e", "--source")]
    if not texts and not options.has("-f", "--file"):
        texts = list(options.rest[:1])
    for text in texts:
        for command in re.findall(r'system\s*\(\s*"((?:[^"\\]|\\.)*)"\s*\)', text):
            look.shell(command.replace('\\"', '"'), call)
        for pattern in (r'\|\s*"((?:[^"\\]|\\.)*)"', r'"((?:[^"\\]|\\.)*)"\s*\|\s*getline'):
            for command in re.findall(pattern, text):
                look.shell(command.replace('\\"', '"'), call)
        rest = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
        if (
            re.search(
                r'system\s*\((?!\s*""\s*\))|\|\s*(?!\|)(?:&\s*)?(?!getline|"")[\w($]|[\w)]\s*\|\s*getline|@load|/inet',
                rest.replace("||", ""),
            )
            or UNKNOWN in text
        ):
            look.report("hidden_code", call)
        for path in re.findall(r'>>?\s*"([^"]+)"', text):
            look.writes(path, call)
    for path in options.values("-f", "--file"):
        look.runs(look.script(path, call), call, lambda text: look_into(text, call, look))


def _sed(call: Call, look: Look) -> None:
    options = read_options(call.args, short="efl", long=("--expression", "--file", "--line-length"))
    texts = [*options.values("-e", "--expression")]
    files = options.rest if texts or options.has("-f", "--file") else options.rest[1:]
    if not texts and not options.has("-f", "--file"):
        texts = list(options.rest[:1])
    for text in texts:
        for command in re.findall(r"(?:^|[;{}\n]|[0-9$/])[ \t]*e[ \t]+([^\n]+)", text):
            look.shell(command, call)
        if re.search(r"(?:^|[;{}\n]|[0-9$/])[ \t]*e[ \t]*(?:$|[;}\n])", text) or re.search(
            r"s(.)(?:\\.|(?!\1).)*\1(?:\\.|(?!\1).)*\1[gpiImM0-9]*e", text, re.DOTALL
        ):
            look.report("hidden_code", call, why="It runs lines of its input as commands.")
        for path in re.findall(r"(?:^|[;{}\n/0-9$])[ \t]*[wW][ \t]+([^\n;}]+)", text):
            look.writes(path.strip(), call)
    if options.has("-i", "--in-place"):
        for path in files:
            look.writes(path, call)
    for path in options.values("-f", "--file"):
        look.runs(look.script(path, call), call, lambda _: look.report("piped_code", call))


def _editor(call: Call, look: Look) -> None:
    words = list(call.args)
    texts = [
        words[at + 1] for at, word in enumerate(words[:-1]) if re.fullmatch(r"-\w*c|-S|--(?:cmd|eval|execute)", word)
    ]
    texts += [word[1:] for word in words if word.startswith("+")]
    texts += [word.partition("=")[2] for word in words if word.startswith("--eval=")]
    if call.feed is not None and program(call.argv[0]) in {"ed", "ex", "vi", "vim", "nvim"}:
        look.runs(call.feed, call, texts.append)
    for text in texts:
        for command in re.findall(r"(?:^|[|:\n][ \t]*|silent!?[ \t]+|\dr?[ \t]*)(?:r[ \t]*)?![ \t]*([^\n]+)", text):
            look.shell(command, call)
        if re.search(
            r"system\(|shell-command|call-process|delete-(?:file|directory)|delete\(|\bpy(?:thon)?3?\b|\blua\b|\bexec\w*\b|:?terminal",
            text,
        ):
            look.report("hidden_code", call)


def _make(call: Call, look: Look) -> None:
    options = read_options(
        call.args, short="fCIjoWl", long=("--file", "--makefile", "--directory", "--eval", "--include-dir")
    )
    texts: list[str] = [*options.values("--eval")]
    for path in options.values("-f", "--file", "--makefile"):
        known = look.script(path, call)
        look.runs(known, call, texts.append)
    for text in texts:
        for line in re.findall(r"(?:^\t|;)\s*[@+-]*([^\n]+)", text, re.MULTILINE):
            look.shell(line.replace("$$", "$"), call)
        for line in re.findall(r"\$\(shell ([^)\n]+)\)", text):
            look.shell(line, call)
    for word in options.rest:
        name, equals, value = word.partition("=")
        if equals and ("$(shell" in value or name == "SHELL"):
            look.report("hidden_code", call)


def _cmake(call: Call, look: Look) -> None:
    words = list(call.args)
    if words[:1] == ["-E"] and words[1:2]:
        names = {"rm": "rm", "remove": "rm", "remove_directory": "rm", "copy": "cp", "env": "env", "time": "time"}
        name = names.get(words[1])
        if name is not None:
            look.again([name, *(["-r"] if words[1] == "remove_directory" else []), *words[2:]], call)


def _sqlite(call: Call, look: Look) -> None:
    for text in call.args:
        for command in re.findall(r"\.(?:shell|system)\s+([^\n]+)", text):
            look.shell(command, call)
    if call.feed is not None and call.feed.text is not None:
        for command in re.findall(r"^\.(?:shell|system)\s+([^\n]+)", call.feed.text, re.MULTILINE):
            look.shell(command, call)


def _debugger(call: Call, look: Look) -> None:
    words = list(call.args)
    for at, word in enumerate(words[:-1]):
        if word in {"-ex", "-iex", "--eval-command", "-o", "--one-line"}:
            for command in re.findall(
                r"(?:shell|!|platform shell|call\s+\(?\w*\)?\s*system\(\"?)\s*([^\n\"]+)", words[at + 1]
            ):
                look.shell(command, call)


CODE: dict[str, Handler] = {
    **dict.fromkeys(
        ("sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "rbash", "fish", "csh", "tcsh", "yash"), _shell
    ),
    "python": _python,
    **dict.fromkeys(("node", "deno", "bun"), _node),
    "perl": _perl,
    "ruby": _by_options("eIrEKCxW", ("-e",)),
    "php": _by_options("rBREdcfFzSt", ("-r", "-B", "-R", "-E", "--run", "--process-code"), ("--run", "--process-code")),
    "lua": _by_options("el", ("-e",)),
    **dict.fromkeys(
        ("Rscript", "R", "julia", "elixir", "erl", "ghc", "groovy", "scala", "tclsh", "osascript", "expect"),
        _by_options("eEc", ("-e", "-E", "-c", "-eval", "--eval"), ("--eval",)),
    ),
    "awk": _awk,
    "sed": _sed,
    **dict.fromkeys(("vi", "vim", "nvim", "view", "ex", "ed", "emacs", "nano", "gvim"), _editor),
    **dict.fromkeys(("make", "gmake"), _make),
    "cmake": _cmake,
    **dict.fromkeys(("sqlite3", "duckdb"), _sqlite),
    **dict.fromkeys(("gdb", "lldb"), _debugger),
}

"""Interpreters: code given on the command line or by a pipe is looked into; a file of the workspace is simply run.

Python is parsed (`python_code`). Of other languages the words are looked at: a one-liner is a question when it names
something that removes, runs, fetches or hides, whether or not it would get there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from chargehand.adapters.guarding.known import is_standard_folder
from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import names, read_options
from chargehand.adapters.guarding.packages import PYTHON_MODULES
from chargehand.adapters.guarding.place import UNKNOWN, Spot
from chargehand.adapters.guarding.python_code import look_into_python
from chargehand.adapters.guarding.scope import SOMETHING, Out

__all__ = ["CODE", "look_into", "run_file"]

_REMOVES = re.compile(
    r"\brm\s*[(:,}=]|\.rm\b|\b(?:rmSync|rmdir|rmdirSync|unlink|unlinkSync|rmtree|rm_rf|rm_r|remove_entry|remove_dir|remove_entry_secure|delete_files"
    r"|truncate|truncateSync|remove_tree|removeSync|emptyDir|emptyDirSync|deltree|chmodSync|chownSync|renameSync)\b|\bFile\.delete\b"
    r"|\bFileUtils\b|\bfile\.remove\b|\bos\.remove\b|\bfile\s+delete\b|\bdelete-file\b|\bRemove-Item\b|\bDelTree\b"
    r"|\bSys\.remove\b|\bfile:del\w*|\bFile\.rm\w*|\bremoveDirectory\w*|\bos\.rename\b|\brename\s*\("
)
_RUNS = re.compile(
    r"\b(?:child_process|exec|execSync|execFile|execFileSync|execvp|spawn|spawnSync|fork|system|popen|open3|IO\.popen|qx|shell_exec"
    r"|passthru|proc_open|pcntl_exec|syscall|os\.execute|io\.popen|Process\.spawn|Kernel|Deno\.(?:run|Command)|Bun\.spawn|doShellScript"
    r"|system2|run-external|Invoke-Expression|iex|Start-Process|esyscmd|syscmd|os:cmd|Sys\.command|Unix\.\w+|Runtime|ProcessBuilder"
    r"|open_process|createProcess|System\.cmd|run_process|processx|ffi|dlopen)\b|do shell script"
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
_INSTALLS = re.compile(
    r"\binstall\.packages\b|\binstall_(?:github|gitlab|bitbucket|git|url|svn|version|bioc|cran)\b|\bBiocManager::install\b|\bpak::\w"
    r"|\bPkg\.(?:add|develop|clone)\b|\bMix\.install\b|\bCPAN::Shell\b|\bCPAN\s*->|\bGem\.install\b|\bbundler/inline\b|\brenv::install\b"
)
_ONE_VARIABLE = re.compile(
    r"\b(?:process\s*\.\s*env|Deno\.env|Bun\.env|import\.meta\.env|ENV|ENVIRON)\s*\[\s*(['\"])\w+\1\s*\](?!\s*\()"
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
    text = _ONE_VARIABLE.sub(" ENV_OF_ONE ", text)  # whether it is a secret is looked at elsewhere
    for pattern, rule, why in (
        (_REMOVES, "delete_unknown", "Its code names something that removes or empties files."),
        (_RUNS, "hidden_code", "Its code runs other programs."),
        (_FETCHES, "network", "Its code connects to the network."),
        (_HIDES, "hidden_code", ""),
        (_INSTALLS, "install_unnamed", "Its code installs packages."),
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


def run_file(path: str, call: Call, look: Look, code: Callable[[str], object]) -> None:
    """An interpreter is given a file: followed where it is known, a question where it lies outside."""
    known = look.script(path, call)
    if known is None and re.match(r"/(?:dev|proc/[^/]+)/fd/", path):
        known = SOMETHING
    if (
        known is None
        and call.scope.strangers
        and not is_standard_folder(path)
        and look.spot(path, call) is Spot.OUTSIDE
    ):
        look.report("unknown_program", call, inside=True, why="It runs a file that is not part of the workspace.")
    look.runs(known, call, code)


def _file_or_input(paths: Sequence[str], call: Call, look: Look, code: Callable[[str], object]) -> None:
    if paths:
        run_file(paths[0], call, look, code)
    else:
        look.runs(call.feed, call, code)


def _shell(call: Call, look: Look) -> Out | None:
    words = list(call.args)
    from_input, at = False, 0
    while at < len(words) and re.match(r"[-+].", words[at]):
        word = words[at]
        if word == "--":
            at += 1
            break
        if word in {"--rcfile", "--init-file"} and at + 1 < len(words):
            run_file(words[at + 1], call, look, lambda text: look.shell(text, call))
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
        run_file(rest[0], call, look, code)
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
        run_file(words[at], call, look, code)
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
    elif (known := look.script(name.replace(".", "/") + ".py", call)) is not None:
        look.runs(known, call, lambda text: look_into_python(text, call, look))
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


def _by_options(short: str, wanted: tuple[str, ...], long: tuple[str, ...] = (), script: bool = True) -> Handler:
    """Interpreters that take code behind the options `wanted`."""

    def handler(call: Call, look: Look) -> None:
        options = read_options(call.args, short=short, long=long, stop=True)
        texts = [*options.values(*wanted)]
        for text in texts:
            look_into(text, call, look)
        if not texts and script:
            code = lambda text: look_into(text, call, look)  # noqa: E731
            _file_or_input(options.rest[:1], call, look, code)

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
        _file_or_input(options.rest[:1], call, look, code)
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
        _file_or_input(words[at : at + 1], call, look, code)


_FOREIGN = names(
    "tclsh wish expect osascript erl escript ghc runghc runhaskell groovy groovysh scala jshell kotlin "
    "kotlinc-jvm swift-repl clojure clj bb babashka racket raku guile sbcl clisp ecl ccl chicken csi gosh "
    "mit-scheme scheme ocaml utop ghci iex pwsh powershell nu xonsh elvish rc es osh ysh oil murex ion m4 dc "
    "gnuplot octave matlab sage gp maxima scilab forth gforth swipl prolog yap janet fennel luajit moon wren hy "
    "coffee livescript rhino jjs qjs d8 jq-repl cling root picolisp newlisp arturo icon factor pike rexx "
    "gawk-repl bsh beanshell jython jruby rakudo apl"
)
_CODE_OPTIONS = (
    *(
        "-e",
        "-E",
        "-c",
        "-C",
        "-r",
        "-x",
        "-p",
        "-g",
        "-eval",
        "--eval",
        "--exec",
        "--execute",
        "--command",
        "-command",
    ),
    *("-Command", "-EncodedCommand", "-enc", "--print", "-noshell-eval", "--expr", "--code", "-run", "--commands"),
)


_LIKE_A_SHELL = re.compile(r"(?:^|[;|&(\[{!^\n])\s*((?:rm|sudo|dd|git|curl|wget|sh|bash|mv|shred)\s[^;|&\n\]})'\"`]*)")


def _foreign(call: Call, look: Look) -> None:
    """A language that nobody reads here: its code is a question, a file of the workspace is simply run."""
    words = list(call.args)
    texts = [after for word, after in pairwise(words) if word in _CODE_OPTIONS]
    texts += [word.partition("=")[2] for word in words if word.partition("=")[0] in _CODE_OPTIONS and "=" in word]
    texts += [word[2:] for word in words if re.match(r"-[eEc][^\w-]", word)]
    for text in texts:
        look_into(text, call, look)
        look.report("hidden_code", call, why="It runs code in a language that is not read here.")
        guess = call.scope.copy()
        guess.strangers = False
        for command in _LIKE_A_SHELL.findall(text)[:8]:
            look.shell(command, replace(call, scope=guess))
    rest = [word for word in words if not word.startswith("-")]
    if not texts and not rest:
        look.runs(call.feed, call, lambda text: look_into(text, call, look))
        if call.feed is not None and call.feed.text:
            look.report("hidden_code", call, why="It runs code in a language that is not read here.")
    elif not texts:
        code = lambda text: look_into(text, call, look)  # noqa: E731
        run_file(rest[0], call, look, code)


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
        ("Rscript", "R", "julia", "elixir"),
        _by_options("eEc", ("-e", "-E", "-c", "-eval", "--eval"), ("--eval",)),
    ),
    **dict.fromkeys(_FOREIGN, _foreign),
}

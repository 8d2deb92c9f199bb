"""Programs that start another one."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace

from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import Options, read_options
from chargehand.adapters.guarding.place import UNKNOWN, is_secret_name
from chargehand.adapters.guarding.scope import SOMETHING, Out
from chargehand.adapters.guarding.variables import look_at_variable

__all__ = ["WRAPPERS"]

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_ANY_ASSIGNMENT = re.compile(r"([^=/]+)=(.*)", re.DOTALL)
"""What `env` takes for one: `BASH_FUNC_x%%=() { …; }` as well."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How a wrapper is called: options with a value, words before the command, whether a shell runs it."""

    short: str = ""
    long: tuple[str, ...] = ()
    before: int = 0
    by_shell: bool = False
    rule: str = ""


_FORMS = {
    "nohup": _Form(),
    "setsid": _Form(),
    "nice": _Form("n", ("--adjustment",)),
    "ionice": _Form("cnpPu", ("--class", "--classdata")),
    "timeout": _Form("ks", ("--kill-after", "--signal"), 1),
    "gtimeout": _Form("ks", ("--kill-after", "--signal"), 1),
    "time": _Form("fo", ("--format", "--output")),
    "coproc": _Form(),
    "stdbuf": _Form("ioe", ("--input", "--output", "--error")),
    "unbuffer": _Form(),
    "chrt": _Form("", (), 1),
    "taskset": _Form("", (), 1),
    "strace": _Form("oepsauEPSIOXbn"),
    "ltrace": _Form("oepsaunxlDFA"),
    "watch": _Form("nd", ("--interval",), 0, True),
    "entr": _Form(),
    "unshare": _Form("RwSG", ("--root", "--wd")),
    "fakeroot": _Form("lbsi"),
    "proot": _Form("rbwq"),
    "firejail": _Form(),
    "setarch": _Form("", (), 1),
    "linux64": _Form(),
    "xvfb-run": _Form("enspfw", ("--server-args", "--server-num")),
    "dbus-run-session": _Form(),
    "cpulimit": _Form("lpe"),
    "prlimit": _Form(),
    "setpriv": _Form(),
    "faketime": _Form("f", (), 1),
    "direnv": _Form("", (), 2),
    "dotenv": _Form("f", ("--file",), 1),
    "sudo": _Form("ugpCcDhRrTtU", ("--user", "--group", "--prompt", "--chdir", "--host"), rule="privilege"),
    "doas": _Form("uCa", rule="privilege"),
    "pkexec": _Form("", ("--user",), rule="privilege"),
    "gosu": _Form("", (), 1, rule="privilege"),
    "su-exec": _Form("", (), 1, rule="privilege"),
    "run0": _Form("ug", ("--user",), rule="privilege"),
    "sudoedit": _Form(rule="privilege"),
    "chroot": _Form("", (), 1, rule="privilege"),
    "nsenter": _Form("tSGrw", ("--target",), rule="privilege"),
    "systemd-run": _Form("putMH", ("--unit", "--property"), rule="system"),
}


def _wrapper(call: Call, look: Look) -> Out | None:
    form = _FORMS[program(call.argv[0])]
    if form.rule:
        look.report(form.rule, call)
    options = read_options(call.args, short=form.short, long=form.long, stop=True)
    inner = list(options.rest[form.before :])
    while inner and _ASSIGNMENT.fullmatch(inner[0]) and form.rule:
        inner.pop(0)
    if inner and inner[0] == "--":
        inner.pop(0)
    if "{" in inner[:2]:  # `time { …; }`: the grammar takes the brace for a word
        inner = inner[inner.index("{") + 1 :]
    if not inner:
        return None
    if form.by_shell:
        return look.shell(" ".join(inner), call)
    return look.again(inner, call)


def _su(call: Call, look: Look) -> None:
    look.report("privilege", call)
    options = read_options(call.args, short="cgGsuwT", long=("--command", "--session-command", "--shell", "--user"))
    for text in options.values("-c", "--command", "--session-command"):
        look.shell(text, call)
    if program(call.argv[0]) == "runuser" and options.has("-u", "--user"):
        look.again(options.rest, call)


def _env(call: Call, look: Look) -> Out | None:
    options = read_options(call.args, short="uCS", long=("--unset", "--chdir", "--split-string"), stop=True)
    scope = call.scope.copy()
    words = list(options.rest)
    for folder in options.values("-C", "--chdir"):
        scope.cwds = tuple(look.place.full(folder, cwd) for cwd in scope.cwds)
    inner = replace(call, scope=scope)
    for text in options.values("-S", "--split-string"):
        return look.shell(" ".join([text, *words]), inner)
    while words and (match := _ANY_ASSIGNMENT.fullmatch(words[0])):
        words.pop(0)
        scope.variables[match[1]] = (match[2],)
        look_at_variable(match[1], match[2], inner, look)
    if words:
        return look.again(words, inner)
    if not options.has("-i", "--ignore-environment", "-") and call.args[:1] != ("-",):
        look.report("environment", call, inside=True)
    return SOMETHING


def _printenv(call: Call, look: Look) -> None:
    names = read_options(call.args).rest
    if not names:
        look.report("environment", call, inside=True)
    elif any(is_secret_name(name) or UNKNOWN in name for name in names):
        look.report("secret_variable", call, inside=True)


def _envsubst(call: Call, look: Look) -> None:
    """It fills variables into a text: those that are named, or whatever stands in what it reads."""
    told = read_options(call.args).rest or ((call.feed.text,) if call.feed is not None and call.feed.text else ())
    if not told and "-h" not in call.args and not {"--help", "--version", "-V"}.intersection(call.args):
        look.report("environment", call, inside=True, why="It fills in whatever variables its input names.")
    if any(is_secret_name(name) for text in told for name in re.findall(r"\$\{?(\w+)", text)):
        look.report("secret_variable", call, inside=True)


def _xargs(call: Call, look: Look) -> Out | None:
    options = read_options(
        call.args,
        short="aEILnPsd",
        long=("--arg-file", "--delimiter", "--max-args", "--max-lines", "--max-procs", "--replace", "--max-chars"),
        stop=True,
    )
    inner = list(options.rest) or ["echo"]
    text = call.feed.text if call.feed is not None else None
    given = [UNKNOWN] if text is None else _items(text, options)
    mark = next(options.values("-I", "--replace"), "{}" if options.has("-i", "--replace") else "")
    if options.has("-a", "--arg-file"):
        given = [UNKNOWN]
    if not mark:
        return look.again([*inner, *given], replace(call, feed=None))
    for one in given[:20] or [""]:
        look.again([word.replace(mark, one) for word in inner], replace(call, feed=None))
    return None


def _items(text: str, options: Options) -> list[str]:
    """What xargs makes of a known input: lines, the whole, or words as a shell quotes them."""
    if options.has("-0", "--null", "-d", "--delimiter"):
        return [part for part in text.strip("\n").split("\0") if part]
    if options.has("-I", "-i", "--replace", "-L", "--max-lines"):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return shlex.split(text)
    except ValueError:
        return [UNKNOWN]


def _parallel(call: Call, look: Look) -> None:
    options = read_options(
        call.args, short="jSaILnNPsdCE", long=("--jobs", "--colsep", "--joblog", "--results"), stop=True
    )
    words = list(options.rest)
    cut = next((i for i, word in enumerate(words) if re.fullmatch(r":::+\+?", word)), len(words))
    inner, given = words[:cut], words[cut + 1 :]
    if not inner:
        for text in given:
            look.shell(text, call)
        if not given:
            look.runs(call.feed or SOMETHING, call, lambda text: look.shell(text, call))
        return
    text = " ".join(inner)
    for one in given[:20] or [UNKNOWN]:
        filled = text.replace("{}", one) if "{}" in text else f"{text} {one}"
        look.follow.text(filled, call, None)


def _busybox(call: Call, look: Look) -> Out | None:
    return look.again(call.args, call) if call.args and not call.args[0].startswith("-") else None


def _loader(call: Call, look: Look) -> Out | None:
    """The dynamic loader run as a program."""
    options = read_options(call.args, long=("--library-path", "--preload", "--argv0", "--inhibit-rpath"), stop=True)
    return look.again(options.rest, call) if options.rest else None


def _flock(call: Call, look: Look) -> Out | None:
    options = read_options(call.args, short="wEc", long=("--timeout", "--wait", "--command"), stop=True)
    rest = list(options.rest[1:])
    texts = list(options.values("-c", "--command"))
    if rest[:1] in (["-c"], ["--command"]):
        texts += rest[1:2]
        rest = []
    for text in texts:
        look.shell(text, call)
    return look.again(rest, call) if rest else None


def _script(call: Call, look: Look) -> None:
    options = read_options(call.args, short="cEIOBTmo", long=("--command",))
    for text in options.values("-c", "--command"):
        look.shell(text, call)
    if "--" in call.args:
        look.again(call.args[call.args.index("--") + 1 :], call)


def _hyperfine(call: Call, look: Look) -> None:
    options = read_options(
        call.args, short="wrmMpcsSnLN", long=("--warmup", "--runs", "--prepare", "--cleanup", "--setup")
    )
    for text in (*options.rest, *options.values("-p", "-c", "-s", "--prepare", "--cleanup", "--setup")):
        look.shell(text, call)


def _inner_command(call: Call, look: Look) -> None:
    """`nix-shell --run`, `tmux new-session 'text'`, `screen -dm …`."""
    options = read_options(call.args, short="sntcSL", long=("--run", "--command"))
    for text in options.values("--run", "--command", "-c"):
        look.shell(text, call)
    if program(call.argv[0]) in {"tmux", "screen"} and options.rest:
        looks_like_verb = program(call.argv[0]) == "tmux"
        text = " ".join(options.rest[1:] if looks_like_verb else options.rest)
        look.shell(text, call) if text else None


WRAPPERS: dict[str, Handler] = {
    **dict.fromkeys(_FORMS, _wrapper),
    "su": _su,
    "runuser": _su,
    "env": _env,
    "printenv": _printenv,
    "envsubst": _envsubst,
    "xargs": _xargs,
    "parallel": _parallel,
    "busybox": _busybox,
    "toybox": _busybox,
    "ld.so": _loader,
    "flock": _flock,
    "script": _script,
    "hyperfine": _hyperfine,
    "nix-shell": _inner_command,
    "tmux": _inner_command,
    "screen": _inner_command,
}

"""The one table from the name of a program to what looks at it, and what every program has in common."""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from dataclasses import replace
from functools import cache

from chargehand.adapters.guarding.addresses import look_at_addresses
from chargehand.adapters.guarding.arguments import look_at_arguments
from chargehand.adapters.guarding.builtins import BUILTINS
from chargehand.adapters.guarding.code import CODE
from chargehand.adapters.guarding.databases import look_at_databases
from chargehand.adapters.guarding.files import FILES
from chargehand.adapters.guarding.known import is_known, is_standard_folder
from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.manifests import look_at_manifests
from chargehand.adapters.guarding.network import NETWORK
from chargehand.adapters.guarding.options import names, read_options
from chargehand.adapters.guarding.packages import PACKAGES, install_named
from chargehand.adapters.guarding.place import UNKNOWN, Spot
from chargehand.adapters.guarding.publishing import look_at_publishing
from chargehand.adapters.guarding.python_code import look_into_python
from chargehand.adapters.guarding.scope import SOMETHING, Out
from chargehand.adapters.guarding.scripts import SCRIPTS
from chargehand.adapters.guarding.starters import RUNNERS, RUNS, STARTERS, STARTING, SURE, look_at_options
from chargehand.adapters.guarding.system import SYSTEM
from chargehand.adapters.guarding.vcs import VCS
from chargehand.adapters.guarding.wrappers import WRAPPERS

__all__ = ["follow_program"]

_VERSIONED = re.compile(r"(python|pypy|pip|node|perl|ruby|php|lua|bash|gcc|java|uvx|clisp|tclsh)[-.\d]*(?:m|t)?$")
_SAME = {
    "pypy": "python",
    "nodejs": "node",
    "gawk": "awk",
    "mawk": "awk",
    "nawk": "awk",
    "grm": "rm",
    "gfind": "find",
    "gxargs": "xargs",
}
_FILE = re.compile(r"/|\.(?:[cm]?[jt]sx?|py|rb|sh|pl|lua|jar)$")
_MOST_WORDS = 16
_MOST_OF_ONE = 3
_MOST_FOLLOWED = 24
_ASKING = {("--version",), ("--help",), ("-V",), ("-h",), ("version",)}
_PLAIN = names(
    "rm sh bash dash zsh ksh sudo doas su shred unlink dd mkfs python python3 perl node ruby git find xargs env eval "
    "busybox curl wget ssh scp chmod chown mv docker kubectl"
)
# Programs whose words are texts, patterns or names, not files that are read.
_NAMES_ONLY = names(
    "ls stat rm mv touch mkdir rmdir ln chmod chown git gh find fd cp install which echo printf basename dirname"
)
_PATTERN_FIRST = frozenset({"grep", "egrep", "fgrep", "rg", "ag", "ack", "sed", "awk", "jq", "yq", "zgrep"})


@cache
def _table() -> dict[str, Handler]:
    return {**SYSTEM, **NETWORK, **PACKAGES, **VCS, **FILES, **WRAPPERS, **CODE, **SCRIPTS, **STARTING}


def _canonical(word: str) -> str:
    name = program(word)
    if name.startswith(("ld-linux", "ld-musl", "ld.so", "ld64.so")):
        return "ld.so"
    if name.startswith("mkfs."):
        return "mkfs"
    match = _VERSIONED.match(name)
    name = match[1] if match is not None else name
    return _SAME.get(name, name)


def follow_program(call: Call, look: Look) -> Out:
    """Look at one program with its words; what it prints, as far as that can be told."""
    name = _canonical(call.argv[0])
    if call.argv[0] != name and "/" not in call.argv[0]:
        call = call.of((name, *call.args))
    _secrets(name, call, look)
    handler = _table().get(name)
    look_at_arguments(name, call, look, known=handler is not None)
    look_at_options(name, call, look)
    look_at_addresses(name, call, look)
    look_at_publishing(name, call, look)
    look_at_databases(name, call, look)
    look_at_manifests(name, call, look, install_named)
    out = handler(call, look) if handler is not None else None
    if name in {"cp", "ln", "link", "install", "mv"}:
        _copied(call, look)
    if name in {"pytest", "py.test"} and (known := look.script("conftest.py", call)) is not None:
        look.runs(known, call, lambda text: look_into_python(text, call, look))
    _strangers(name, call, look)
    return out or _printed(name, call, look)


def _copied(call: Call, look: Look) -> None:
    """`cp /bin/rm x`: from now on `./x` is another name of it."""
    words = read_options(call.args, short="tSgmo").rest
    for source in words[:-1] if len(words) > 1 else ():
        if is_standard_folder(look.place.full(source, "/")) and source.startswith("/"):
            for cwd in call.scope.cwds:
                at = look.place.full(words[-1], cwd)
                look.links[at] = look.links[f"{at}/{program(source)}"] = source


def _is_known(name: str) -> bool:
    return name in _table() or name in BUILTINS or is_known(name)


def _strangers(name: str, call: Call, look: Look) -> None:
    """A program nobody knows is a question, and what its words would start is followed in any case."""
    known = name in _table() or is_known(name)
    if name in STARTERS:
        told = _started(call, look, everything=True) or all(word.startswith("-") for word in call.args)
    elif name in RUNNERS and RUNS.intersection(call.args):
        verb = {word for word in call.args if word.startswith("-")}
        verb.update([word for word in call.args if not word.startswith("-")][:1])
        told = _started(call, look, everything=True) or (known and not SURE.intersection(verb))
    elif not known:
        told = call.args in _ASKING
        _started(call, look, everything=False)
    else:
        told = True
    path = call.argv[0]
    if "/" in path:
        spot = look.spot(path, call)
        told = spot in {Spot.INSIDE, Spot.PRIVATE} or (told and _is_toolchain(look.place.full(path, "/")))
    if not told and call.scope.strangers:
        look.report("unknown_program", call, inside=True)


def _is_toolchain(path: str) -> bool:
    return is_standard_folder(path) or program(posixpath.dirname(path)) in {"bin", "sbin", "shims", "libexec"}


def _started(call: Call, look: Look, *, everything: bool) -> bool:
    """Follow what another program is perhaps told to start: any word that is the name of a program, and the rest.

    `everything`: all names that are known count, else those that are hardly ever another word. Whether anything was.
    """
    guess = call.scope.copy()
    guess.strangers = False
    inner = replace(call, scope=guess)
    found = False
    followed: list[str] = []
    for at, word in enumerate(call.args[: _MOST_WORDS if everything else 10 * _MOST_WORDS]):
        head = _canonical(word)
        value = re.match(r"--?[\w-]+?(?:=|(?<=^-[A-Za-z]))(\S.*\s.*)", word, re.DOTALL)
        if value is not None and _canonical(value[1].split()[0]) in _PLAIN:
            look.shell(value[1], inner)
        if " " in word.strip() and not word.startswith("-"):
            first = _canonical(word.split()[0])
            if _is_known(first) if everything else first in _PLAIN:
                look.shell(word, inner)
                found = True
        elif _is_known(head) if everything else (head in _PLAIN and (at + 1 < len(call.args) or call.feed is not None)):
            if followed.count(head) < _MOST_OF_ONE and len(followed) < _MOST_FOLLOWED:
                look.again(call.args[at:], inner)
            followed.append(head)
            found = found or head not in RUNS | BUILTINS.keys()
        elif everything and _FILE.search(word) and look.spot(word, call) in {Spot.INSIDE, Spot.PRIVATE}:
            found = True
    return found


def _secrets(name: str, call: Call, look: Look) -> None:
    if name in _NAMES_ONLY:
        return
    words = list(call.args)
    if name in _PATTERN_FIRST:
        at = next((i for i, word in enumerate(words) if not word.startswith("-")), len(words))
        given = any(
            word in {"-e", "-f", "--file", "--regexp"} or word.startswith(("--regexp=", "--file=")) for word in words
        )
        words = words if given else words[at + 1 :]
    for word in words:
        value = word.partition("=")[2] if word.startswith("-") and "=" in word else word
        for path in {value, value.lstrip("@"), value.rpartition(":")[0] if name == "docker" else value}:
            if path and " " not in path and "\n" not in path:
                look.reads(path, call)


def _printed(name: str, call: Call, look: Look) -> Out:
    """What filters print: known for the few that evasions are made of."""
    feed = call.feed
    if name in {"cat", "tac"}:
        return _cat(call, look)
    if feed is not None and feed.text is not None:
        text = _filtered(name, call, feed.text)
        if text is not None:
            return Out(text=text)
    if name == "mktemp" and look.place.tmp:
        return Out(text=f"{look.place.tmp}/mktemp.x\n")
    if name in {"which", "basename"} and len(call.args) == 1 and UNKNOWN not in call.args[0]:
        return Out(text=program(call.args[0]) + "\n")
    return Out(remote=feed is not None and feed.remote)


def _cat(call: Call, look: Look) -> Out:
    paths = [word for word in call.args if not word.startswith("-") or word == "-"]
    if not paths:
        return call.feed or SOMETHING
    if any(look.spot(path, call) is Spot.OUTSIDE for path in paths):
        return SOMETHING
    known = [look.script(path, call) for path in paths]
    if all(one is None for one in known):
        return Out(files=True)
    out = known[0] or SOMETHING
    for one in known[1:]:
        out = out + (one or SOMETHING)
    return out


def _filtered(name: str, call: Call, text: str) -> str | None:
    options = read_options(call.args, short="wncs")
    try:
        if name in {"base64", "gbase64"} and options.has("-d", "-D", "--decode"):
            return base64.b64decode(re.sub(r"\s", "", text)).decode("utf-8", "replace")
        if name == "base32" and options.has("-d", "--decode"):
            return base64.b32decode(re.sub(r"\s", "", text)).decode("utf-8", "replace")
        if name == "xxd" and options.has("-r") and options.has("-p", "-ps"):
            return bytes.fromhex(re.sub(r"\s", "", text)).decode("utf-8", "replace")
    except (ValueError, binascii.Error):
        return None
    if name == "rev" and not options.rest:
        return "".join(line[::-1] + "\n" for line in text.splitlines())
    return None

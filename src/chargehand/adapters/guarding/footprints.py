"""What a command runs, told by what stays the same whatever its arguments: `pytest`, the task `test`, a script.

Two commands with footprints that meet run the same thing: `npm test` and `yarn test:unit`, `python -m pytest -q` and
`uv run pytest tests`. What only reads a syntax (`python -m py_compile`, `node --check`) leaves none, nor do the shell's
own words and the tools for texts and files: they do not build or test.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chargehand.adapters.guarding.builtins import BUILTINS
from chargehand.adapters.guarding.files import FILES
from chargehand.adapters.guarding.known import is_known, is_standard_folder, is_text_tool
from chargehand.adapters.guarding.look import program
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.wrappers import WRAPPERS

__all__ = ["Footprint", "Forbidden", "footprint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """`what` is a program, a script of the project (`file`: its absolute path) or a task of it (`script`).

    `verbs` are the words behind it that say what it does; none: whatever it does by itself.
    """

    what: str
    verbs: tuple[str, ...] = ()

    def meets(self, seen: Footprint) -> bool:
        """Whether `seen` runs what this one does."""
        if self.what != seen.what:
            return seen.what == _SCRIPT and not self.verbs and self.what in seen.verbs
        if not self.verbs:
            return self.what not in _TARGETS or not seen.verbs or "all" in seen.verbs
        if not seen.verbs:
            return self.what in _TARGETS or self.what.startswith("/")
        return bool({*map(_head, self.verbs)} & {*map(_head, seen.verbs)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden:
    """What an agent may not run: the commands to the letter, and whatever has one of these footprints."""

    texts: frozenset[str] = frozenset()
    prints: tuple[Footprint, ...] = ()

    def holds(self, argv: Sequence[str], cwds: Iterable[str]) -> bool:
        """Whether running `argv` in one of these folders is forbidden; words of the shell itself are none by that."""
        if argv[0] not in BUILTINS and shlex.join(argv) in self.texts:
            return True
        found = [seen for cwd in cwds if (seen := footprint(argv, cwd)) is not None]
        return any(own.meets(seen) for own in self.prints for seen in found)


_SCRIPT = "script"
_MANAGERS = names("npm pnpm yarn bun")
_RUN = names("run run-script rum urn exec x dlx")
_OWN = {"t": "test", "tst": "test", "it": "install-test", "cit": "install-test"}
_TARGETS = names("make gmake bmake remake just task rake mage invoke doit grunt gulp ninja samu")
"""With nothing behind them they do what their file says first."""
_VERBS = names(
    "cargo go dotnet swift zig mix dune stack cabal flutter dart deno composer lerna nx turbo bazel bazelisk buck2 "
    "hatch poetry uv pdm rye rails docker cmake nix pants rebar3 gleam bundle bundler conda gem rush moon"
)
_MEANS = {
    "cargo": {"t": "test", "nextest": "test", **dict.fromkeys(("b", "check", "c", "clippy", "run", "r"), "build")},
    "go": dict.fromkeys(("run", "install", "vet"), "build"),
    "dotnet": dict.fromkeys(("run", "publish", "pack", "msbuild"), "build"),
}
_STARTS = {
    **dict.fromkeys(("npx", "bunx", "pnpx", "uvx"), frozenset[str]()),
    **dict.fromkeys(("uv", "poetry", "pdm", "rye", "pipenv", "pipx", "conda", "mamba"), names("run tool")),
    **dict.fromkeys(("bundle", "bundler", "mise", "asdf", "rbenv", "pyenv", "devbox"), names("exec x")),
    **dict.fromkeys(_MANAGERS, names("exec x dlx")),
    "cross-env": frozenset[str](),
    "dotenv": frozenset[str](),
}
"""Programs that start the one behind them: at once, or behind one of these words."""
_VALUED = names(
    "-C --directory --prefix --cwd --dir --filter -F -w --workspace -p --package --with --with-requirements --python "
    "--extra --group --manifest-path --project --env-file -f --file --makefile -n --name -e --env -j --jobs"
)
_INTERPRETERS = names("python node ruby perl php lua luajit bash sh dash zsh ksh fish deno bun tsx ts-node java")
_PARSING = {
    **dict.fromkeys(("node", "ruby", "perl"), names("-c --check")),
    "php": names("-l --syntax-check"),
    **dict.fromkeys(("bash", "sh", "dash", "zsh", "ksh"), names("-n")),
}
_PARSERS = names("py_compile compileall ast tokenize tabnanny json.tool")
_ASKING = names("--version --help -V -h -v version help")
_NUMBER = re.compile(r"(python|pypy|node|ruby|perl|php|lua|bash|java|pytest|pip)[-.\d]+$")
_ASSIGNMENT = re.compile(r"\w+=")
_WORD = re.compile(r"[A-Za-z][\w:-]*")
_SOURCE = re.compile(r"\.(?:sh|bash|zsh|py|[cm]?[jt]sx?|rb|pl|php|lua|jar)$")
_MOST_LAYERS = 6
_IN_ONE_WORD = {"pypy": "python", "nodejs": "node", "py.test": "pytest", "gradlew": "gradle", "mvnw": "mvn"}


def footprint(argv: Sequence[str], cwd: str) -> Footprint | None:
    """What the command runs in the folder `cwd`; None: nothing of its own, or its syntax check alone."""
    words = _peeled(list(argv))
    if not words or (len(words) == 2 and words[1] in _ASKING):
        return None
    word, name, rest = words[0], _name(words[0]), words[1:]
    if name in _MANAGERS:
        return _of_manager(name, rest)
    if name in _INTERPRETERS:
        return _interpreted(name, rest, cwd)
    if "/" in word and not is_standard_folder(word) and (_SOURCE.search(word) or not is_known(name)):
        return _of_file(word, rest, cwd)
    if name in BUILTINS or name in FILES or name in WRAPPERS or name in {"git", "cd"} or is_text_tool(name):
        return None
    if name == "javac" and "-proc:none" in rest:
        return None
    if name == "coverage" and "-m" in rest[:-1]:
        return Footprint(what=rest[rest.index("-m") + 1])
    if name in _TARGETS:
        return Footprint(what=name, verbs=tuple(each for each in _plain(rest) if "=" not in each))
    if name in _VERBS:
        return _of_verb(name, rest)
    return Footprint(what=name)


def _of_verb(name: str, rest: list[str]) -> Footprint | None:
    if name == "cmake":
        return Footprint(what=name, verbs=("--build" if "--build" in rest else "configure",))
    words = [each for each in _plain(rest) if not each.startswith("+")]
    verb = next(iter(words), "")
    if verb in _RUN and verb not in _MEANS.get(name, {}) and len(words) > 1:
        return Footprint(what=_SCRIPT, verbs=(words[1],))
    return Footprint(what=name, verbs=(_MEANS.get(name, {}).get(verb, verb),)) if verb else None


def _of_manager(name: str, rest: list[str]) -> Footprint | None:
    """A task of package.json is the same one whoever runs it."""
    words = _plain(rest)
    if words[:1] == ["workspace"]:
        words = words[2:]
    named = bool(words) and words[0] in _RUN
    words = words[1:] if named else words
    if not words:
        return None
    verb = words[0] if named else _OWN.get(words[0], words[0])
    if name == "npm" and not named and verb not in {"test", "start", "stop", "restart"}:
        return Footprint(what=name, verbs=(verb,))
    return Footprint(what=_SCRIPT, verbs=(verb,))


def _interpreted(name: str, rest: list[str], cwd: str) -> Footprint | None:
    if "-m" in rest[:-1] and name == "python":
        module = rest[rest.index("-m") + 1]
        return None if module in _PARSERS else Footprint(what=module)
    if _PARSING.get(name, frozenset()) & {*rest}:
        return None
    if "--test" in rest and name == "node":
        return Footprint(what=name, verbs=("--test",))
    if name in {"deno", "bun"} and rest[:1] != ["run"]:
        return _of_verb(name, rest)
    for at, word in enumerate(rest):
        if word in {"-c", "-e", "-r", "--eval", "-p", "--print"}:
            return None  # a text is followed by itself
        if not word.startswith("-") and word != "run":
            return _of_file(word, rest[at + 1 :], cwd)
    return None


def _of_file(word: str, rest: list[str], cwd: str) -> Footprint:
    verb = next((each for each in _plain(rest)[:1] if _WORD.fullmatch(each)), "")
    return Footprint(
        what="/" + posixpath.normpath(posixpath.join(cwd, word)).lstrip("/"), verbs=(verb,) if verb else ()
    )


def _peeled(words: list[str]) -> list[str]:
    """The words from the program on that does the work, behind those that only start it."""
    for _ in range(_MOST_LAYERS):
        while words and _ASSIGNMENT.match(words[0]):
            words = words[1:]
        behind = _STARTS.get(_name(words[0])) if words else None
        if behind is None:
            return words
        rest = _behind_options(words[1:])
        if behind and (not rest or rest[0] not in behind):
            return words
        while rest and rest[0] in behind:
            rest = _behind_options(rest[1:])
        if not rest or _name(rest[0]) in BUILTINS:
            return words
        words = rest
    return words


def _behind_options(words: list[str]) -> list[str]:
    while words and (words[0].startswith("-") or _ASSIGNMENT.match(words[0])):
        words = words[2:] if words[0] in _VALUED else words[1:]
    return words


def _plain(words: Sequence[str]) -> list[str]:
    """The words that are no options, nor the values of those that are known to take one."""
    found, skip = [], False
    for word in words:
        if word == "--":
            break
        if not skip and not word.startswith("-"):
            found.append(word)
        skip = not skip and word in _VALUED
    return found


def _name(word: str) -> str:
    name = program(word).removesuffix(".exe").removesuffix(".cmd")
    match = _NUMBER.match(name)
    name = match[1] if match is not None else name
    return _IN_ONE_WORD.get(name, name)


def _head(verb: str) -> str:
    return re.split(r"[:._-]", verb.lstrip("-"))[0] or verb

"""Package managers: where packages come from, what the plan names, what is published.

The project's own manifest and lock files (`npm ci`, `pip install -r requirements.txt`, `pip install -e .`) are no
question: they were agreed with the project. A package named on the command line is one, unless the plan names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from chargehand.adapters.guarding.arguments import look_at_arguments
from chargehand.adapters.guarding.local_tools import is_local_tool
from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.manifests import requirements
from chargehand.adapters.guarding.network import host_of
from chargehand.adapters.guarding.options import names, read_options
from chargehand.adapters.guarding.place import UNKNOWN, Spot, is_loopback

__all__ = ["PACKAGES", "PYTHON_MODULES", "install_named"]

_ELSEWHERE = re.compile(
    r"^(?:[a-z+]+://|git@|git\+|(?:github|gitlab|bitbucket|gist):|[\w.-]+/[\w.-]+(?:#|$)|.*@(?:git|https?|ssh|file)[+:])"
)
_HARMLESS = {"--version", "-V", "--help", "-h", "help"}


def _named(name: str, look: Look) -> bool:
    bare = re.split(r"[=<>!~;\[ ]", name.removeprefix("npm:"), maxsplit=1)[0]
    bare = bare[0] + bare[1:].partition("@")[0] if bare else bare
    return bare.lower() in look.place.packages


def _is_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.endswith(
        (".whl", ".tar.gz", ".tgz", ".zip", ".gem", ".deb", ".rpm")
    )


def install_named(names: Sequence[str], call: Call, look: Look, *, owner_slash: bool = False) -> None:
    """Packages named on a command line."""
    for name in names:
        if UNKNOWN in name:
            look.report("install_untrusted", call, why="What it installs cannot be told from the command.")
        elif "://" in name or (
            _ELSEWHERE.match(name) and not _is_path(name) and (owner_slash or not _plain_slash(name))
        ):
            look.report("install_untrusted", call)
        elif _is_path(name):
            if look.spot(name.partition("[")[0], call) is Spot.OUTSIDE:
                look.report("install_untrusted", call)
        elif not _named(name, look):
            look.report("install_unnamed", call)


def _plain_slash(name: str) -> bool:
    """`src/lib` may be a folder as well as somebody's repository; a scope (`@org/name`) is neither."""
    return bool(re.fullmatch(r"[\w.-]+/[\w.-]+", name))


def _sources(urls: Sequence[str], call: Call, look: Look) -> None:
    """Another index than the usual one."""
    for url in urls:
        if not is_loopback(host_of(url)) and host_of(url) not in look.place.hosts:
            look.report("install_untrusted", call)


_PIP_VERBS = names("install download wheel sync compile uninstall list freeze show check config debug cache")


def _pip(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(
        words,
        short="rcieft",
        long=(
            "--requirement", "--constraint", "--index-url", "--extra-index-url", "--find-links", "--editable",
            "--target", "--prefix", "--root", "--python", "--platform", "--cache-dir", "--group",
            "--trusted-host", "--only-binary", "--no-binary", "--upgrade-package", "--src", "--log", "--timeout",
            "--proxy", "--index", "--default-index", "-p",
        ),
    )  # fmt: skip
    verb = tuple(word for word in options.rest if word in _PIP_VERBS)[:1] or options.rest[:1]
    if not verb or verb[0] in {
        *("list", "freeze", "show", "check", "config", "debug", "cache", "hash", "inspect", "tree"),
    }:
        return
    if verb[0] in {"install", "download", "wheel", "sync", "compile"} and not options.has("--dry-run"):
        names = options.rest[options.rest.index(verb[0]) + 1 :] if verb[0] not in {"sync", "compile"} else ()
        names = tuple(name for name in names if name not in {"pip", "setuptools", "wheel"})
        install_named([*names, *options.values("-e", "--editable")], call, look)
        _sources(
            [
                *options.values(
                    "-i",
                    "--index-url",
                    "--extra-index-url",
                    "--index",
                    "--default-index",
                    "-f",
                    "--find-links",
                    "--proxy",
                )
            ],
            call,
            look,
        )
        _required([*options.values("-r", "--requirement", "-c", "--constraint")], call, look)
        for path in options.values("-t", "--target", "--prefix", "--root"):
            look.writes(path, call, append=True)
        if options.has("--trusted-host", "--break-system-packages"):
            look.report("install_untrusted", call)
    elif verb[0] == "uninstall":
        return


def _required(paths: Sequence[str], call: Call, look: Look) -> None:
    """Files of requirements: those of the project are no question, those that the command itself writes are."""
    for path in paths:
        known = look.script(path, call)
        if known is not None and known.text is not None:
            requirements(known.text, call, look, install_named)
        elif known is not None or "://" in path or look.spot(path, call) in {Spot.OUTSIDE, Spot.UNKNOWN, Spot.SINK}:
            look.report("install_untrusted", call)


def _pip_program(call: Call, look: Look) -> None:
    if program(call.argv[0]) == "easy_install":
        install_named(read_options(call.args).rest, call, look)
        return
    _pip(call.args, call, look)


def _run_package(name: str, call: Call, look: Look) -> None:
    if UNKNOWN in name or "://" in name or name.startswith("git+"):
        look.report("install_untrusted", call)
    elif not _named(name, look) and not _is_path(name):
        look.report("run_unnamed", call)


_UV_VERBS = names("pip x tool add remove publish run sync lock build init venv python cache version help tree export")


def _uv(call: Call, look: Look) -> None:
    words = list(call.args)
    while words and words[0] not in _UV_VERBS:
        words.pop(0)
    verb, rest = (words[0], words[1:]) if words else ("", [])
    if verb == "pip":
        _pip(rest, call, look)
    elif verb == "x" or (verb == "tool" and rest[:1] == ["run"]):
        _uvx_words(rest if verb == "x" else rest[1:], call, look)
    elif verb == "tool" and rest[:1] == ["install"]:
        install_named(read_options(rest[1:], short="p", long=("--with", "--python")).rest, call, look)
    elif verb == "add":
        _required([*read_options(rest, short="pr").values("-r")], call, look)
        options = read_options(
            rest, short="pr", long=("--group", "--index", "--optional", "--python", "--extra", "--tag", "--rev")
        )
        install_named(options.rest, call, look)
        _sources([*options.values("--index", "--default-index", "--index-url")], call, look)
    elif verb == "publish":
        look.report("publish", call) if "--dry-run" not in rest else None
    elif verb == "run":
        options = read_options(
            rest,
            short="pmC",
            long=("--with", "--python", "--extra", "--group", "--module", "--with-requirements", "--env-file"),
            stop=True,
        )
        for name in options.values("--with"):
            _run_package(name, call, look)
        _required([*options.values("--with-requirements")], call, look)
        for path in options.values("--env-file"):
            look.reads(path, call)
        look.again(options.rest, call)
    elif verb in {"sync", "lock"}:
        _sources([word for word in rest if "://" in word], call, look)


def _uvx(call: Call, look: Look) -> None:
    _uvx_words(call.args, call, look)


def _uvx_words(words: Sequence[str], call: Call, look: Look) -> None:
    options = read_options(words, short="p", long=("--from", "--with", "--python", "--index", "--index-url"), stop=True)
    names = [*options.values("--from"), *options.values("--with")] or list(options.rest[:1])
    for name in names:
        _run_package(name, call, look)
    _sources([*options.values("--index", "--index-url")], call, look)


def _pipx(call: Call, look: Look) -> None:
    words = list(call.args)
    if words[:1] == ["run"]:
        options = read_options(words[1:], long=("--spec", "--python", "--index-url", "--pip-args"), stop=True)
        _run_package(next(options.values("--spec"), options.rest[0] if options.rest else UNKNOWN), call, look)
    elif words[:1] and words[0] in {"install", "inject", "upgrade"}:
        install_named(
            read_options(words[1:], long=("--spec", "--python", "--index-url", "--pip-args")).rest, call, look
        )


_NODE_LONG = (
    "--registry", "--prefix", "--workspace", "--package", "--call", "--filter", "--tag", "--otp", "--dir",
    "--cwd", "--userconfig", "--access",
)  # fmt: skip

_NODE_PUBLISHES = names("publish unpublish deprecate dist-tag owner access token login adduser star team")
_NODE_INSTALLS = names("install i add isntall in ins inst insta instal")
_NODE_VERBS = (
    _NODE_PUBLISHES
    | _NODE_INSTALLS
    | names("run run-script test t start exec x dlx create init ci global npm set config pkg")
)
_NODE_OTHERS = names(
    "update up upgrade upgrade-interactive remove rm un uninstall unlink link ls list ll why info view outdated audit "
    "dedupe prune rebuild pack version versions workspace workspaces node store fetch import licenses cache help bin "
    "root prefix env patch patch-commit setup server doctor deploy recursive m multi constraints explain plugin search "
    "stage unplug"
)


def _npm(call: Call, look: Look) -> None:
    options = read_options(call.args, short="wpcCF", long=_NODE_LONG, stop=False)
    name, rest = program(call.argv[0]), options.rest
    rest = rest[next((at for at, word in enumerate(rest) if word in _NODE_VERBS), 0) :]
    verb = rest[0] if rest else ("install" if name == "yarn" else "")
    _sources([*options.values("--registry")], call, look)
    if verb in _NODE_PUBLISHES:
        if not options.has("--dry-run") and not (verb == "dist-tag" and rest[1:2] == ("ls",)):
            look.report("publish", call)
    elif verb in {"set", "config"}:
        _sources([word.rpartition("=")[2] for word in rest if "://" in word], call, look)
    elif name == "yarn" and rest[:2] == ("npm", "publish"):
        look.report("publish", call)
    elif verb in _NODE_INSTALLS:
        install_named(rest[1:], call, look, owner_slash=True)
        for path in options.values("-C", "--prefix", "--dir", "--cwd"):
            look.writes(path, call, append=True)
        if options.has("-g", "--global", "--location"):
            look.report("install_untrusted", call, inside=True, why="It installs for the whole machine.")
    elif verb in {"run", "run-script"} and "--" in call.args and rest[1:2]:
        look.again((rest[1], *call.args[call.args.index("--") + 1 :]), _known(call))
    elif verb == "pkg" and rest[1:2] == ("set",):
        _package_set(rest[2:], call, look)
    elif verb == "exec" and name != "npm":  # it runs what is installed, and fetches nothing
        look.again(_after(call, "exec"), _known(call))
    elif name in {"pnpm", "yarn"} and rest and verb not in _NODE_VERBS | _NODE_OTHERS:
        look.again(rest, _known(call))
    elif verb in {"exec", "x", "dlx", "create", "init"} and (verb not in {"init", "create"} or rest[1:]):
        _npx_words(
            call.args[list(call.args).index(verb) + 1 :],
            call,
            look,
            prefix="create-" if verb in {"init", "create"} else "",
        )
    elif name == "yarn" and verb == "global":
        install_named(rest[2:], call, look, owner_slash=True)


def _after(call: Call, verb: str) -> tuple[str, ...]:
    return tuple(read_options(call.args[call.args.index(verb) + 1 :], stop=True).rest)


def _known(call: Call) -> Call:
    """The same where programs nobody lists are no question: the project lists them."""
    scope = call.scope.copy()
    scope.strangers = False
    return replace(call, scope=scope)


def _package_set(words: Sequence[str], call: Call, look: Look) -> None:
    """`npm pkg set dependencies.x=1`: installed with the next `npm install`."""
    for word in words:
        listed = re.fullmatch(r"(?:\w*[dD]ependencies|overrides|resolutions)[.\[](.+?)\]?=(.*)", word, re.DOTALL)
        if listed is not None:
            strange = re.search(r"[:/]", listed[2]) and not listed[2].startswith(("workspace:", "file:."))
            install_named([listed[2] if strange else listed[1].strip("\"'")], call, look, owner_slash=True)


def _npx(call: Call, look: Look) -> None:
    _npx_words(call.args, call, look)


def _npx_words(words: Sequence[str], call: Call, look: Look, prefix: str = "") -> None:
    options = read_options(words, short="pc", long=("--package", "--call", "--registry"), stop=True)
    for text in options.values("-c", "--call"):
        look.shell(text, call)
    _sources([*options.values("--registry")], call, look)
    if options.rest:
        look_at_arguments(program(options.rest[0]), call.of(options.rest), look, known=False)
    if options.has("--no-install", "--no", "--offline"):
        look.again(options.rest, _known(call))
        return
    if (
        not options.has("-p", "--package")
        and options.rest
        and not prefix
        and is_local_tool(options.rest[0], call, look)
    ):
        look.again(options.rest, _known(call))
        return
    names = [*options.values("-p", "--package")] or [prefix + name for name in options.rest[:1]]
    for name in names:
        if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            look.report("install_untrusted", call)
        else:
            _run_package(name, call, look)


_CARGO_VERBS = names("publish yank owner login install add binstall build test run check clippy fmt doc bench")


def _cargo(call: Call, look: Look) -> None:
    words = [word for word in call.args if not word.startswith("+")]
    options = read_options(
        words,
        short="jpFZC",
        long=("--git", "--registry", "--index", "--path", "--version", "--manifest-path", "--config"),
    )
    verb = tuple(word for word in options.rest if word in _CARGO_VERBS)[:1]
    if not verb:
        return
    if verb[0] in {"publish", "yank", "owner", "login"}:
        look.report("publish", call) if not options.has("--dry-run", "-n") else None
    elif verb[0] in {"install", "add", "binstall"}:
        if options.has("--git", "--registry", "--index"):
            look.report("install_untrusted", call)
        elif not options.has("--path"):
            install_named(options.rest[options.rest.index(verb[0]) + 1 :], call, look)


def _gem(call: Call, look: Look) -> None:
    options = read_options(call.args, short="vsiPC", long=("--version", "--source", "--install-dir", "--key", "--host"))
    verb = options.rest[:1]
    if verb and verb[0] in {"push", "yank", "owner", "signin"}:
        look.report("publish", call)
    elif verb and verb[0] in {"install", "i"}:
        _sources([*options.values("-s", "--source")], call, look)
        install_named(options.rest[1:], call, look)


def _go(call: Call, look: Look) -> None:
    if call.args[:2] == ("env", "-w"):
        for word in call.args[2:]:
            name, _, value = word.partition("=")
            quiet = name in {"GOSUMDB", "GONOSUMDB", "GONOSUMCHECK", "GOINSECURE"}
            if quiet or (name == "GOPROXY" and value not in {"direct", "off", "https://proxy.golang.org,direct"}):
                look.report("install_untrusted", call)
            look.again(("env", word, "true"), call)
        return
    options = read_options(call.args, single=True)
    verb = options.rest[:1]
    if verb and verb[0] in {"install", "get", "run"}:
        for name in options.rest[1:2] if verb[0] == "run" else options.rest[1:]:
            if (
                not name.startswith((".", "/"))
                and not name.endswith(".go")
                and not _named(name.partition("@")[0], look)
            ):
                look.report("run_unnamed" if verb[0] == "run" else "install_unnamed", call)


def _system(call: Call, look: Look) -> None:
    """Packages of the machine."""
    reading = {
        "list",
        "show",
        "search",
        "policy",
        "info",
        "-Q",
        "-Qs",
        "-Si",
        "-Ss",
        "query",
        "depends",
        "doctor",
        "outdated",
        "deps",
    }
    if call.args and not set(call.args) & (reading | _HARMLESS | {"-s", "--dry-run", "--simulate", "--just-print"}):
        look.report("system", call, why="It changes what is installed on the machine.")


def _verbs(install: Sequence[str] = (), publish: Sequence[str] = (), run: Sequence[str] = ()) -> Handler:
    """Package managers whose first word says it all."""

    def handler(call: Call, look: Look) -> None:
        options = read_options(
            call.args, short="nGE", long=("--name", "--group", "--source", "--repository", "--extras", "--channel")
        )
        verb = options.rest[:1]
        if not verb or options.has("--dry-run"):
            return
        if verb[0] in publish:
            look.report("publish", call)
        elif verb[0] in install:
            install_named(options.rest[1:], call, look)
        elif verb[0] in run:
            words = call.args[call.args.index(verb[0]) + 1 :]
            look.again(read_options(words, short="npe", long=("--name", "--prefix", "--env"), stop=True).rest, call)

    return handler


def _twine(call: Call, look: Look) -> None:
    if call.args[:1] and call.args[0] in {"upload", "register"}:
        look.report("publish", call)


def _build_tool(call: Call, look: Look) -> None:
    if not {"--dry-run", "-m"}.intersection(call.args) and any(
        word.rpartition(":")[2] in {"deploy", "publish", "publishToMavenLocal", "release", "uploadArchives"}
        for word in call.args
    ):
        look.report("publish", call)


def _as_program(name: str, words: Sequence[str], call: Call, look: Look) -> None:
    PACKAGES[name](call.of((name, *words)), look)


PYTHON_MODULES: dict[str, Callable[[Sequence[str], Call, Look], None]] = {
    "pip": _pip,
    "pipx": lambda words, call, look: _pipx(call.of(("pipx", *words)), look),
    "uv": lambda words, call, look: _uv(call.of(("uv", *words)), look),
    "twine": lambda words, call, look: _twine(call.of(("twine", *words)), look),
    "poetry": lambda words, call, look: _as_program("poetry", words, call, look),
    "flit": lambda words, call, look: _as_program("flit", words, call, look),
    "hatch": lambda words, call, look: _as_program("hatch", words, call, look),
}

PACKAGES: dict[str, Handler] = {
    "pip": _pip_program,
    "easy_install": _pip_program,
    "uv": _uv,
    "uvx": _uvx,
    "pipx": _pipx,
    **dict.fromkeys(("npm", "pnpm", "yarn"), _npm),
    **dict.fromkeys(("npx", "pnpx", "bunx"), _npx),
    "cargo": _cargo,
    "gem": _gem,
    "go": _go,
    "twine": _twine,
    **dict.fromkeys(
        ("apt", "apt-get", "aptitude", "dpkg", "dnf", "yum", "rpm", "zypper", "apk", "pacman", "yay"), _system
    ),
    **dict.fromkeys(("brew", "port", "snap", "flatpak", "emerge", "nix-env", "choco", "winget"), _system),
    "poetry": _verbs(("add",), ("publish",), ("run",)),
    "pdm": _verbs(("add",), ("publish",), ("run",)),
    "rye": _verbs(("add", "install"), ("publish",), ("run",)),
    "hatch": _verbs((), ("publish",), ("run",)),
    "flit": _verbs((), ("publish",)),
    "pipenv": _verbs(("install",), (), ("run",)),
    "bundle": _verbs(("add",), (), ("exec",)),
    "conda": _verbs(("install", "create"), (), ("run",)),
    "mamba": _verbs(("install", "create"), (), ("run",)),
    "composer": _verbs(("require", "global"), (), ("exec",)),
    "dotnet": _verbs((), ("nuget",)),
    "nuget": _verbs(("install",), ("push",)),
    "luarocks": _verbs(("install",), ("upload",)),
    "cpan": lambda call, look: install_named(read_options(call.args).rest, call, look),
    "cpanm": lambda call, look: install_named(read_options(call.args).rest, call, look),
    "helm": _verbs(("install", "upgrade"), ("push",)),
    **dict.fromkeys(("mvn", "mvnw", "gradle", "gradlew", "sbt"), _build_tool),
    "vsce": _verbs((), ("publish",)),
    "lerna": _verbs((), ("publish",)),
    "changeset": _verbs((), ("publish",)),
}

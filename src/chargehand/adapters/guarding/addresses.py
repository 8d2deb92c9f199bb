"""Addresses among the words of any program: what it may fetch, run, or send to, whether or not somebody knows how.

Programs whose own handlers look at their addresses are left out, and those to which an address is only a text.
"""

from __future__ import annotations

import re

from chargehand.adapters.guarding.arguments import is_reader
from chargehand.adapters.guarding.files import FILES
from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.network import NETWORK, host_of
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.place import UNKNOWN, is_loopback
from chargehand.adapters.guarding.vcs import VCS
from chargehand.adapters.guarding.wrappers import WRAPPERS

__all__ = ["look_at_addresses"]

_TEXTS = names("sed awk jq yq gojq jaq fzf look tr xmlstarlet xq dasel gron sqlite3 duckdb openssl rclone rsync svn hg")
_BUILDERS = names(
    "hugo jekyll mkdocs sphinx-build vite astro next nuxt gatsby ng webpack parcel rollup esbuild vitepress docusaurus "
    "eleventy go cmake cargo doxygen typedoc swag plop hygen gcc g++ cc clang make meson configure"
)
_NAMING = re.compile(
    r"-{0,2}(?:base|base-?url|public-?(?:url|path)|home-?page\w*|site(?:-?url)?|ldflags)", re.IGNORECASE
)
_INDEXED = names(
    "pip uv uvx pipx npm pnpm yarn npx poetry pdm rye hatch pipenv bundle gem conda mamba composer dotnet nuget "
    "luarocks go cargo cpan cpanm twine"
)
_RUNS = names("uv uvx deno bun pre-commit gradle gradlew mvn mvnw nix guix cargo-generate")
_RUNNING = names("run x exec generate try-repo serve eval")
_SCRIPTS = names("concurrently npm-run-all npm-run-all2 run-s run-p wireit turbo nx lerna make just task gulp grunt")
_SCHEME = re.compile(rf"[A-Za-z{UNKNOWN}][A-Za-z0-9.+{UNKNOWN}-]{{0,30}}$")
_BEFORE = re.compile(r"(?:-{0,2}[\w.:-]{0,100}[=:])?@?|--?")
_HERE = re.compile(r"(?:file|sqlite\d?|duckdb|data|unix|memory|about):", re.IGNORECASE)
_ELSEWHERE = re.compile(
    r"(?:-{0,2}[\w.-]+=)?(?:npm|jsr|git\+[a-z]+):(?!//(?:localhost|127\.))(.+)", re.IGNORECASE | re.DOTALL
)
_USUAL_GOALS = ("org.apache.maven.plugins:", "org.codehaus.mojo:")
_TOLD_PACKAGE = re.compile(r"@?[^@]+")


def look_at_addresses(name: str, call: Call, look: Look) -> None:
    """Report every address in the words that is no machine the plan names, and every package with its own source."""
    special = _MORE.get(name)
    if special is not None:
        special(call, look)
    if name in NETWORK or name in VCS or name in FILES or name in WRAPPERS or name in _TEXTS or is_reader(name):
        return
    runs = name in _RUNS or bool(_RUNNING.intersection(call.args[:2]))
    before = ""
    for word in call.args:
        address = _address_in(word)
        elsewhere = _ELSEWHERE.fullmatch(word) if name not in _SCRIPTS and call.args[:1] != ("run",) else None
        naming = name in _BUILDERS and (_NAMING.fullmatch(before) or _NAMING.match(word))
        if address and not naming:
            _address(address, name, call, look, runs=runs)
        elif elsewhere is not None and not address:
            _package(elsewhere[1], call, look, runs=runs)
        before = word
    if name in {"deno", "bun"} and call.args[:1] == ("run",):
        for word in call.args[1:]:
            if re.match(r"(?:npm|jsr):", word):
                _package(word[4:], call, look, runs=True)


def _address_in(word: str) -> str:
    """The address that a word is, or is the value of an option or a name; empty when there is none."""
    head, found, rest = word.partition("://")
    scheme = _SCHEME.search(head) if found and not re.search(r"\s", word) else None
    if scheme is None or _BEFORE.fullmatch(head[: scheme.start()]) is None:
        return ""
    return f"{scheme[0]}://{rest}"


def _address(text: str, name: str, call: Call, look: Look, *, runs: bool) -> None:
    host = host_of(text)
    if _HERE.match(text) or text.partition("://")[2][:1] == "/" or is_loopback(host):
        return
    if runs and name not in _INDEXED - {"uv", "uvx"}:
        look.report("remote_code", call)
    if name in _INDEXED and host not in look.place.hosts:
        look.report("install_untrusted", call)
    look.host(host, call)


def _package(text: str, call: Call, look: Look, *, runs: bool) -> None:
    told = _TOLD_PACKAGE.match(text.lstrip("/"))
    if told is None or UNKNOWN in text or told[0].lower() not in look.place.packages:
        look.report("remote_code" if runs else "install_unnamed", call)


def _maven(call: Call, look: Look) -> None:
    """`group:artifact:version:goal` is a program from an index, unless it is one of the usual ones."""
    for word in call.args:
        goal = re.fullmatch(r"([\w-]+(?:\.[\w-]+)+):([\w.-]+):[\w.:-]+", word)
        if goal is not None and not word.startswith(_USUAL_GOALS) and goal[2].lower() not in look.place.packages:
            look.report("run_unnamed", call)


def _pytest(call: Call, look: Look) -> None:
    words = call.args
    if any(word.startswith("--pastebin") for word in words):
        look.report("upload", call, why="It sends what the tests print to a public page.")


_MORE = {
    "mvn": _maven,
    "mvnw": _maven,
    "pytest": _pytest,
    "py.test": _pytest,
}

"""What a command installs from that it has written itself: requirements, manifests, the settings of an index.

What the project lists is no question, because it was agreed with the project; what has just been put there is.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence

from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.options import names

__all__ = ["look_at_manifests", "requirements"]

_Install = Callable[[Sequence[str], Call, Look], None]
_SETTINGS = {
    **dict.fromkeys(("npm", "pnpm", "yarn", "npx", "bun"), (".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml")),
    **dict.fromkeys(("pip", "uv", "pipx", "uvx"), ("pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf", "uv.toml")),
    "cargo": (".cargo/config.toml", ".cargo/config", "~/.cargo/config.toml"),
    "bundle": (".bundle/config",),
    "dotnet": ("NuGet.config", "nuget.config"),
    "composer": ("auth.json",),
}
_MANIFESTS = {
    **dict.fromkeys(("npm", "pnpm", "yarn", "bun"), ("package.json",)),
    **dict.fromkeys(("pip", "uv", "poetry", "pdm", "hatch", "rye"), ("pyproject.toml", "setup.cfg")),
    "pipenv": ("Pipfile",),
    "cargo": ("Cargo.toml",),
    "bundle": ("Gemfile",),
    "go": ("go.mod",),
    "composer": ("composer.json",),
    **dict.fromkeys(("conda", "mamba"), ("environment.yml", "environment.yaml")),
}
_INSTALLS = names(
    "install i ci add sync update upgrade up build run test check lock require get download mod exec fetch bench vet "
    "env create tidy wheel vendor generate"
)
_STRANGE = re.compile(r"https?://|git\+|git@|\bgit\s*[=:]|\bregistry\b|index-url|replace-with|\bmirror|\breplace\b.*=>")
_NAMED = re.compile(r"\bgem\s+['\"]([\w.-]+)|^\s*(?:require\s+)?([\w-]+\.[\w.-]+/[\w./-]+)\s+v\d", re.MULTILINE)


def requirements(text: str, call: Call, look: Look, install: _Install) -> None:
    """Follow the lines of a file of requirements that the command itself has written."""
    for line in text.splitlines()[:200]:
        words = line.partition(" #")[0].partition(";")[0].split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith("-"):
            look.again(("pip", "install", *words), call)
        else:
            install(words[:1] if "@" not in words else [words[-1]], call, look)


def look_at_manifests(name: str, call: Call, look: Look, install: _Install) -> None:
    """Report what is installed from files that the command itself has written."""
    if not (_INSTALLS.intersection(call.args) or (name == "yarn" and not call.args)):
        return
    for path in _SETTINGS.get(name, ()):
        known = look.script(path, call)
        if known is not None and (known.text is None or _STRANGE.search(known.text)):
            look.report("install_untrusted", call, why="It has just changed where packages come from.")
    for path in _MANIFESTS.get(name, ()):
        known = look.script(path, call)
        if known is None:
            continue
        if known.text is None:
            look.report("install_untrusted", call, why="It has just changed what is to be installed.")
            continue
        if path != "package.json" and _STRANGE.search(
            re.sub(r"(?m)^.*(?:homepage|repository|\$schema|^module ).*$", "", known.text)
        ):
            look.report("install_untrusted", call)
        try:
            install(list(_listed(path, known.text)), call, look)
        except (ValueError, RecursionError):
            look.report("install_untrusted", call, why="It has just changed what is to be installed.")


def _listed(path: str, text: str) -> Iterator[str]:
    if path in {"package.json", "composer.json"}:
        yield from _of_json(json.loads(text))
    elif path.endswith(".toml") or path == "Pipfile":
        yield from _of_toml(tomllib.loads(text))
    else:
        yield from (one or other for one, other in _NAMED.findall(text))


def _of_json(given: object) -> Iterator[str]:
    for key in (
        "dependencies",
        "devDependencies",
        "optionalDependencies",
        "peerDependencies",
        "require",
        "require-dev",
    ):
        listed = given.get(key) if isinstance(given, dict) else None
        for name, version in listed.items() if isinstance(listed, dict) else ():
            yield str(version) if re.search(r"[:/]", str(version)) else str(name)


def _of_toml(given: dict[str, object]) -> Iterator[str]:
    project = given.get("project")
    listed = project.get("dependencies") if isinstance(project, dict) else None
    yield from (
        (re.split(r"[\s<>=!~;\[(@]", str(one), maxsplit=1)[0] for one in listed if one)
        if isinstance(listed, list)
        else ()
    )
    for key in ("dependencies", "dev-dependencies", "build-dependencies", "packages", "dev-packages"):
        table = given.get(key)
        for name, told in table.items() if isinstance(table, dict) else ():
            if not (isinstance(told, dict) and ("path" in told or "workspace" in told)):
                yield str(name)

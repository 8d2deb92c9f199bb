"""What makes something public, by the verbs that all tools use for it: `publish`, `release`, `deploy`, `push`.

A dry run publishes nothing. Names of files are no verbs, so programs that take files first are left out.
"""

from __future__ import annotations

import re

from chargehand.adapters.guarding.arguments import is_reader
from chargehand.adapters.guarding.code import CODE
from chargehand.adapters.guarding.files import FILES
from chargehand.adapters.guarding.known import takes_files
from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.network import NETWORK
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.scripts import SCRIPTS
from chargehand.adapters.guarding.system import SYSTEM
from chargehand.adapters.guarding.vcs import VCS
from chargehand.adapters.guarding.wrappers import WRAPPERS

__all__ = ["look_at_publishing"]

_VERB = re.compile(r"publish(?:[A-Z]\w*)?|release|deploy|upload|push|gh-deploy")
_TASK = re.compile(r"(?:publish|deploy)(?:[:.][\w:.-]+)?|deploy[_-][\w.-]+")
_QUIET_TASK = re.compile(r".*[:_-](?:dry|dry-?run|local|check|test|tests|preview|config|notes|build|docs?:build)")
_ELSEWHERE = frozenset({"bumpversion", "bump2version", "bump-my-version", "tbump"})
"""`release` is the name of a part of the version to them."""
_BUILD_RELEASES = frozenset({"mix", "rebar3", "flutter", "swift", "xcodebuild", "dotnet", "zig"})
_PROGRAMS = names("gh-pages np release-it semantic-release goreleaser surge")
_GOALS = names("mvn mvnw gradle gradlew sbt mill lein ant")
_TASKS = names("run run-script task exec x")
_TASK_RUNNERS = names("make gmake rake just task mage invoke doit")
_LOCAL = re.compile(r"publish(?:ToMavenLocal|Local|M2)")
_DRY = re.compile(r"--(?:dry-?_?run|snapshot|skip-publish|no-push|help)(?:=(?:true|1|yes))?|-h")


def look_at_publishing(name: str, call: Call, look: Look) -> None:
    """Report a verb that publishes, where the words of the program have their verbs."""
    words = list(call.args)
    if any(_DRY.fullmatch(word) for word in words):
        return
    if name in _PROGRAMS and words[:1] not in (["init"], ["check"], ["build"], ["--version"]):
        look.report("publish", call)
    elif name == "python":
        _python(words, call, look)
    elif _has_verbs(name) and any(_publishes(name, verb) for verb in _verbs(name, words)):
        look.report("publish", call)


def _python(words: list[str], call: Call, look: Look) -> None:
    if words[:1] and words[0].endswith("setup.py"):
        verbs = [word for word in words[1:] if word in {"upload", "register", "upload_docs"}]
    elif words[:1] == ["-m"]:
        verbs = [word for word in words[2:] if not word.startswith("-")][:1]
        verbs = [] if takes_files("".join(words[1:2])) else verbs
    else:
        verbs = []
    if any(_VERB.fullmatch(verb) or verb in {"register", "upload_docs"} for verb in verbs):
        look.report("publish", call)


def _has_verbs(name: str) -> bool:
    if name in _TASK_RUNNERS:
        return True
    tables = (FILES, NETWORK, VCS, SYSTEM, WRAPPERS, SCRIPTS)
    if any(name in table for table in tables) or takes_files(name) or is_reader(name):
        return False
    return name not in CODE or name in {"deno", "bun"}


def _verbs(name: str, words: list[str]) -> list[str]:
    plain = [word for word in words if not word.startswith("-") and "=" not in word]
    if name in _GOALS:
        return [word.lstrip("+").rpartition(":")[2] if word.startswith((":", "+")) else word for word in plain]
    if name in _TASK_RUNNERS:
        return plain
    if plain[:1] and plain[0] in _TASKS:
        return plain[1:2]
    if plain[:2] == ["db", "push"]:
        return []  # a schema for a database, which is no publishing
    return plain[:2] if plain[:1] and not _PATH_OR_TEXT.search(plain[0]) else []


_PATH_OR_TEXT = re.compile(r"[/\s]|\.\w{1,4}$")


def _publishes(name: str, verb: str) -> bool:
    built = (name in _BUILD_RELEASES and verb == "release") or (name == "dotnet" and verb == "publish")
    if name in _ELSEWHERE or built or _LOCAL.fullmatch(verb):
        return False
    if name in _GOALS and re.fullmatch(r"(?:[\w-]+:)*(?:release:\w+|deploy(?::\w+)?|\w*[pP]ublish\w*|release)", verb):
        return not verb.startswith(("release:clean", "release:help"))
    if name in _TASK_RUNNERS | {"mix"} and re.fullmatch(r"[\w-]+[.:](?:publish|push|deploy)", verb):
        return True
    return bool(_VERB.fullmatch(verb) or (_TASK.fullmatch(verb) and not _QUIET_TASK.fullmatch(verb)))

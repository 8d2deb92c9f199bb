"""Pushes one branch, and opens a pull request for it with `gh`: the one place that speaks to a forge.

Both programs are the user's own, with their configuration and logins. Nobody is at a terminal for them: what would ask
fails instead, and both have a deadline. Hooks do not run, and exactly one ref is pushed, never by force.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.git.command import QUIET, plain_environment
from chargehand.adapters.git.repository import Repository
from chargehand.adapters.process import Captured, capture
from chargehand.domain.errors import AdapterError, UserError

__all__ = ["Forge", "Opened", "remote_of", "without_user"]

_PUSH_S = 600.0
_ASK_S = 60.0
_OUTPUT = 1 << 20
_SAID = 600
_GIT_KEPT = ("GIT_SSH", "GIT_SSL_", "GIT_ASKPASS", "GIT_CONFIG", "GIT_HTTP_", "GIT_PROXY_")
"""Variables of git that say how a remote is reached; others would say which repository is meant."""
_SILENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "SSH_ASKPASS_REQUIRE": "never",
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "GH_SPINNER_DISABLED": "1",
    "NO_COLOR": "1",
    "LC_ALL": "C.UTF-8",
}


_USER = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A pull request; `created`: it was not there before."""

    url: str
    created: bool


def without_user(text: str) -> str:
    """Text without the user and password of the addresses in it."""
    return _USER.sub("", text)


def remote_of(config: Mapping[str, str], target: str) -> str:
    """The remote that is pushed to: as git would choose for `target`, else the only one; `UserError` when none is."""
    known = sorted({key.split(".", 1)[1].rpartition(".")[0] for key in config if _names_remote(key)})
    keys = (f"branch.{target}.pushremote", "remote.pushdefault", f"branch.{target}.remote")
    wanted = [config[key] for key in keys if config.get(key) in known]
    if wanted or "origin" in known:
        return wanted[0] if wanted else "origin"
    if len(known) == 1:
        return known[0]
    if not known:
        text, hint = "This repository has no remote to push to.", "Add one: `git remote add origin URL`."
    else:
        text, hint = (
            f"There are several remotes: {', '.join(known)}.",
            "Say which: `git config remote.pushDefault NAME`.",
        )
    raise UserError(text, code="no_remote", hint=hint)


def _names_remote(key: str) -> bool:
    return key.startswith("remote.") and key.endswith((".url", ".pushurl"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """The remote of a repository, and `gh`, which must be there: `UserError` says how to go on without.

    `push_s` and `ask_s` are the deadlines of a push and of one call of `gh`.
    """

    repository: Repository
    remote: str
    program: str
    push_s: float = _PUSH_S
    ask_s: float = _ASK_S

    @classmethod
    def find(cls, repository: Repository, remote: str, branch: str) -> Forge:
        """Look for `gh` on PATH."""
        path = plain_environment(repository.environ)["PATH"]
        program = shutil.which("gh", path=path)
        if program is None:
            raise UserError(
                "There is no gh on PATH, and pull requests are opened with it.",
                code="no_gh",
                hint=f"Install GitHub CLI (cli.github.com), or push by hand: `git push {remote} {branch}`.",
            )
        return cls(repository=repository, remote=remote, program=program)

    async def push(self, commit: str, branch: str) -> None:
        """Make `branch` of the remote `commit`, if it stands behind it; nothing else is pushed."""
        words = ("push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")
        argv = ("git", *QUIET, *words, "--", self.remote, f"{commit}:refs/heads/{branch}")
        got = await self._run(argv, b"", self.push_s)
        if got.code:
            raise UserError(
                f"{branch} could not be pushed to {self.remote}: {_said(got)}",
                code="push_failed",
                hint=f"See what `git push {self.remote} {branch}` says. No pull request was opened.",
            )

    async def open(self, *, branch: str, target: str, title: str, body: str) -> Opened:
        """Open a pull request, or bring the text of the one that is open for these branches up to date."""
        data = body.encode("utf-8", "replace")
        there = await self._existing(branch, target)
        if there:
            await self._gh(("pr", "edit", there, "--title", title, "--body-file", "-"), data)
            return Opened(url=there, created=False)
        words = ("pr", "create", "--head", branch, "--base", target, "--title", title, "--body-file", "-")
        got = await self._gh(words, data)
        lines = got.stdout.decode("utf-8", "replace").split()
        return Opened(url=next((word for word in reversed(lines) if "://" in word), ""), created=True)

    async def _existing(self, branch: str, target: str) -> str:
        words = ("pr", "list", "--head", branch, "--base", target, "--state", "open", "--json", "url", "--limit", "1")
        got = await self._gh(words, b"")
        try:
            found = json.loads(got.stdout or b"[]")
            return str(found[0]["url"]) if found else ""
        except (ValueError, LookupError, TypeError):
            text = "gh answered something that is no list of pull requests."
            raise UserError(text, code="gh_failed", hint="Is it GitHub CLI 2 or newer? See `gh --version`.") from None

    async def _gh(self, words: tuple[str, ...], stdin: bytes) -> Captured:
        got = await self._run((self.program, *words), stdin, self.ask_s)
        if got.code:
            raise UserError(
                f"gh {' '.join(words[:2])} failed: {_said(got)}",
                code="gh_failed",
                hint="The branch was pushed. See `gh auth status`, then run this again: nothing is done twice.",
            )
        return got

    async def _run(self, argv: tuple[str, ...], stdin: bytes, wall_s: float) -> Captured:
        cwd = self.repository.root or self.repository.common_dir
        try:
            return await capture(argv, cwd=cwd, env=self._environment(), stdin=stdin, timeout_s=wall_s, limit=_OUTPUT)
        except AdapterError as error:
            raise UserError(
                f"{Path(argv[0]).name} did not come to an end: {error.message}",
                code="forge_unreachable",
                hint="Look at your network and logins, then run this again: nothing is done twice.",
            ) from error

    def _environment(self) -> dict[str, str]:
        outer = self.repository.environ
        env = {
            name: value for name, value in outer.items() if not name.startswith("GIT_") or name.startswith(_GIT_KEPT)
        }
        env |= {"PATH": plain_environment(outer)["PATH"], **_SILENT}
        if not {"GIT_SSH", "GIT_SSH_COMMAND"} & env.keys() and "core.sshcommand" not in self.repository.config:
            env["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
        return env


def _said(got: Captured) -> str:
    """What a program said last; a pushing git says on stdout what became of each ref."""
    text = without_user((got.stderr or got.stdout).decode("utf-8", "replace")).strip()
    said = " ".join(text[-_SAID:].split()) or f"it ended with code {got.code} and said nothing"
    return said if said.endswith((".", "!", "?")) else f"{said}."

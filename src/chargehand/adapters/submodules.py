"""Submodules of a workspace: populated from what the user has, sealed like the workspace itself.

A submodule is filled only where the user has it too: from their `.git/modules`, else from the address they
registered. An address that only stands in `.gitmodules` is content an agent may have written, and is used
for a bare repository alone, when it is the same at the user's own HEAD.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from chargehand.adapters.checkout import Checkout
from chargehand.adapters.git.command import QUIET, Git, plain_environment, user_environment
from chargehand.adapters.git.refs import is_plain_directory
from chargehand.adapters.git.repository import Repository, parse_config
from chargehand.domain.errors import AdapterError

__all__ = ["Module", "find_modules", "plain_address", "read_modules", "write_modules"]

_SCHEMES = "file:git:http:https:ssh"
_ENTRY = re.compile(r"submodule\.(.+)\.(path|url)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A submodule to be filled: at `path`, standing at `commit`, with the objects of `repository`."""

    path: str
    commit: str
    repository: Repository
    name: str = ""

    @property
    def settings(self) -> tuple[str, ...]:
        """Lines for the agent's configuration: it is there, and came from nowhere."""
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return (f'[submodule "{quoted}"]', "\tactive = true")

    def checkout(self, parent: Checkout) -> Checkout:
        """Its place in the checkout of its superproject."""
        folder = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return Checkout(
            repository=self.repository,
            work=parent.work / self.path,
            git_dir=parent.git_dir / "modules" / folder,
            scratch=parent.scratch,
        )


def write_modules(parent: Checkout, modules: Sequence[Module]) -> None:
    """Note what was filled, for whoever seals it."""
    data = [[module.path, module.commit, str(module.repository.git_dir)] for module in modules]
    file = parent.git_dir / "modules.json"
    if data or file.exists():
        file.write_text(json.dumps(data), encoding="utf-8")


def read_modules(parent: Checkout) -> tuple[Module, ...]:
    """What was filled when the checkout was made."""
    try:
        data = json.loads((parent.git_dir / "modules.json").read_bytes())
    except FileNotFoundError:
        return ()
    return tuple(
        Module(path=path, commit=commit, repository=_module_at(parent.repository, Path(git_dir), {}))
        for path, commit, git_dir in data
    )


async def find_modules(
    repository: Repository, commit: str, links: Mapping[bytes, str], cache: Path, *, inside: bool = False
) -> tuple[Module, ...]:
    """The submodules among the `links` (path → commit) of a commit that the user has.

    AdapterError for one that the user registered and that cannot be had; `cache` keeps what was fetched.
    `inside`: the repository is a submodule itself.
    """
    named = await _registered(repository, commit) if links else {}
    modules = []
    for path, oid in links.items():
        name, url = named.get(os.fsdecode(path), ("", ""))
        if not _is_safe(name):
            continue
        found = await _at_hand(repository, name, os.fsdecode(path), oid)
        if found is None:
            address = await _address(repository, name, url, inside=inside)
            found = None if address is None else await _from_upstream(repository, name, address, oid, cache)
        if found is not None:
            modules.append(Module(path=os.fsdecode(path), commit=oid, repository=found, name=name))
    return tuple(modules)


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    return (
        bool(name)
        and name.isprintable()
        and not name.startswith("-")
        and not any(part in ("", ".", "..", ".git") for part in parts)
    )


async def _registered(repository: Repository, rev: str) -> dict[str, tuple[str, str]]:
    """Path → (name, address) of the `.gitmodules` of a commit."""
    args = ("config", "--blob", f"{rev}:.gitmodules", "--no-includes", "-z", "--list")
    got = await repository.plumbing().run(*args, ok=(0, 1, 128))
    entries: dict[str, dict[str, str]] = {}
    for key, value in parse_config(got.stdout).items():
        match = _ENTRY.fullmatch(key)
        if match:
            entries.setdefault(match[1], {})[match[2]] = value
    return {entry["path"]: (name, entry.get("url", "")) for name, entry in entries.items() if "path" in entry}


# -- where the objects are


def _module_at(repository: Repository, git_dir: Path, config: Mapping[str, str]) -> Repository:
    own = {key: value for key, value in repository.config.items() if not key.startswith(("submodule.", "remote."))}
    return Repository(
        root=None,
        git_dir=git_dir,
        common_dir=git_dir,
        objects=git_dir / "objects",
        object_format=repository.object_format,
        config={**own, **config},
        environ=repository.environ,
        layouts=repository.layouts,
    )


async def _opened(repository: Repository, git_dir: Path, oid: str) -> Repository | None:
    """The repository in a folder, when it has the commit."""
    if not is_plain_directory(git_dir / "objects"):
        return None
    git = Git(cwd=git_dir, env=plain_environment(repository.environ), options=(*QUIET, "--git-dir", str(git_dir)))
    got = await git.run("cat-file", "-e", f"{oid}^{{commit}}", ok=(0, 1, 128))
    if got.code != 0:
        return None
    listing = await git.run("config", "--list", "-z", "--local", ok=(0, 1, 128))
    return _module_at(repository, git_dir, parse_config(listing.stdout))


async def _at_hand(repository: Repository, name: str, path: str, oid: str) -> Repository | None:
    places = [repository.git_dir / "modules" / name, repository.common_dir / "modules" / name]
    if repository.root is not None:
        places.append(repository.root / path / ".git")
    for place in dict.fromkeys(places):
        found = await _opened(repository, place, oid)
        if found is not None:
            return found
    return None


async def _address(repository: Repository, name: str, url: str, *, inside: bool) -> str | None:
    """Where the user gets a submodule from; None when they do not have it either."""
    registered = repository.config.get(f"submodule.{name}.url")
    if registered is None and repository.root is None and not inside and await _is_the_users(repository, name, url):
        registered = url
    return None if registered is None else plain_address(repository, registered)


async def _from_upstream(repository: Repository, name: str, address: str, oid: str, cache: Path) -> Repository:
    git_dir = cache / f"{hashlib.sha256(address.encode()).hexdigest()[:24]}.git"
    found = await _opened(repository, git_dir, oid)
    if found is None:
        await asyncio.to_thread(lambda: cache.mkdir(parents=True, exist_ok=True))
        with git_dir.with_suffix(".lock").open("wb") as lock:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)  # others wait, then find it done
            found = await _opened(repository, git_dir, oid)
            if found is None:
                await _fetch(repository, address, oid, git_dir)
                found = await _opened(repository, git_dir, oid)
    if found is None:
        raise AdapterError("workspaces", f"submodule {name!r}: {address} has no commit {oid}; update the submodule.")
    return found


async def _is_the_users(repository: Repository, name: str, url: str) -> bool:
    theirs = await _registered(repository, await repository.resolve("HEAD"))
    return (name, url) in theirs.values()


def plain_address(repository: Repository, address: str) -> str:
    """Absolute, and without a password or token in it."""
    if address.startswith(("./", "../")):
        origin = repository.config.get("remote.origin.url", str(repository.root or repository.common_dir))
        head, sign, tail = origin.rpartition(":") if "://" not in origin and ":" in origin else ("", "", origin)
        scheme, mark, rest = tail.partition("://")
        joined = os.path.normpath(f"{rest or scheme}/{address}")
        address = head + sign + (scheme + mark if mark else "") + joined
    try:
        parts = urlsplit(address)
    except ValueError:  # git will say what is wrong with it
        return address
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return address


async def _fetch(repository: Repository, address: str, oid: str, git_dir: Path) -> None:
    env = user_environment(repository.environ) | {"GIT_ALLOW_PROTOCOL": _SCHEMES}
    git = Git(cwd=git_dir.parent, env=env)
    try:
        await git.run("init", "-q", "--bare", f"--object-format={repository.object_format}", "--", str(git_dir))
        inside = replace(git, options=(*QUIET, "--git-dir", str(git_dir)))
        args = ("fetch", "-q", "--no-tags", "--no-recurse-submodules", "--end-of-options", address)
        await inside.run(*args, "+refs/heads/*:refs/heads/*")
        got = await inside.run("cat-file", "-e", f"{oid}^{{commit}}", ok=(0, 1, 128))
        if got.code != 0:
            await inside.run(*args, oid)
    except AdapterError as error:
        raise AdapterError("workspaces", f"a submodule cannot be fetched from {address}: {error.message}") from error

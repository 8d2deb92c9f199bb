"""Where a command would run, and what of the machine counts as its own (SPEC 7.2, I8)."""

from __future__ import annotations

import ipaddress
import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from fnmatch import fnmatchcase, translate
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chargehand.adapters.guarding.footprints import Forbidden

__all__ = ["REMOTE", "UNKNOWN", "Place", "Spot", "is_loopback", "is_secret_file", "is_secret_name"]

UNKNOWN = "\ue000"
"""Stands in a word for a part that cannot be told: a character of private use, which parsers take for a letter."""
REMOTE = "\ue001"
"""Behind `UNKNOWN`: it came from the network."""

_SINKS = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/stdin", "/dev/tty", "/dev/zero", "/dev/full"})
_GLOB = re.compile(r"[*?\[]")
_LONGEST_PATTERN = 1000
"""In characters: no honest pattern for a name is longer, and its translation takes quadratic time."""

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PGPASSWORD|KEY|APIKEY|CREDENTIALS?|COOKIE|DSN|PAT)(?:_|\d|$)"
    r"|(?:TOKEN|SECRET|PASSWORD|APIKEY)$",
    re.IGNORECASE,
)
_SECRET_FILES = (
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf", ".htpasswd",
    ".git-credentials", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.p12", "*.pfx", "*.kdbx", "*.keystore",
    "credentials", "credentials.json", "credentials.toml", ".credentials.json", "application_default_credentials.json",
    "auth.json", "shadow", "gshadow", "login.keychain*", "Login Data", "key[34].db", "logins.json", ".vault-token",
    "master.key", "secrets.yml", "secrets.yaml", "secrets.json", "secrets.toml", ".bash_history", ".zsh_history",
)  # fmt: skip
_SAMPLES = ("*.example", "*.sample", "*.template", "*.dist", "*.pub", "cacert.pem", "example.env", "sample.env")
_SECRET_FOLDERS = frozenset(
    {
        ".ssh",
        ".gnupg",
        ".aws",
        ".azure",
        ".kube",
        ".docker",
        ".password-store",
        ".1password",
        "gcloud",
        "keyrings",
        "gh",
    }
)
_HOME_LIKE = re.compile(r"^(?:/root|/home/[^/]+|/Users/[^/]+|~[^/]*)(?:/|$)")
_HOMES = re.compile(r"/(?:root|home|Users|home/[^/]+|Users/[^/]+)?")
# What patterns are tried on: names of files with secrets, as they are usually written.
_WELL_KNOWN = (
    ".env", ".env.local", ".envrc", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".git-credentials", ".credentials.json",
    ".bash_history", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "credentials", "credentials.json", "auth.json",
    "shadow", "gshadow", "secrets.yml", "secrets.yaml", "secrets.json", "secrets.toml", "master.key",
)  # fmt: skip


class Spot(Enum):
    """Where a path lies. `ROOT` is the workspace (or a private folder) as a whole, or something above it."""

    INSIDE = auto()
    GIT = auto()
    ROOT = auto()
    PRIVATE = auto()
    SINK = auto()
    OUTSIDE = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command runs; all paths absolute.

    `inside` are the workspaces, `private` the folders that belong to the attempt (HOME, TMPDIR, scratch, the
    result's). `home` is what `~` means. `sandboxed`: only what reaches outside is asked about. `hosts` and
    `packages` are those the plan names. `variables` are known to be set. `untracked` are existing files that git does
    not track, relative to the workspace. `real`: the folders are on this machine, symbolic links in them are followed.
    `forbidden` is what may not be run there, whoever says yes.
    """

    cwd: str
    inside: tuple[str, ...]
    private: tuple[str, ...] = ()
    home: str = ""
    tmp: str = ""
    sandboxed: bool = False
    hosts: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)
    untracked: frozenset[str] = frozenset()
    real: bool = False
    forbidden: Forbidden | None = None

    def spot(self, path: str, cwds: Iterable[str]) -> Spot:
        """Where `path` (as a command names it) lies, seen from the working directories it may be used in."""
        found = {self._one(path, cwd) for cwd in cwds} or {Spot.UNKNOWN}
        for worst in (Spot.OUTSIDE, Spot.UNKNOWN, Spot.ROOT, Spot.GIT, Spot.PRIVATE, Spot.INSIDE):
            if worst in found:
                return worst
        return Spot.SINK

    def full(self, path: str, cwd: str) -> str:
        """`path` as an absolute one, with `.` and `..` taken out and `~` filled in."""
        if path == "~" or path.startswith("~/"):
            path = (self.home or "/home/~") + path[1:]
        elif path.startswith("~"):
            path = "/home/" + path
        full = posixpath.normpath(posixpath.join(cwd, path))
        return "/" + full.lstrip("/")

    def names(self, path: str, cwd: str) -> tuple[str, ...]:
        """What the path is called: as given, as an absolute one, and behind its links where those are here."""
        full = self.full(path, cwd)
        real = self.real and UNKNOWN not in full and not _GLOB.search(full)
        return (path, full, os.path.realpath(full)) if real and "\0" not in full else (path, full)

    def holds_home(self, path: str, cwd: str) -> bool:
        """Whether a folder is somebody's HOME, the private one included, or holds such."""
        if UNKNOWN in path or (UNKNOWN in cwd and not path.startswith(("/", "~"))):
            return False
        full = self.full(path.rstrip("*") or path, cwd)
        if full in self.inside:
            return False
        return bool(_HOMES.fullmatch(full)) or (bool(self.home) and f"{self.home}/".startswith(full.rstrip("/") + "/"))

    def is_untracked(self, path: str, cwds: Iterable[str]) -> bool:
        """Whether an existing file that git does not know stands there."""
        return any(
            posixpath.relpath(self.full(path, cwd), root) in self.untracked for cwd in cwds for root in self.inside
        )

    def _one(self, path: str, cwd: str) -> Spot:
        known, cut, _ = path.partition(UNKNOWN)
        if cut:
            return Spot.OUTSIDE if known and self._surely_outside(known, cwd) else Spot.UNKNOWN
        if not path or (UNKNOWN in cwd and not path.startswith(("/", "~"))):
            return Spot.UNKNOWN
        full = self.full(path, cwd)
        if full in _SINKS or full.startswith("/dev/fd/"):
            return Spot.SINK
        spot = self._lies(full)
        if self.real and spot in {Spot.INSIDE, Spot.PRIVATE, Spot.GIT}:
            real = self._lies(os.path.realpath(_GLOB.split(full, maxsplit=1)[0]))
            if real is Spot.OUTSIDE:
                return real
        return spot

    def _surely_outside(self, known: str, cwd: str) -> bool:
        if not known.startswith(("/", "~")) and UNKNOWN in cwd:
            return False
        folder = self.full(known if known.endswith("/") else posixpath.dirname(known) or ".", cwd)
        return self._lies(folder) is Spot.OUTSIDE

    def _lies(self, full: str) -> Spot:
        stem = _GLOB.split(full, maxsplit=1)[0]
        wild = stem != full
        # what a pattern may lead to: `/w*` is a sibling of the workspace as well
        fixed = stem if not wild or stem.endswith("/") else posixpath.dirname(stem) or "/"
        fixed = fixed.rstrip("/") or "/"
        for roots, spot in ((self.inside, Spot.INSIDE), (self.private, Spot.PRIVATE)):
            for root in roots:
                if fixed == root:
                    return Spot.ROOT if not wild or _all_wild(full[len(fixed) :]) else spot
                if fixed.startswith(root + "/"):
                    rest = fixed[len(root) + 1 :].split("/")
                    return Spot.GIT if rest[0] == ".git" and spot is Spot.INSIDE else spot
        return Spot.OUTSIDE


def _all_wild(path: str) -> bool:
    """Whether the pattern is one for everything (`*`, `.*`, `?*`), and no more than that."""
    return not path.strip("/*?.[]!^{},")


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name probably holds a secret."""
    return bool(_SECRET_NAME.search(name))


@cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


@lru_cache(maxsize=4096)
def is_secret_file(path: str) -> bool:
    """Whether a file of this path, or one that this pattern finds, probably holds secrets; samples do not."""
    path = re.sub(r"^file:/+(?:localhost/)?", "/", path, flags=re.IGNORECASE)
    parts = [part for part in path.rstrip("/").split("/") if part]
    if not parts:
        return False
    name = parts[-1]
    if _any_of(_SAMPLES).match(name):
        return False
    if _any_of(_SECRET_FILES).match(name):
        return True
    if parts[0] == "proc" and len(parts) > 2 and fnmatchcase("environ", name):
        return True
    if _finds_secret(name, parts[:-1]):
        return True
    if any(part in _SECRET_FOLDERS for part in parts[:-1]) and name not in {"known_hosts", "config.d"}:
        return not (parts[-2] == "gh" and "." not in path)
    return name in _SECRET_FOLDERS and (name.startswith(".") or bool(_HOME_LIKE.match(path)))


def _finds_secret(name: str, folders: list[str]) -> bool:
    """Whether a pattern is made for a file with secrets: `.en*`, `id_*`, `.s?h/x`; not `*` or `*.json`."""
    if any(_GLOB.search(part) and _finds_secret_folder(part) for part in (*folders, name)):
        return True
    if not _GLOB.search(name):
        return False
    if len(name) > _LONGEST_PATTERN:
        return True
    literal = re.sub(r"\[[^\]]*\]|[*?]", "", posixpath.splitext(name)[0] if not name.startswith(".") else name)
    told = len(literal) >= 3 or "*" not in name
    return any(
        fnmatchcase(one, name) and (one.startswith(".") == name.startswith((".", "[.]"))) and (told or one[0] == ".")
        for one in _WELL_KNOWN
    )


def _finds_secret_folder(name: str) -> bool:
    return name.startswith((".", "[.]")) and any(
        one.startswith(".") and fnmatchcase(one, name) for one in _SECRET_FOLDERS
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine; unusual spellings of an address are not believed."""
    host = host.strip("[]").lower().removesuffix(".")
    if host in {"localhost", "::1", "0.0.0.0"} or host.endswith(".localhost"):  # noqa: S104
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False

"""The user's repository: found, described, read, and changed only in refs (I1)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chargehand.adapters.git.command import Git, GitFailed, plain_environment, user_environment
from chargehand.adapters.git.incoming import Identity, Incoming
from chargehand.adapters.git.layout import Layouts
from chargehand.adapters.git.loose_refs import can_write, delete_loose, write_loose
from chargehand.adapters.git.owned import own_directory
from chargehand.adapters.git.refs import ref_safe
from chargehand.adapters.git.stores import module_folders, with_alternates
from chargehand.domain.errors import AdapterError, UserError

__all__ = ["Identity", "Repository", "parse_config"]

_OLDEST = (2, 38)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A user's repository. `root` is its work tree (None: bare), `git_dir` that of this work tree.

    `common_dir` holds the refs of all work trees, `objects` is where objects are written. `config` is the
    effective configuration, keys as git prints them. Our git commands run no hook and no fsmonitor here.
    """

    root: Path | None
    git_dir: Path
    common_dir: Path
    objects: Path
    object_format: str
    config: Mapping[str, str]
    environ: Mapping[str, str]
    layouts: Layouts = field(default_factory=Layouts, repr=False, compare=False)
    _trees: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    async def discover(cls, path: Path, environ: Mapping[str, str] | None = None) -> Repository:
        """The repository `path` lies in. UserError: none there, git too old, or no commit yet."""
        environ = dict(os.environ if environ is None else environ)
        path = path.absolute()
        if not path.is_dir():
            raise UserError(f"{path} is not a directory.", code="not_a_repository", hint="Give --repo a repository.")
        git = Git(cwd=path, env=user_environment(environ), options=())
        await _check_version(git)
        found = await _locate(cls, git, path, environ)
        await found._check_commit()
        return found

    # -- what it is

    @property
    def zero(self) -> str:
        """The name of no object, as compare-and-swap wants it."""
        return "0" * (64 if self.object_format == "sha256" else 40)

    @property
    def identity(self) -> Identity:
        """Name and address for commits made in this repository (SPEC 3.5)."""
        name, email = self.config.get("user.name", ""), self.config.get("user.email", "")
        if name and email:
            return Identity(name=name, email=email)
        return Identity(name="Chargehand", email="chargehand@localhost")

    @property
    def shallow_file(self) -> Path:
        """Lists the commits whose parents are missing; exists in shallow clones only."""
        return self.common_dir / "shallow"

    @property
    def promisor(self) -> str | None:
        """The remote a partial clone gets missing objects from."""
        named = self.config.get("extensions.partialclone")
        if named:
            return named
        for key, value in self.config.items():
            match = re.fullmatch(r"remote\.(.+)\.promisor", key)
            if match and value == "true":
                return match[1]
        return None

    @property
    def fetched_modules(self) -> Path:
        """Where submodules lie that the user registered but has not filled."""
        return self.common_dir / "chargehand" / "modules"

    def object_stores(self) -> tuple[Path, ...]:
        """Every folder that git in a workspace reads objects from: a sandbox has to show them.

        The repository's own, those of its submodules, the alternates of all of them, and the folder in which
        submodules appear that are fetched later.
        """
        modules = module_folders(self.root, (self.git_dir, self.common_dir))
        stores = with_alternates([self.objects, *(folder / "objects" for folder in modules)])
        if self.root is None or any(key.startswith("submodule.") for key in self.config):
            self.fetched_modules.mkdir(parents=True, exist_ok=True)
            stores.append(self.fetched_modules)
        return tuple(stores)

    def is_work_tree(self, path: Path) -> bool:
        """Whether a folder is the root of a work tree of this repository: the one it was made with, or a linked one."""
        link = path / ".git"
        try:
            if link.is_dir():
                return link.resolve() == self.common_dir.resolve()
            named = link.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("gitdir:").strip()
            home = (path / named).resolve()
            shared = home / "commondir"
            common = (home / shared.read_text(encoding="utf-8").strip()).resolve() if shared.is_file() else home
        except (OSError, ValueError):
            return False
        return common == self.common_dir.resolve()

    # -- calling git

    def git(self) -> Git:
        """Calls git on the repository with its own configuration, but nobody's hooks."""
        return self._caller(plain_environment(self.environ))

    def git_as_user(self) -> Git:
        """The same with the person's configuration (credentials, proxies): for fetching only."""
        return self._caller(user_environment(self.environ))

    def _caller(self, env: dict[str, str]) -> Git:
        git = Git(cwd=self.root or self.common_dir, env=env)
        where = ("--git-dir", str(self.git_dir), *(("--work-tree", str(self.root)) if self.root else ()))
        return Git(cwd=git.cwd, env=env, options=(*git.options, *where))

    def plumbing(self) -> Git:
        """Calls git on the repository's objects with a configuration of our own: no drivers, no filters."""
        own = self.common_dir / "chargehand" / "git"
        try:
            own_directory(own, self.config, self.object_format, work=None, shallow=self.shallow_file)
        except OSError as error:
            raise AdapterError("git", f"The folder {own} cannot be written: {error.strerror}.") from error
        env = plain_environment(self.environ) | {"GIT_OBJECT_DIRECTORY": str(self.objects)}
        git = Git(cwd=own, env=env)
        return Git(cwd=own, env=env, options=(*git.options, "--git-dir", str(own)))

    def incoming(self) -> Incoming:
        """A place for new objects until a ref holds them: nothing is written into the repository without one."""
        return Incoming(self.objects, self.common_dir / "chargehand" / "incoming", self.object_format)

    # -- reading

    async def resolve(self, rev: str) -> str:
        """The full name of the commit `rev` names; UserError when it names none."""
        got = await self.git().run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", ok=(0, 1, 128)
        )
        if got.code != 0:
            hint = "Give a branch, a tag or a commit that exists here."
            raise UserError(f"{rev!r} names no commit of {self.common_dir}.", code="unknown_revision", hint=hint)
        return got.stdout.decode().strip()

    async def tree(self, commit: str) -> str:
        """The tree of a commit; remembered, because a commit never changes."""
        if commit not in self._trees:
            self._trees[commit] = await self.git().text("rev-parse", "--verify", f"{commit}^{{tree}}")
        return self._trees[commit]

    def remember_tree(self, commit: str, tree: str) -> None:
        """Spare a later question about a commit that was just made."""
        self._trees[commit] = tree

    async def ref(self, name: str) -> str | None:
        """The object a full ref name stands for, or None; names as in `set_ref`."""
        got = await self.git().run("rev-parse", "--verify", "--quiet", ref_safe(name), ok=(0, 1, 128))
        return got.stdout.decode().strip() if got.code == 0 else None

    # -- changing

    async def set_ref(self, name: str, new: str, old: str | None = None, *, why: str = "chargehand") -> bool:
        """Point a ref at `new`; with `old` only if it stands there now (`zero`: if it does not exist).

        Answers False when it stood elsewhere. What git refuses in a name (`..`, `.lock`) is escaped.
        """
        name = ref_safe(name)
        plain = old in (None, self.zero) and can_write(name, self.config)
        if plain and write_loose(self.common_dir, name, new, new=old is not None):
            return True
        args = ("update-ref", "-m", why, "--end-of-options", name, new, *(() if old is None else (old,)))
        try:
            await self.git().run(*args)
        except GitFailed:
            if old is None:
                raise
            if (await self.ref(name) or self.zero) == old:
                raise
            return False
        return True

    def drop_ref(self, name: str, oid: str) -> bool:
        """Delete a ref of ours that stands at `oid`, where that takes no git; False leaves it to `clean`."""
        name = ref_safe(name)
        return can_write(name, self.config) and delete_loose(self.common_dir, name, oid)

    async def _check_commit(self) -> None:
        got = await self.git().run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", ok=(0, 1, 128))
        if got.code == 0:
            return
        if (await self.git().text("for-each-ref", "--count=1", "--format=%(refname)")) == "":
            hint = "Make a first commit: `git commit --allow-empty -m 'first'`."
            raise UserError(f"{self.root or self.git_dir} has no commit yet.", code="no_commit", hint=hint)


async def _check_version(git: Git) -> None:
    try:
        text = await git.text("--version")
    except (AdapterError, OSError) as error:
        hint = "Install git 2.38 or later and put it on PATH."
        raise UserError(f"git could not be run: {error}", code="git_missing", hint=hint) from error
    match = re.search(r"(\d+)\.(\d+)", text)
    if match is None or (int(match[1]), int(match[2])) < _OLDEST:
        hint = "Install git 2.38 or later and put it on PATH."
        raise UserError(f"git 2.38 or later is needed; this is {text!r}.", code="git_too_old", hint=hint)


async def _locate(kind: type[Repository], git: Git, path: Path, environ: Mapping[str, str]) -> Repository:
    asked = ("--is-inside-work-tree", "--show-object-format", "--absolute-git-dir", "--git-common-dir")
    try:
        got = await git.run("rev-parse", *asked)
    except GitFailed as error:
        hint = "Start inside a git repository, or give one with --repo."
        if "dubious ownership" in error.stderr:
            hint = "It belongs to another user: add it to git's safe.directory setting if you trust it."
        raise UserError(f"{path} is not in a usable git repository.", code="not_a_repository", hint=hint) from error
    inside, object_format, git_dir, common = os.fsdecode(got.stdout).rstrip("\n").split("\n")
    common_dir = Path(os.path.realpath(path / common))
    root = None
    if inside == "true":
        got = await git.run("rev-parse", "--show-toplevel")
        root = Path(os.fsdecode(got.stdout).removesuffix("\n"))
    listing = await git.run("config", "--list", "-z", "--includes")
    return kind(
        root=root,
        git_dir=Path(git_dir),
        common_dir=common_dir,
        objects=common_dir / "objects",
        object_format=object_format,
        config=parse_config(listing.stdout),
        environ=environ,
    )


def parse_config(data: bytes) -> dict[str, str]:
    """The output of `config --list -z`; the last of several values counts."""
    values = {}
    for entry in os.fsdecode(data).split("\0"):
        key, found, value = entry.partition("\n")
        if key:
            values[key] = value if found else "true"
    return values

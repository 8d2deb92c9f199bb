"""One classification under way: what has been found, what may still be spent on it, and how handlers go deeper."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from chargehand.adapters.guarding.place import REMOTE, UNKNOWN, Place, Spot, is_loopback, is_secret_file
from chargehand.adapters.guarding.rules import RULES
from chargehand.adapters.guarding.scope import NOTHING, SOMETHING, Out, Scope
from chargehand.adapters.guarding.verdict import Danger, Reach

__all__ = ["LONGEST_COMMAND_BYTES", "Call", "Handler", "Look", "TooMuch"]

LONGEST_COMMAND_BYTES = 8 * 1024
"""What is longer is not read: it is asked about, or denied."""
_NOT_READ = frozenset({"hidden_code", "piped_code"})
# In a sandbox such code is no more of a question than a script of the workspace, which nobody reads either.
MOST_BYTES = 4 * LONGEST_COMMAND_BYTES
MOST_STEPS = 3_000
MOST_DEPTH = 40
MOST_DANGERS = 40
_MOST_LINKS = 12


class TooMuch(Exception):
    """The text cannot be followed to its end; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One command as it would be run. `exact` is its text; `feed` what it reads on standard input, None: nothing."""

    argv: tuple[str, ...]
    exact: str
    scope: Scope
    feed: Out | None = None

    @property
    def args(self) -> tuple[str, ...]:
        """The words behind the program."""
        return self.argv[1:]

    def of(self, argv: Sequence[str]) -> Call:
        """The same with another program in it."""
        return replace(self, argv=tuple(argv))


class _Follow(Protocol):
    """How the shell part follows a text or a command; set by it, so that handlers need not import it."""

    def text(self, text: str, call: Call, positional: Sequence[str] | None) -> Out: ...

    def call(self, call: Call) -> Out: ...


@dataclass(slots=True, kw_only=True)
class Look:
    """What handlers are given: where things are, where to put what they find, and the way further down.

    `calls` are the commands that were followed: words, folders, and the text that they stand in.
    """

    place: Place
    follow: _Follow = field(init=False)
    found: dict[tuple[str, str, Reach], Danger] = field(default_factory=dict)
    feeds: dict[str, Out] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[tuple[str, ...], tuple[str, ...], str]] = field(default_factory=list)
    steps: int = 0
    parsed_bytes: int = 0
    depth: int = 0

    def report(self, rule: str, call: Call | str, *, inside: bool = False, why: str = "") -> None:
        """Put a danger on the list; `inside`: it ends at the workspace."""
        exact = (call if isinstance(call, str) else call.exact).replace(UNKNOWN, "…").replace(REMOTE, "")
        reach = Reach.INSIDE if inside or rule in _NOT_READ else Reach.OUTSIDE
        if len(self.found) < MOST_DANGERS:
            danger = Danger(rule=rule, exact=exact, why=why or RULES[rule], reach=reach)
            self.found.setdefault((rule, exact, reach), danger)

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level further down, against the bound."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise TooMuch("It is nested too deeply to follow.")
        yield
        self.depth -= 1

    def step(self) -> None:
        """Count one command against the bound."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TooMuch("It does too many things to follow them all.")

    def read(self, text: str) -> None:
        """Count a text that is to be parsed against the bounds."""
        size = len(text.encode("utf-8", "replace"))
        self.parsed_bytes += size
        if size > LONGEST_COMMAND_BYTES or self.parsed_bytes > MOST_BYTES:
            raise TooMuch(f"It is longer than {LONGEST_COMMAND_BYTES:,} bytes, or becomes so.")

    # -- further down ---------------------------------------------------------------------------------

    def again(self, argv: Sequence[str], call: Call) -> Out:
        """Follow the command that another one starts."""
        return self.follow.call(call.of(argv)) if argv else SOMETHING

    def shell(self, text: str, call: Call, positional: Sequence[str] | None = None) -> Out:
        """Follow a text that a shell is given."""
        if REMOTE in text:
            self.report("remote_code", call)
        elif UNKNOWN in text:
            self.report("unknown_command" if text.strip() == UNKNOWN else "hidden_code", call)
        return self.follow.text(text, call, positional)

    # -- paths ----------------------------------------------------------------------------------------

    def spot(self, path: str, call: Call) -> Spot:
        """Where a path of the command lies; links made by the command itself are followed."""
        cwds = call.scope.cwds
        for cwd in cwds if self.links and UNKNOWN not in path else ():
            full = self.place.full(path, cwd)
            behind = self._behind_links(full, last=path.endswith("/"))
            if behind != full:
                return self.place.spot(behind, cwds)
        return self.place.spot(path, cwds)

    def _behind_links(self, full: str, *, last: bool) -> str:
        """Where a path leads by the links that the command has made; `last`: also when it is one itself."""
        for _ in range(_MOST_LINKS):
            link = next((one for one in self.links if full.startswith(one + "/") or (last and full == one)), None)
            if link is None:
                return full
            full = self.place.full(self.links[link], posixpath.dirname(link)) + full[len(link) :]
        return UNKNOWN

    def host(self, host: str, call: Call) -> None:
        """A connection goes out: a question unless the host is this machine, or named by the plan."""
        name = host.lower().rpartition("@")[2]
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        elif name.count(":") < 2:
            name = name.partition(":")[0].rstrip(".")
        if not is_loopback(name) and name not in self.place.hosts:
            self.report("network", call)

    def reads(self, path: str, call: Call) -> None:
        """A file is read (`…/**`: all that is below): a question where it holds secrets."""
        if path.endswith("/**") and path.count("*") == 2:
            self.reads_below(path[:-2], call)
            return
        fulls = [self.place.full(path, cwd) for cwd in call.scope.cwds]
        if any(is_secret_file(name) for cwd in call.scope.cwds for name in self.place.names(path, cwd)):
            inside = {Spot.INSIDE, Spot.GIT} | ({Spot.ROOT} if all(map(self._is_workspace, fulls)) else set())
            self.report("secret_file", call, inside=self.spot(path, call) in inside)

    def _is_workspace(self, full: str) -> bool:
        return any(full == root or full.startswith(root + "/") for root in self.place.inside)

    def reads_below(self, path: str, call: Call) -> None:
        """A folder is read with everything in it: a question where it holds secrets, or is a HOME or above one."""
        if any(self.place.holds_home(path, cwd) for cwd in call.scope.cwds):
            self.report("secret_file", call, why="It reads a whole HOME, and the files with secrets in it.")
        else:
            self.reads(path, call)

    def writes(self, path: str, call: Call, *, append: bool = False, follow: bool = True) -> None:
        """A file is written: a question outside, and where something is lost that nothing else keeps.

        `follow`: what the command itself has made a link is written through.
        """
        spot = self.spot(path, call)
        for cwd in call.scope.cwds if follow and self.links and spot in {Spot.INSIDE, Spot.PRIVATE} else ():
            full = self.place.full(path, cwd)
            behind = self._behind_links(full, last=True)
            spot = spot if behind == full else self.place.spot(behind, (cwd,))
        if spot is Spot.OUTSIDE:
            self.report("disk" if path.startswith("/dev/") else "overwrite_outside", call)
        elif spot is Spot.UNKNOWN:
            self.report("overwrite_unknown", call, inside=True)
        elif spot is Spot.GIT:
            self.report("git_configuration", call, inside=True, why="It writes into the repository's own folder.")
        elif not append and self.place.is_untracked(path, call.scope.cwds):
            self.report("overwrite_untracked", call, inside=True)

    def deletes(self, paths: Sequence[str], call: Call, *, whole: bool) -> None:
        """Paths are removed; `whole`: with everything below."""
        for path in paths:
            spot = self.spot(path, call)
            if spot is Spot.OUTSIDE:
                self.report("delete_outside", call)
            elif spot is Spot.UNKNOWN:
                self.report("delete_unknown", call)
            elif spot is Spot.PRIVATE and self._is_temporary(path, call):
                continue
            elif spot in {Spot.ROOT, Spot.GIT} or whole or "**" in path:
                self.report("delete_recursive", call, inside=True)

    def _is_temporary(self, path: str, call: Call) -> bool:
        """Whether a path lies in the attempt's own TMPDIR, which is emptied anyway."""
        tmp = self.place.tmp
        return bool(tmp) and all(self.place.full(path, cwd).startswith(tmp + "/") for cwd in call.scope.cwds)

    # -- code -----------------------------------------------------------------------------------------

    def script(self, path: str, call: Call) -> Out | None:
        """What is known of a file that is about to be run: None when it is simply a file."""
        if path in {"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}:
            return call.feed
        if path in self.feeds:
            return self.feeds[path]
        if UNKNOWN in path:
            return SOMETHING
        for cwd in call.scope.cwds:
            written = call.scope.files.get(self.place.full(path, cwd))
            if written is not None:
                return written
        return None

    def runs(self, feed: Out | None, call: Call, code: Callable[[str], object]) -> None:
        """Code comes from elsewhere: `code` follows it where it is known, a question where it is not."""
        if feed is None or feed == NOTHING or feed.files:
            return
        if feed.text is not None:
            code(feed.text)
        elif feed.remote:
            self.report("remote_code", call)
        else:
            self.report("piped_code", call)


Handler = Callable[[Call, Look], Out | None]
"""Looks at one command, reports what it finds, and tells what the command prints (None: not known)."""


def program(word: str) -> str:
    """The name of a program without its folder."""
    return posixpath.basename(word.rstrip("/")) or word

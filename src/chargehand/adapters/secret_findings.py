"""Looks for secrets that a sealed change adds: in files, paths, and the commits that come with it (SPEC 7.3).

Two things count: the value of a secret that is known, in any form, and what has the format of a key. Neither does where
the base holds the same value already, wherever: what was there before is no fault of the attempt. Formats can be
excused by the usual mark on the line and by `secrets.allow`; a known value cannot.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chargehand.adapters.git.command import MIB, Git
from chargehand.adapters.git.history import History
from chargehand.adapters.git.raw import Raw, path_text
from chargehand.adapters.git.reading import read_blobs
from chargehand.adapters.git.refs import read_small
from chargehand.adapters.git.work import WorkTree
from chargehand.adapters.secret_formats import HINT, is_generated, spot
from chargehand.domain import scope
from chargehand.domain.errors import AdapterError
from chargehand.domain.secrecy import Vault

__all__ = ["KNOWN", "SecretWatch"]

KNOWN = "the value of a secret that Chargehand knows"

_FILE = MIB
_KNOWN_FILE = 16 * MIB
_ALL = 64 * MIB
_OBJECTS = 1_000
_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """Something that was added: a file of the result, one of a commit on the way, or a message.

    `old` is the blob that stood at its path before; `formats`: whether formats count in it.
    """

    where: str
    data: bytes = field(repr=False)
    old: str = ""
    formats: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A place, and the value there, which is never shown."""

    place: str
    kind: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretWatch:
    """Looks through changes. `vault` has the secrets that are known, and learns what is found.

    `allow` are patterns of paths in which formats do not count.
    """

    vault: Vault
    allow: tuple[str, ...] = ()

    async def added(
        self, tree: WorkTree, base_tree: str, diff: Sequence[Raw], history: History | None
    ) -> tuple[str, ...]:
        """What a change to `base_tree` adds, as `path:line: kind`, in order, at most 50; the values are learned.

        In the first MiB of a text formats are looked for, in the first 16 MiB of any file known values.
        """
        if not diff and history is None:
            return ()
        texts = await asyncio.to_thread(self._of_files, tree.path, diff)
        if history is not None:
            texts += await self._on_the_way(tree.git, diff, history)
        suspects = [text.old for text in texts if text.old and text.formats and HINT.search(text.data)]
        before = await read_blobs(tree.git, await _small(tree.git, suspects)) if suspects else {}
        found = await asyncio.to_thread(self._found, texts, before)
        found += self._named(diff)
        if not found:
            return ()
        there = await _in_tree(tree.git, base_tree, [each.value for each in found])
        fresh = [each for each in found if each.value not in there]
        self.vault.learn(each.value for each in fresh)
        places: dict[str, str] = {}
        for each in fresh:
            places.setdefault(each.place, each.kind)
        return tuple(self.vault.text(f"{place}: {kind}") for place, kind in places.items())[:_MOST]

    # -- what there is to look at

    def _of_files(self, root: Path, diff: Iterable[Raw]) -> list[_Text]:
        """The changed files as they lie in the workspace: that is what was sealed, large files included."""
        found: list[_Text] = []
        total = 0
        most = _KNOWN_FILE if self.vault.forms else _FILE
        for raw in diff:
            if total < _ALL and raw.new_mode.startswith("1") and raw.new != raw.old:
                data = _content(root, raw, most)
                total += len(data)
                old = raw.old if raw.old_mode.startswith("100") else ""
                found.append(_Text(where=path_text(raw.path), data=data, old=old, formats=self._counts(raw)))
        return found

    def _counts(self, raw: Raw) -> bool:
        path = path_text(raw.path)
        return not (is_generated(path) or (self.allow and scope.matches(self.allow, path)))

    async def _on_the_way(self, git: Git, diff: Iterable[Raw], history: History) -> list[_Text]:
        """The messages of the agent's commits, and the files in them that the result does not show: they land, too."""
        seen = {oid for raw in diff for oid in (raw.new, raw.old)}
        passing = [(made, raw) for made in history.commits for raw in made.touched if raw.new not in seen]
        blobs = {raw.new: (made, raw) for made, raw in passing if raw.new_mode.startswith("10")}
        if not blobs and not self.vault.forms:
            return []
        wanted = [*(made.oid for made in history.commits), *blobs][:_OBJECTS]
        objects = await read_blobs(git, await _small(git, wanted))
        texts = []
        for oid, data in objects.items():
            if oid in blobs:
                made, raw = blobs[oid]
                where = f"commit {made.oid[:12]}: {path_text(raw.path)}"
                texts.append(_Text(where=where, data=data, old=raw.old, formats=self._counts(raw)))
            else:
                texts.append(_Text(where=f"commit {oid[:12]}: its message", data=data))
        return texts

    # -- looking

    def _found(self, texts: Iterable[_Text], before: Mapping[str, bytes]) -> list[_Found]:
        found: list[_Found] = []
        for text in texts:
            if text.formats:
                found += _by_format(text, before.get(text.old, b""))
            found += self._known_in(text)
        return found

    def _known_in(self, text: _Text) -> Iterator[_Found]:
        for form in self.vault.forms:
            at = text.data.find(form)
            if at >= 0:
                line = text.data.count(b"\n", 0, at) + 1
                yield _Found(place=f"{text.where}:{line}", kind=KNOWN, value=form.decode("utf-8", "surrogateescape"))

    def _named(self, diff: Iterable[Raw]) -> list[_Found]:
        """Known values in the names of new files."""
        new = (raw.path for raw in diff if raw.old_mode == "000000")
        pairs = ((path, form) for path in new for form in self.vault.forms if form in path)
        return [
            _Found(place=path_text(path), kind=f"{KNOWN}, in a name", value=form.decode("utf-8", "surrogateescape"))
            for path, form in pairs
        ]


def _content(root: Path, raw: Raw, most: int) -> bytes:
    """What was sealed of a file; of a link, where it leads."""
    name = os.fsdecode(raw.path)
    if raw.new_mode.startswith("100"):
        return read_small(root, name, most) or b""
    try:
        return os.fsencode((root / name).readlink())
    except OSError:
        return b""


def _by_format(text: _Text, old: bytes) -> Iterator[_Found]:
    """What has the format of a key in the lines that were not there before."""
    data = text.data[:_FILE]
    if not HINT.search(data) or b"\0" in data[:8000]:
        return
    lines = data.decode("utf-8", "replace").split("\n")
    known = Counter(line.strip() for line in old.decode("utf-8", "replace").split("\n"))
    for each in spot(lines, _beyond(lines, known)):
        yield _Found(place=f"{text.where}:{each.line}", kind=each.kind, value=each.value)


def _beyond(lines: Sequence[str], known: Counter[str]) -> list[int]:
    """The numbers of the lines of which there are more than before."""
    seen = Counter(line.strip() for line in lines)
    return [number for number, line in enumerate(lines, 1) if seen[line.strip()] > known[line.strip()]]


async def _small(git: Git, oids: Sequence[str]) -> list[str]:
    """Those objects that are there and small enough to be read, together, too."""
    asked = "".join(f"{oid}\n" for oid in dict.fromkeys(oids)).encode()
    listed = (await git.run("cat-file", "--batch-check", stdin=asked)).stdout.decode("ascii", "replace")
    fit, room = [], _ALL
    for words in map(str.split, listed.splitlines()):
        if len(words) == 3 and words[1] in {"blob", "commit"} and int(words[2]) <= min(_FILE, room):
            fit.append(words[0])
            room -= int(words[2])
    return fit


async def _in_tree(git: Git, tree: str, values: Sequence[str]) -> set[str]:
    """Those values that some file of the tree holds already; none where it cannot be told."""
    needles = {value: max(value.split("\n"), key=len) for value in values}
    asked = "".join(f"{needle}\n" for needle in dict.fromkeys(needles.values())).encode("utf-8", "surrogateescape")
    try:
        got = await git.run("grep", "-a", "-h", "-o", "-F", "-f", "-", tree, stdin=asked, ok=(0, 1))
    except AdapterError:
        return set()
    shown = got.stdout.decode("utf-8", "surrogateescape")
    return {value for value, needle in needles.items() if needle in shown}

"""Parses what git prints with `-z`: raw differences, status, and logs with raw differences. Pure.

Paths are bytes here. In the values that leave the adapters they are text: UTF-8, and every byte that is not
valid UTF-8 as `\\xNN`. Such a name matches no declared path, so a strict scope refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["GITLINK", "Commit", "Pending", "Raw", "parse_log", "parse_raw", "parse_status", "path_text"]

GITLINK = "160000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One line of a raw difference; modes are octal text, `000000` where there is nothing."""

    old_mode: str
    new_mode: str
    old: str
    new: str
    path: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of a log with the paths it touched."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    touched: tuple[Raw, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What differs between an index and its work tree; `staged`: the index is not that of its commit.

    `unseen` are folders that git could not look into.
    """

    tracked: tuple[bytes, ...]
    untracked: tuple[bytes, ...]
    nested: tuple[bytes, ...]
    staged: bool = False
    unseen: tuple[bytes, ...] = ()


def path_text(path: bytes) -> str:
    """A path as it stands in values, events and messages."""
    return path.decode("utf-8", "backslashreplace")


def parse_raw(data: bytes) -> tuple[Raw, ...]:
    """The output of `diff-tree -r -z --raw --no-abbrev --no-renames`."""
    tokens = iter(data.split(b"\0"))
    return tuple(_raw(token, next(tokens)) for token in tokens if token.startswith(b":"))


def _raw(meta: bytes, path: bytes) -> Raw:
    parents = len(meta) - len(meta.lstrip(b":"))
    words = meta[parents:].decode("ascii").split(" ")
    # A merge shows one mode and one object per parent, then those of the result.
    return Raw(
        old_mode=words[0],
        new_mode=words[parents],
        old=words[parents + 1],
        new=words[2 * parents + 1],
        path=path,
    )


def parse_log(data: bytes) -> tuple[Commit, ...]:
    """The output of `log -z --raw --no-abbrev -c --no-renames --format=>%H %T %P`, newest first."""
    return tuple(_commits(iter(data.split(b"\0"))))


def _commits(tokens: Iterator[bytes]) -> Iterator[Commit]:
    header: list[str] | None = None
    touched: list[Raw] = []
    for token in tokens:
        word = token.lstrip(b"\n")
        if word.startswith(b":"):
            touched.append(_raw(word, next(tokens)))
        elif word.startswith(b">"):
            if header is not None:
                yield _commit(header, touched)
            header, touched = word[1:].decode("ascii").split(), []
    if header is not None:
        yield _commit(header, touched)


def _commit(header: list[str], touched: list[Raw]) -> Commit:
    return Commit(oid=header[0], tree=header[1], parents=tuple(header[2:]), touched=tuple(touched))


def parse_status(data: bytes) -> Pending:
    """The output of `status --porcelain=v2 -z --no-renames`."""
    tracked: list[bytes] = []
    untracked: list[bytes] = []
    nested: list[bytes] = []
    staged = False
    for entry in data.split(b"\0"):
        if entry.startswith(b"? "):
            path = entry[2:]
            (nested if path.endswith(b"/") else untracked).append(path.rstrip(b"/"))
        elif entry.startswith(b"1 "):
            words = entry.split(b" ", 8)
            staged = staged or words[1][:1] != b"."
            if words[1][1:2] != b".":
                tracked.append(words[8])
        elif entry.startswith(b"u "):
            staged = True
            tracked.append(entry.split(b" ", 10)[10])
    return Pending(tracked=tuple(tracked), untracked=tuple(untracked), nested=tuple(nested), staged=staged)

"""Scopes: which paths a task may change, and whether two scopes can meet (SPEC 2.1, 3.3, 3.7).

A pattern is a gitwildmatch pattern relative to the repository root, matched case-sensitively. Two readings are ours:

* a pattern without a wildcard is a path from the root and covers what is below it (`README.md` is the one at the
  top; `**/README.md` is any), since a plan names files and a leading slash is refused;
* a pattern with brackets also matches the path that is spelled exactly like it, so `app/[id]/page.tsx` means what
  it says in projects that have such folders.

`overlap` may say yes where no path exists that both match. It says no wrongly in one case only: a pattern that ends
like a source file (`a.py`) is taken for a file, not for a folder of that name, so that `**/*.md` does not meet it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from pathspec import GitIgnoreSpec

__all__ = [
    "Meeting",
    "Meetings",
    "interface_name",
    "is_literal",
    "literal_path",
    "lock_files_for",
    "matches",
    "meetings",
    "overlap",
    "overlaps",
    "unmatched",
    "validate",
]

_ESCAPABLE = frozenset("*?[]!#\\ ")
_DRIVE = re.compile(r"[A-Za-z]:")
_CLASS = r"\[[!^]?(?:[A-Za-z0-9_]-[A-Za-z0-9_]|[A-Za-z0-9_.@+=,$%()])+\]"
_SIMPLE_CLASS = re.compile(r"\[([A-Za-z0-9_.]+)\]")
_SURROGATE = re.compile("[\ud800-\udfff]")


# -- patterns -------------------------------------------------------------------------------------


def validate(pattern: str) -> str | None:
    """Why the pattern is refused, as a sentence that follows its name; None when it is fine."""
    if not pattern.strip():
        return "is empty; name a file, a folder or a pattern relative to the repository root."
    if any(ord(char) < 32 or ord(char) == 127 for char in pattern) or _SURROGATE.search(pattern):
        return "contains a control character; remove it."
    if pattern != pattern.strip():
        return "begins or ends with a space; remove it."
    return _misplaced(pattern) or _misspelt(pattern)


def _misplaced(pattern: str) -> str | None:
    if pattern.startswith(("/", "~")):
        return "is an absolute path; write it relative to the repository root."
    if _DRIVE.match(pattern):
        return "begins with a drive letter; write it relative to the repository root."
    parts = [part.replace("\\", "") for part in pattern.split("/")]
    if ".." in parts:
        return "leaves its folder with '..'; write it relative to the repository root."
    if any(part.casefold() == ".git" for part in parts):
        return "is inside .git, which belongs to git; no task may change it."
    return None


def _misspelt(pattern: str) -> str | None:
    if pattern.startswith("!"):
        return "begins with '!', but a scope has no exceptions; name what belongs to it (or escape it as '\\!')."
    if pattern.startswith("#"):
        return "begins with '#' and would be a comment; escape it as '\\#'."
    if any(part in {"", "."} for part in pattern.removesuffix("/").split("/")):
        return "has an empty or '.' part; write it like 'src/module.py'."
    escapes = re.findall(r"\\(.?)", pattern)
    if any(char not in _ESCAPABLE or not char for char in escapes):
        return "contains a backslash; separate folders with '/'."
    return None


@lru_cache(maxsize=65536)
def is_literal(pattern: str) -> bool:
    """Whether the pattern names one path: no wildcard that is not escaped."""
    return not re.search(r"(?<!\\)(?:\\\\)*[*?\[]", pattern)


def literal_path(pattern: str) -> str:
    """The path a literal pattern names: escapes resolved, no slash at the end."""
    return re.sub(r"\\(.)", r"\1", pattern).rstrip("/")


# -- matching -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matcher:
    paths: frozenset[str]
    folders: frozenset[str]
    globs: GitIgnoreSpec | None

    def match(self, path: str) -> bool:
        if path in self.paths or any(parent in self.folders for parent in _parents(path)):
            return True
        return self.globs is not None and bool(self.globs.match_file(path))


def _parents(path: str) -> Iterable[str]:
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)


@lru_cache(maxsize=16384)
def _matcher(patterns: tuple[str, ...]) -> _Matcher:
    sound = [pattern for pattern in patterns if validate(pattern) is None]
    globs = [_mended(pattern) for pattern in sound if not is_literal(pattern)]
    spelled = [literal_path(pattern) if is_literal(pattern) else pattern for pattern in sound]
    folders = [path.rstrip("/") for path in spelled]
    paths = [path.rstrip("/") for path, pattern in zip(spelled, sound, strict=True) if not pattern.endswith("/")]
    return _Matcher(
        paths=frozenset(paths),
        folders=frozenset(folders),
        globs=GitIgnoreSpec.from_lines(globs) if globs else None,
    )


@lru_cache(maxsize=65536)
def _mended(pattern: str) -> str:
    """The pattern with every `[` escaped that begins no well-formed class, as in `[[...slug]]`."""

    def mend(found: re.Match[str]) -> str:
        text = found[0]
        if text == "[":
            return "\\["
        backwards = any(low > high for low, high in re.findall(r"(\w)-(\w)", text))
        return text.replace("[", "\\[") if backwards else text

    return re.sub(r"\\.|" + _CLASS + r"|\[", mend, pattern)


def matches(patterns: Sequence[str], path: str) -> bool:
    """Whether one of the patterns covers the path (repository relative, `/` between parts).

    A pattern that `validate` refuses covers nothing.
    """
    return _matcher(tuple(patterns)).match(path)


def unmatched(patterns: Sequence[str], paths: Iterable[str]) -> tuple[str, ...]:
    """The paths that no pattern covers, in their order."""
    matcher = _matcher(tuple(patterns))
    return tuple(path for path in paths if not matcher.match(path))


# -- overlap --------------------------------------------------------------------------------------
#
# A pattern becomes one or two forms: segments from the root. A segment is a name, a tuple of tokens, or None for any
# number of segments. A token is the set of characters it may be (empty: any), or None for `*`. A form covers what is
# below it, unless it ends like a file.

_Token = frozenset[str] | None
_Segment = str | tuple[_Token, ...] | None

_ANY: frozenset[str] = frozenset()
_FILE = re.compile(
    r"\.(?:pyi?|ipynb|[mc]?[jt]s|[jt]sx|json|md|mdx|rst|txt|ya?ml|toml|ini|cfg|lock|html?|s?css|less|vue|svelte|go|rs|java"
    r"|kts?|c|h|cc|cpp|hpp|cs|fs|rb|php|swift|scala|exs?|erl|hs|ml|lua|r|pl|sh|sql|xml|csv|svg|png|jpe?g|gif|proto)$"
)


@dataclass(frozen=True, slots=True)
class _Form:
    segments: tuple[_Segment, ...]
    is_file: bool


@lru_cache(maxsize=65536)
def _forms(pattern: str) -> tuple[_Form, ...]:
    is_file = _FILE.search(pattern) is not None
    if is_literal(pattern):
        return (_Form(tuple(literal_path(pattern).split("/")), is_file),)
    parts = pattern.rstrip("/").split("/")
    segments = tuple(_segment(part) for part in _mended(pattern).rstrip("/").split("/"))
    if len(parts) == 1:
        segments = (None, *segments)
    form = _Form(segments, is_file)
    return (form, _Form(tuple(parts), is_file)) if "[" in pattern else (form,)


def _segment(part: str) -> _Segment:
    """A name, its tokens, or None where it may reach over a slash (a negated class or a range can match one)."""
    if part == "**":
        return None
    if is_literal(part):
        return literal_path(part)
    tokens: list[_Token] = []
    at = 0
    while at < len(part):
        char = part[at]
        if char == "[":
            simple = _SIMPLE_CLASS.match(part, at)
            if simple is None:
                return None
            tokens.append(frozenset(simple[1]))
            at = simple.end()
            continue
        at += char == "\\"
        tokens.append({"*": None, "?": _ANY}.get(char, frozenset(part[at : at + 1])))
        at += 1
    return tuple(tokens)


@lru_cache(maxsize=262144)
def overlap(one: str, two: str) -> bool:
    """Whether a path can match both patterns; a doubtful case counts as yes."""
    return any(_forms_meet(a, b) for a in _forms(one) for b in _forms(two))


def overlaps(ones: Sequence[str], twos: Sequence[str]) -> bool:
    """Whether a path can match a pattern of each lease."""
    return any(overlap(one, two) for one in ones for two in twos)


def _forms_meet(one: _Form, two: _Form) -> bool:
    left, right = one.segments, two.segments

    def ends(i: int, j: int) -> bool:
        if i == len(left) and not (one.is_file and any(right[j:])):
            return True
        return j == len(right) and not (two.is_file and any(left[i:]))

    def agree(i: int, j: int) -> bool:
        return _segments_meet(left[i], right[j])

    return _walk(left, right, ends, agree)


def _segments_meet(one: _Segment, two: _Segment) -> bool:
    if isinstance(one, str) and isinstance(two, str):
        return one == two
    left, right = _tokens(one), _tokens(two)

    def ends(i: int, j: int) -> bool:
        return all(t is None for t in left[i:]) and all(t is None for t in right[j:])

    def agree(i: int, j: int) -> bool:
        a, b = left[i], right[j]
        return not a or not b or bool(a & b)

    return _walk(left, right, ends, agree)


def _tokens(segment: _Segment) -> tuple[_Token, ...]:
    return tuple(frozenset(char) for char in segment) if isinstance(segment, str) else segment or ()


def _walk(
    one: Sequence[object],
    two: Sequence[object],
    ends: Callable[[int, int], bool],
    agree: Callable[[int, int], bool],
) -> bool:
    """Whether both can be walked to a common end; None stands for any number of steps of the other side."""
    todo = [(0, 0)]
    seen = {(0, 0)}
    while todo:
        i, j = todo.pop()
        if ends(i, j):
            return True
        if i == len(one) or j == len(two):
            continue
        if one[i] is None or two[j] is None:
            steps = [(i + 1, j), (i, j + 1)]
        else:
            steps = [(i + 1, j + 1)] if agree(i, j) else []
        todo.extend(step for step in steps if step not in seen)
        seen.update(steps)
    return False


def interface_name(text: str) -> str:
    """What an interface is called: its text up to the first `(`, `=`, `->`, or `:` before a space.

    `todo.add(title: str) -> Todo` is `todo.add`. Two tasks that produce the same name take turns.
    """
    words = " ".join(text.split())
    return re.split(r"\(|=|->|:(?=\s|$)", words, maxsplit=1)[0].strip() or words


# -- many leases ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Two patterns that can match the same path (or one, twice), and the numbers of the leases that hold them."""

    one: str
    two: str
    ones: tuple[int, ...]
    twos: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meetings:
    """All meetings of many leases; not `complete` when looking was given up after too many comparisons."""

    found: tuple[Meeting, ...]
    complete: bool = True


def meetings(leases: Sequence[Sequence[str]], *, limit: int = 200_000) -> Meetings:
    """Find where leases meet, comparing each pattern only with those that begin the same way.

    Patterns that are held by one lease alone meet nobody within it. `limit` bounds the comparisons: plain paths
    need next to none, patterns that begin with a wildcard are compared with everything.
    """
    holders: dict[str, list[int]] = {}
    for number, lease in enumerate(leases):
        for pattern in dict.fromkeys(lease):
            holders.setdefault(pattern, []).append(number)
    found = [
        Meeting(one=pattern, two=pattern, ones=tuple(held), twos=tuple(held))
        for pattern, held in holders.items()
        if len(held) > 1
    ]
    heads = sorted((_head(pattern), pattern) for pattern in holders)
    compared = 0
    for place, (head, one) in enumerate(heads):
        for other_head, two in islice(heads, place + 1, None):
            if not other_head.startswith(head):
                break
            compared += 1
            if compared > limit:
                return Meetings(found=tuple(found), complete=False)
            if overlap(one, two) and (holders[one] != holders[two] or len(holders[one]) > 1):
                found.append(Meeting(one=one, two=two, ones=tuple(holders[one]), twos=tuple(holders[two])))
    return Meetings(found=tuple(found))


def _head(pattern: str) -> str:
    """The text every matching path begins with."""
    if is_literal(pattern):
        return literal_path(pattern)
    if "/" not in pattern.rstrip("/"):
        return ""
    begin = re.split(r"(?<!\\)[*?\[]", pattern, maxsplit=1)[0]
    segment = begin.rfind("/") + 1
    if _segment(pattern[segment:].split("/", 1)[0]) is None:  # it counts as anything, its first letters included
        begin = begin[:segment]
    return literal_path(begin + "/")


# -- lock files -----------------------------------------------------------------------------------

_LOCKS: dict[str, tuple[str, ...]] = {
    "package.json": (
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "bun.lockb",
    ),
    "deno.json": ("deno.lock",),
    "pyproject.toml": ("poetry.lock", "uv.lock", "pdm.lock", "pylock.toml"),
    "Pipfile": ("Pipfile.lock",),
    "requirements.in": ("requirements.txt",),
    "Cargo.toml": ("Cargo.lock",),
    "go.mod": ("go.sum",),
    "go.work": ("go.work.sum",),
    "Gemfile": ("Gemfile.lock",),
    "composer.json": ("composer.lock",),
    "mix.exs": ("mix.lock",),
    "pubspec.yaml": ("pubspec.lock",),
    "Podfile": ("Podfile.lock",),
    "Package.swift": ("Package.resolved",),
    "build.gradle": ("gradle.lockfile",),
    "build.gradle.kts": ("gradle.lockfile",),
    "flake.nix": ("flake.lock",),
}


def lock_files_for(patterns: Iterable[str]) -> tuple[str, ...]:
    """The lock files that may change with the dependency files named by the patterns (SPEC 3.7, item 2).

    They are looked for beside the dependency file and in every folder above it, where workspaces keep them.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        folder, _, name = pattern.rpartition("/")
        for lock in _LOCKS.get(name, ()):
            for place in (*((folder, *_parents(folder)) if folder else ()), ""):
                found[f"{place}/{lock}" if place else lock] = None
    return tuple(found)

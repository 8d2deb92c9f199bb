"""From changed files to what the change does to tests: bounded, and never an error, whatever the files hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from chargehand.adapters.integrity.compare import compare
from chargehand.adapters.integrity.configs import is_config, loosened
from chargehand.adapters.integrity.outline import Mark, Outline
from chargehand.adapters.integrity.python_tests import exits_at_import, python_outline
from chargehand.adapters.integrity.word_tests import word_outline
from chargehand.adapters.text import clean_text
from chargehand.domain.test_changes import TestChange, TestChangeKind, is_test

__all__ = ["ENDS", "FILE_BYTES", "Changed", "find_test_changes", "judges", "may_be_imported"]

FILE_BYTES = 512 * 1024
_PARSED_CHARS = 256 * 1024
_SCRIPTS = frozenset({".js", ".jsx", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx"})
ENDS = re.compile(rb"(?i)exit")
"""Code without this ends nothing."""

_MOST = 200
_DETAIL = 200
_RUN_DIRECTLY = frozenset({"bin", "scripts", "script", "tools", "examples", "example", "bench", "benchmarks", "docs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A changed file: its text before and after, None where there is none, or where it is too large or no text.

    `unread`: there was no room left for it.
    """

    path: str
    old: str | None = None
    new: str | None = None
    existed: bool = False
    exists: bool = False
    unread: bool = False


def judges(path: str) -> bool:
    """Whether a file of this name is a test, or says how tests are judged."""
    return is_test(path) or is_config(path)


def may_be_imported(path: str) -> bool:
    """Whether tests may import it, as a module: what is run by itself may well end with success."""
    *folders, name = path.split("/")
    stem, _, suffix = name.rpartition(".")
    if f".{suffix}" not in _SCRIPTS | {".py"} or stem in {"__main__", "setup", "manage"} or "config" in stem:
        return False
    return _RUN_DIRECTLY.isdisjoint(folders)


def find_test_changes(files: Iterable[Changed]) -> tuple[TestChange, ...]:
    """What a change does to the tests that judge it, by path and line, at most 200."""
    changed = sorted((file for file in files if file.existed or file.exists), key=lambda file: file.path)
    tests = [file for file in changed if is_test(file.path)]
    found = {*_of_files(tests), *_of_tests(tests)}
    configs = [file for file in changed if is_config(file.path)]
    for file in configs:
        found.update(one for one in loosened(file.path, file.old, file.new) if not _moved(one, file, configs))
    for file in changed:
        if not is_config(file.path) and not is_test(file.path) and may_be_imported(file.path):
            found.update(_of_product(file))
    ordered = sorted(found, key=lambda change: (change.path, change.line, change.kind, change.detail))
    return tuple(_shown(change) for change in ordered[:_MOST])


def _moved(change: TestChange, file: Changed, configs: list[Changed]) -> bool:
    """Whether what is gone from one file of configuration came up in another one."""
    key, _, how = change.detail.partition(": ")
    name = key.rpartition(".")[2]
    if not how.startswith(("is gone", "switched off")):
        return False
    others = [other for other in configs if other is not file and other.new is not None]
    return any(name in (other.new or "") and name not in (other.old or "") for other in others)


def _shown(change: TestChange) -> TestChange:
    detail = clean_text(change.detail).replace("\n", " ")[:_DETAIL]
    return TestChange(path=change.path, kind=change.kind, detail=detail, line=change.line)


def _of_files(tests: list[Changed]) -> Iterator[TestChange]:
    """Files that were there before, and are others now; a file that only moved is none of them."""
    added = {file.new for file in tests if file.exists and not file.existed and file.new is not None}
    for file in tests:
        if file.existed and file.exists:
            if file.old != file.new or file.old is None:
                yield TestChange(path=file.path, kind=TestChangeKind.MODIFIED)
            if _hidden(file):
                text = "it can no longer be read: larger than 512 KiB, or no text"
                text = "it was not compared: too much of tests changed at once" if file.unread else text
                yield TestChange(path=file.path, kind=TestChangeKind.WEAKENED, detail=text)
        elif file.existed and (file.old is None or file.old not in added):
            outline = _outline(file.path, file.old or "")
            if outline is None or file.old is None:
                yield TestChange(path=file.path, kind=TestChangeKind.DELETED, detail="the file")
            else:
                yield TestChange(path=file.path, kind=TestChangeKind.MODIFIED, detail="the file is gone")


def _hidden(file: Changed) -> bool:
    """Whether a test that could be read has become one that cannot."""
    return file.exists and file.new is None and (file.old is not None or (file.unread and file.existed))


def _of_tests(tests: list[Changed]) -> Iterator[TestChange]:
    before: dict[str, Outline] = {}
    after: dict[str, Outline] = {}
    for file in (file for file in tests if not _hidden(file)):
        old, new = _pair(file)
        if old is not None:
            before[file.path] = old
        if new is not None:
            after[file.path] = _collected(file.path, new)
    yield from compare(before, after)


def _collected(path: str, outline: Outline) -> Outline:
    """A file of Python tests counts by its name: a runner does not look into another one."""
    name = PurePosixPath(path).name
    if not name.endswith(".py") or name.startswith("test") or name.endswith("_test.py"):
        return outline
    return Outline(
        helpers={**outline.helpers, **outline.cases},
        exits=outline.exits,
        hooks=outline.hooks,
        rewrites=outline.rewrites,
        modules=outline.modules,
        names=outline.names,
        marks=outline.marks,
        mocks=outline.mocks,
    )


def _pair(file: Changed) -> tuple[Outline | None, Outline | None]:
    """Both sides, read in the same way: by syntax where both parse, else by words."""
    old = None if file.old is None else _outline(file.path, file.old)
    new = None if file.new is None else _outline(file.path, file.new)
    if (file.old is not None and old is None) or (file.new is not None and new is None):
        old = None if file.old is None else word_outline(file.path, file.old)
        new = None if file.new is None else word_outline(file.path, file.new)
    return (_collected(file.path, old) if old is not None else None), new


def _outline(path: str, text: str) -> Outline | None:
    suffix = PurePosixPath(path).suffix
    if len(text) > _PARSED_CHARS:
        return word_outline(path, text)
    try:
        if suffix in {".py", ".pyi"}:
            return python_outline(path, text)
        if suffix in _SCRIPTS:
            from chargehand.adapters.integrity.script_tests import script_outline

            return script_outline(path, text)
    except (RecursionError, MemoryError, TimeoutError):
        return None
    return word_outline(path, text)


def _of_product(file: Changed) -> Iterator[TestChange]:
    """Code that tests import, and that ends the runner when they do."""
    new, old = file.new or "", file.old or ""
    if not ENDS.search(new.encode("utf-8", "replace")) or new.startswith("#!") or len(new) > _PARSED_CHARS:
        return
    known = {mark.text for mark in _exits(file.path, old)}
    for mark in _exits(file.path, new):
        if mark.text not in known:
            detail = f"{mark.text} as soon as it is imported"
            yield TestChange(path=file.path, kind=TestChangeKind.EXITS, detail=detail, line=mark.line)


def _exits(path: str, text: str) -> tuple[Mark, ...]:
    try:
        if path.endswith(".py"):
            return exits_at_import(path, text)
        from chargehand.adapters.integrity.script_tests import script_exits_at_import

        return script_exits_at_import(path, text)
    except (RecursionError, MemoryError, TimeoutError):
        return ()

"""Test ids of a tree, kept in a file beside the log, and what two trees have otherwise (SPEC 3.1, 3.7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from chargehand.adapters.folders import read_regular, relative_parts
from chargehand.adapters.git.owned import write_atomically
from chargehand.adapters.junit import TestIds

__all__ = ["read_ids", "redacted_ids", "vanished_tests", "write_ids"]

_FORMAT = "chargehand-test-ids/1"
_BYTES = 64 * 1024 * 1024


def write_ids(file: Path, ids: TestIds) -> None:
    """Write the ids, each kind sorted."""
    document = {"format": _FORMAT, **{kind.name: list(getattr(ids, kind.name)) for kind in fields(ids)}}
    write_atomically(file, json.dumps(document, indent=0).encode("ascii") + b"\n")


def read_ids(folder: Path, name: str) -> TestIds | None:
    """The ids in the file `name` below the run's folder; None when there is no such file, or another one."""
    try:
        data = read_regular(folder.joinpath(*relative_parts(name)), _BYTES)
        document = json.loads(data or b"")
        if document["format"] != _FORMAT:
            return None
        return TestIds(**{kind.name: tuple(map(str, document[kind.name])) for kind in fields(TestIds)})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def redacted_ids(ids: TestIds, text: Callable[[str], str]) -> TestIds:
    """The ids without secrets."""
    changed = {kind.name: tuple(map(text, getattr(ids, kind.name))) for kind in fields(ids)}
    return (
        ids if all(changed[kind.name] == getattr(ids, kind.name) for kind in fields(ids)) else replace(ids, **changed)
    )


def vanished_tests(before: TestIds, now: TestIds | None) -> tuple[str, ...]:
    """Tests that passed before and now neither passed nor failed: they are gone, or skipped."""
    ran = set() if now is None else {*now.passed, *now.failed}
    return tuple(sorted(set(before.passed) - ran))

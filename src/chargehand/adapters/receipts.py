"""Receipts where they lie: in files of the run's folder and as lines of git notes; and what the journal says of them.

A note holds one receipt a line, for several runs may end on the same commit, and so that git can merge notes that were
fetched from elsewhere (`cat_sort_uniq`). A line belongs to what its own words say: run, kind and task.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from chargehand.adapters.folders import read_regular
from chargehand.adapters.gating.ids import read_ids
from chargehand.adapters.git.owned import write_atomically
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import RunReplanned, RunStarted
from chargehand.domain.receipt import Entry, ReceiptBook, canonical
from chargehand.domain.state import IllegalTransition

__all__ = ["FOLDER", "RUN_FILE", "Line", "Reading", "ReceiptFiles", "ids_in", "lines_of", "merged", "read_book"]

FOLDER = "receipts"
"""The folder of the files, below the run's."""

RUN_FILE = "run.json"
_BYTES = 64 * 1024 * 1024


# -- files ----------------------------------------------------------------------------------------


def file_name(task: str) -> str:
    """The file of a task's receipt; the empty id is that of the run, and no id begins with a plus."""
    if not task:
        return RUN_FILE
    return f"+{task}.json" if f"{task}.json".lower() == RUN_FILE else f"{task}.json"


@dataclass(frozen=True, slots=True)
class ReceiptFiles:
    """The files of one run. Only a file that is not there is made; `replace` is for one known to be outdated."""

    folder: Path

    def read(self, task: str) -> str | None:
        """What the file of a task (or, for the empty id, of the run) holds; None when there is none.

        What lies in its place and is no text of ours reads as an empty one.
        """
        path = self.folder / file_name(task)
        data = read_regular(path, _BYTES)
        if data is None:
            return "" if os.path.lexists(path) else None
        return data.decode("utf-8", "replace")

    def ids(self) -> dict[str, tuple[str, ...]]:
        """The test ids that the files tell of, by the file they were taken from: gates may have been cleaned up."""
        found: dict[str, tuple[str, ...]] = {}
        for path in sorted(self.folder.glob("*.json")):
            found |= ids_in(read_regular(path, _BYTES) or b"")
        return found

    def write(self, task: str, text: str) -> None:
        """Replace a file in one step. AdapterError when it cannot be written."""
        path = self.folder / file_name(task)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text.encode("ascii"))
        except OSError as error:
            raise AdapterError("receipts", f"{path} cannot be written: {error.strerror or error}.") from error


def ids_in(text: bytes | str) -> dict[str, tuple[str, ...]]:
    """The test ids that a receipt tells of, by the file they were taken from; too many stand in none."""
    return {file: ids for row in _rows(text) for file, ids in _listed(row).items()}


def _rows(text: bytes | str) -> list[Any]:
    """The gates with tests of a receipt, whatever it is that lies there."""
    try:
        body: Any = json.loads(text)
        return [row for row in (*body["gates"], *body.get("verify", ())) if row["tests"]]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return []


def _listed(row: Any) -> dict[str, tuple[str, ...]]:
    try:
        lists = [each for each in (row["tests"]["before"], row["tests"]["after"]) if each and each["ids"] is not None]
        return {str(each["file"]): tuple(map(str, each["ids"])) for each in lists}
    except (TypeError, LookupError):
        return {}


# -- notes ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a note; `run` is empty for what is no receipt, `task` for the receipt of a run."""

    text: str
    run: str = ""
    task: str = ""
    seq: int = 0


def lines_of(note: str) -> list[Line]:
    """The lines of a note, each with its line break; whatever they hold, every one is kept."""
    return [_line(f"{text}\n") for text in note.split("\n") if text]


def _line(text: str) -> Line:
    try:
        body: Any = json.loads(text)
        run, seq = body["run"], body["journal"]["seq"]
        task = body["task"]["id"] if body["kind"] == "task" else ""
    except (ValueError, TypeError, LookupError, RecursionError):
        return Line(text=text)
    if type(run) is not str or type(task) is not str or type(seq) is not int:
        return Line(text=text)
    return Line(text=text, run=run, task=task, seq=seq)


def merged(note: str, run: str, wanted: dict[str, str], outdated: Collection[str]) -> str:
    """A note that holds what is `wanted` of a run, by task, and is otherwise as before.

    A line that says something else of the same task stays: it may be all that is left of the truth, and `verify` tells
    of it. Those of `outdated`, word by word what an earlier state of the same journal said, go.
    """
    kept = [line for line in lines_of(note) if line.text not in outdated]
    there = {line.task for line in kept if line.run == run}
    missing = [text for task, text in wanted.items() if task not in there]
    return "".join([*(line.text for line in kept), *missing])


# -- the journal ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a journal says: `runs` are the receipts of the run as it was at some events, by their number.

    `chains` has the hash at every event. `broken_at` is the first event that is missing or not as it was written, and
    `problem` says so; the book ends before it. The book is None where not even the first event can be read.
    """

    book: ReceiptBook | None
    runs: dict[int, str]
    chains: list[str]
    broken_at: int | None = None
    problem: str = ""

    @property
    def seq(self) -> int:
        """The number of the last event that was read."""
        return len(self.chains)


def read_book(folder: Path, at: Collection[int] = ()) -> Reading:
    """Read the journal in a run's folder from its first event, and remember what a run's receipt was `at` some.

    UserError where there is none, or where a newer release wrote it.
    """

    stored = cache(ReceiptFiles(folder / FOLDER).ids)

    @lru_cache(maxsize=64)
    def tests(name: str) -> tuple[str, ...] | None:
        ids = read_ids(folder, name)
        return stored().get(name) if ids is None else tuple(sorted({*ids.passed, *ids.failed}))

    book, runs, chains = ReceiptBook(tests), dict[int, str](), list[str]()
    broken_at, problem = None, ""
    try:
        for entry in _entries(folder / "journal.db"):
            book.take(entry)
            chains.append(entry.chain)
            if entry.recorded.seq in at:
                runs[entry.recorded.seq] = book.of_run().text
    except AdapterError as error:
        broken_at, problem = len(chains) + 1, error.message
    except (IllegalTransition, AssertionError, LookupError) as error:  # linked to the one before, and yet no history
        broken_at = len(chains) + 1
        problem = f"Event {broken_at} cannot have followed those before it ({type(error).__name__})."
    return Reading(book=book if chains else None, runs=runs, chains=chains, broken_at=broken_at, problem=problem)


def _entries(path: Path) -> Iterator[Entry]:
    with SqliteJournal.open(path, readonly=True) as journal:
        for recorded, body, chain in journal.read_linked():
            brings_plan = isinstance(recorded.event, RunStarted | RunReplanned)
            yield Entry(recorded=recorded, chain=chain, plan_sha256=_plan_sha256(body) if brings_plan else "")


def _plan_sha256(body: str) -> str:
    """The hash of a plan as it was stored: a later release may know more of plans, what was stored stays."""
    return sha256(canonical(json.loads(body)["data"]["plan"]).encode("ascii")).hexdigest()

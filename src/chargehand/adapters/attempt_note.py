"""What is written down about an attempt in its folder, so that another process can tell how far it had come (SPEC 8).

The note belongs to one launch, which its key names: a note with another key counts for nothing. Once an attempt has
come to its end it holds the result, in the codec of the journal, from before anybody is told until the result is in the
journal; after that nobody asks for it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from chargehand.adapters.codec import EVENTS, from_data, to_data
from chargehand.adapters.folders import read_regular, safe_name
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import AttemptFinished
from chargehand.domain.outcome import AttemptResult, ExitKind

__all__ = ["AttemptNote", "Stage", "attempt_folder", "ended_by_itself", "read_note", "result_of", "write_note"]

FILE = "attempt.json"
_MOST_BYTES = 64 * 1024 * 1024


class Stage(StrEnum):
    """How far an attempt has come."""

    PREPARING = "preparing"  # it has a workspace; its agent was not started
    RUNNING = "running"  # its agent was started, or was just about to be
    ENDED = "ended"  # sealed, and the report is read


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptNote:
    """`slot` is the workspace it works in, `ref` where it is sealed; `event` holds the result of one that has ended.

    `looks`: nothing is sealed, and the result is all there is of it.
    """

    key: str
    run: str
    base: str
    ref: str
    slot: str
    stage: Stage
    event: str = ""
    looks: bool = False

    def ended(self, finished: AttemptFinished) -> AttemptNote:
        """The note once the attempt has come to its end."""
        return replace(self, stage=Stage.ENDED, event=EVENTS.encode(finished))


def attempt_folder(key: str) -> str:
    """Where the files of an attempt lie below the run's folder, by its key: task, attempt, step (`domain.ids`)."""
    task, _, rest = key.partition("/")
    return f"attempts/{safe_name(task)}/{safe_name(rest.partition('/')[0])}"


def write_note(run_folder: Path, note: AttemptNote) -> None:
    """Replace the note in one step; one that holds a result is on the disk when this returns.

    OSError when it cannot be written.
    """
    folder = run_folder / attempt_folder(note.key)
    path, aside = folder / FILE, folder / f".{FILE}.{os.getpid()}"
    is_final = note.stage is Stage.ENDED
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with aside.open("w", encoding="ascii") as file:
            json.dump(to_data(note), file)
            file.flush()
            if is_final:
                os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        raise
    if is_final:
        entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)


def read_note(run_folder: Path, key: str) -> AttemptNote | None:
    """The note of this very launch; None when there is none that can be read."""
    data = read_regular(run_folder / attempt_folder(key) / FILE, _MOST_BYTES)
    if data is None:
        return None
    try:
        note = from_data(AttemptNote, json.loads(data))
    except (ValueError, RecursionError, AdapterError):
        return None
    return note if note.key == key else None


def result_of(note: AttemptNote) -> AttemptResult | None:
    """The result that a note holds; None for an attempt that did not end by itself, or of which nothing was sealed.

    Of one that only looked nothing ever is: its whole result is in the note.
    """
    if note.stage is not Stage.ENDED:
        return None
    try:
        finished = EVENTS.decode(note.event)
    except (AdapterError, UserError):  # damaged, or of a release to come
        return None
    if not isinstance(finished, AttemptFinished) or finished.key != note.key:
        return None
    result = finished.result
    is_whole = note.looks or (result.sealed is not None and result.sealed.base == note.base)
    return result if is_whole and ended_by_itself(result) else None


def ended_by_itself(result: AttemptResult) -> bool:
    """Whether there is anything to be judged: an attempt that was cancelled or lost is done again."""
    return result.exit.kind not in (ExitKind.CANCELLED, ExitKind.LOST)

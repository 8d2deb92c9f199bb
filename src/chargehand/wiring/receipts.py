"""Receipts are written: files of the run's folder, and notes on what landed; from the journal, and after it.

A projection, no effect: whatever of it is missing is made when the run is driven, accepted or looked at the next time,
and what is there is left. What says something else than the journal stays as it is: `wiring.verifying` tells of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.git.notes import edit_notes, read_notes
from chargehand.adapters.git.repository import Repository
from chargehand.adapters.receipts import FOLDER, Reading, ReceiptFiles, lines_of, merged, read_book
from chargehand.domain.errors import ChargehandError
from chargehand.domain.receipt import Receipt

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Shelf", "Written", "open_shelf", "project", "write_receipts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was made that was not there: ids of tasks (the empty one: the run), and how many notes changed."""

    files: tuple[str, ...] = ()
    notes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The receipts of one run: what the journal says, and what lies in files and notes.

    `wanted` is what belongs on which commit, by task. `notes` are those of all commits that are concerned, and `known`
    the commits that exist. `outdated` are receipts of the run as it was when they were written, word by word.
    """

    run: str
    folder: Path
    reading: Reading
    files: ReceiptFiles
    notes: dict[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    outdated: frozenset[str] = frozenset()

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """That of every landed task, and that of the run as the last one; none where nothing can be read."""
        book = self.reading.book
        return () if book is None else (*book.tasks.values(), book.of_run())

    def wanted(self, receipts: Collection[Receipt]) -> dict[str, dict[str, str]]:
        """Which receipts belong on which commit, by task. Where nothing landed no commit is one of ours."""
        book = self.reading.book
        found: dict[str, dict[str, str]] = {}
        for receipt in receipts:
            for commit in _places(receipt, book.state.base if book else "", self._accepted()):
                if commit in self.known:
                    found.setdefault(commit, {})[receipt.task] = receipt.text
        return found

    def _accepted(self) -> str:
        book = self.reading.book
        done = book.state.accepted if book else None
        return done.commit if done else ""


def _places(receipt: Receipt, base: str, accepted: str) -> list[str]:
    if receipt.task:
        return [receipt.commit]
    landed = [] if receipt.commit == base else [receipt.commit]
    return [*landed, *([accepted] if accepted and landed and accepted != receipt.commit else [])]


async def open_shelf(shop: Workshop, run: str) -> Shelf:
    """Read everything there is of the receipts of a run; UserError where its journal cannot be opened."""
    repository = shop.repository
    folder = shop.store.folder(run)
    files = ReceiptFiles(folder / FOLDER)
    stored = files.read("") or ""
    seqs = {line.seq for line in lines_of(stored)}
    reading = await asyncio.to_thread(read_book, folder, seqs)
    notes, known = await _notes(repository, reading)
    told = {line.seq for note in notes.values() for line in lines_of(note) if line.run == run and not line.task}
    if told - seqs:
        reading = await asyncio.to_thread(read_book, folder, seqs | told)
    now = reading.book.of_run().text if reading.book else ""
    return Shelf(
        run=run,
        folder=folder,
        reading=reading,
        files=files,
        notes=notes,
        known=known,
        outdated=frozenset(text for text in reading.runs.values() if text != now),
    )


async def _notes(repository: Repository, reading: Reading) -> tuple[dict[str, str], frozenset[str]]:
    """The notes of every commit that the journal or the branch names, and which of them exist."""
    book = reading.book
    named = {receipt.commit for receipt in book.tasks.values()} if book else set()
    if book is not None:
        state = book.state
        named |= {state.head or state.base, state.accepted.commit if state.accepted else ""}
        named |= await _line(repository, state.base, state.branch)
    known = await existing(repository, named - {""})
    return await read_notes(repository, known), known


async def _line(repository: Repository, base: str, branch: str) -> set[str]:
    """What is on the integration branch beyond the base, also what the journal does not know of."""
    tip = await repository.ref(f"refs/heads/{branch}")
    if tip is None:
        return set()
    got = await repository.plumbing().run("rev-list", "--first-parent", tip, f"^{base}", ok=(0, 128))
    return set(got.stdout.decode("ascii", "replace").split()) if got.code == 0 else set()


async def existing(repository: Repository, commits: Collection[str]) -> frozenset[str]:
    """Those of the commits that are there."""
    feed = "".join(f"{commit}\n" for commit in sorted(commits)).encode("utf-8", "surrogateescape")
    got = await repository.plumbing().run("cat-file", "--batch-check", stdin=feed)
    rows = [line.split(" ") for line in got.stdout.decode("utf-8", "replace").splitlines()]
    return frozenset(row[0] for row in rows if len(row) == 3 and row[1] == "commit")


async def write_receipts(shop: Workshop, run: str, shelf: Shelf | None = None) -> Written:
    """Make the files and notes that are missing; those of tasks first, the run's own file when all others are there.

    AdapterError when something cannot be written. Nothing is written from a journal that is damaged.
    """
    shelf = shelf or await open_shelf(shop, run)
    if shelf.reading.book is None or shelf.reading.broken_at is not None:
        return Written()
    *tasks, whole = shelf.receipts
    made = await asyncio.to_thread(_write_files, shelf, tasks)
    wanted = shelf.wanted([*tasks, whole])
    commits = [commit for commit in shelf.known if _differs(shelf, wanted, commit)]

    def edit(commit: str, note: str) -> str:
        return merged(note, run, wanted.get(commit, {}), shelf.outdated)

    notes = await edit_notes(shop.repository, commits, edit, why=f"chargehand: receipts of {run}") if commits else 0
    stored = shelf.files.read("")
    if stored is None or stored in shelf.outdated:
        shelf.files.write("", whole.text)
        made.append("")
    return Written(files=tuple(made), notes=notes)


def _differs(shelf: Shelf, wanted: dict[str, dict[str, str]], commit: str) -> bool:
    note = shelf.notes.get(commit, "")
    return merged(note, shelf.run, wanted.get(commit, {}), shelf.outdated) != note


def _write_files(shelf: Shelf, receipts: Collection[Receipt]) -> list[str]:
    made = []
    for receipt in receipts:
        if shelf.files.read(receipt.task) is None:
            shelf.files.write(receipt.task, receipt.text)
            made.append(receipt.task)
    return made


async def project(shop: Workshop, run: str, tell: Callable[[str], None] | None = None) -> None:
    """Bring the receipts of a run up to date; what stands in the way fails no run, and is told."""
    try:
        await write_receipts(shop, run)
    except (ChargehandError, OSError) as error:
        if tell is not None:
            tell(f"the receipts could not be written; the next resume tries again. {error}")

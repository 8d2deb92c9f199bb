"""How a projection writes files that people may edit, too: theirs is found, kept, and asked about (SPEC 11)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from hashlib import sha256
from pathlib import Path

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import Recorded
from chargehand.domain.hand_edits import Told, differences
from chargehand.domain.state import RunState
from chargehand.domain.words import HandEdit, TaskWord
from chargehand.ports import Projection
from chargehand.profiles.drafts import Draft, Drafts
from chargehand.profiles.ledger import Ledger, Written
from chargehand.profiles.writing import write_atomically

__all__ = ["Own", "Pen", "Reader", "Watched"]

Reader = Callable[[str, str, Collection[str]], Mapping[str, Told] | None]
"""(path in the work tree, text, tasks of the run) -> what the file says of each task; None for other files.

Pure; ValueError for a text that is nothing its system could read.
"""

_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What the run has of a file that somebody edited: its own `text`, and the tasks of which `theirs` counts.

    `is_current`: it was drawn on what the file holds now; else somebody edited it once more.
    """

    text: str
    is_current: bool
    theirs: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Pen:
    """Writes files below `root`, and knows in the run's `folder` what it wrote; `read` says what they tell of tasks.

    A file that somebody made say something else is left alone until the run's question about it is answered; what it
    held is kept in the folder, whatever the answer. Where nobody can be asked any more, `overrules` writes it anew.
    """

    root: Path
    folder: Path
    read: Reader
    ledger: Ledger = field(init=False)
    drafts: Drafts = field(init=False)
    overrules: bool = False
    _state: RunState | None = None
    _found: dict[str, HandEdit] = field(default_factory=dict)
    _fresh: list[HandEdit] = field(default_factory=list)
    _held: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.ledger, self.drafts = Ledger(folder=self.folder), Drafts(folder=self.folder)
        self.ledger.load()

    def follow(self, state: RunState) -> bool:
        """The run as it is now; whether files were given free by that."""
        self._state = state
        asked = {edit.file for decision in state.decisions.values() for edit in decision.edits}
        self._found = {file: edit for file, edit in self._found.items() if file not in asked}
        before, self._held = self._held, frozenset({*asked, *self._found})
        return bool(before - self._held)

    def look(self) -> None:
        """Look at every file that was written before, whether it is due to be written or not."""
        for file in list(self.ledger.files):
            self._is_theirs(file, _bytes(self.root / file))

    def edits(self) -> tuple[HandEdit, ...]:
        """What was found since the last call."""
        fresh, self._fresh = tuple(self._fresh), []
        return fresh

    def words(self, path: Path) -> Mapping[str, Told]:
        """What the run wrote of each task to a file that somebody edited; empty where what it holds counts."""
        file, there = path.relative_to(self.root).as_posix(), _bytes(path)
        last = self.ledger.files.get(file)
        if last is None or there is None or _digest(there) in {last.digest, last.before}:
            return {}
        return {} if self._answer(file, last, there) == "file" else last.told

    def own(self, path: Path) -> Own | None:
        """What to draw on in the place of a file that somebody edited; None where the file is the run's."""
        file, there = path.relative_to(self.root).as_posix(), _bytes(path)
        last, draft = self.ledger.files.get(file), self.drafts.get(file)
        if last is None or there is None or draft is None or draft.text is None:
            return None
        if draft.over != last.digest and _digest(there) != last.before:
            return None  # written since, by a process that had no time to put it away
        theirs = frozenset[str]()
        if self._state is not None and self._state.edited.get(file) == (draft.asked, "file"):
            told = self._told(file, there)
            theirs = frozenset(task for task in told if told[task] != draft.ours.get(task))
        return Own(text=draft.text, is_current=draft.base == _digest(there), theirs=theirs)

    def write(self, path: Path, text: str, *, whole: bool = False) -> None:
        """As `write_atomically`; with `whole`, the text was not made from what the file holds: lines added stay."""
        file = path.relative_to(self.root).as_posix()
        told = self.read(file, text, self._tasks())
        if told is None:
            write_atomically(path, text, self.root)
            return
        there = _bytes(path)
        if self._is_theirs(file, there):
            if not whole:
                self.drafts.draw(file, _digest(there), text)
            return
        last = self.ledger.files.get(file)
        ours = text if whole else ""
        if whole and last is not None and there is not None:
            if last.text == text and last.before is None and self._said(file, there) == told:
                return  # what is in it besides is somebody's, and says nothing else
            text = self._with_additions(file, last, there, text)
        data = text.encode("utf-8", "surrogateescape")
        if there == data and last is not None and last.digest == _digest(data) and last.before is None:
            return
        settled = last is not None and last.before is None and last.digest == _digest(there)
        written = Written(
            digest=_digest(data),
            told=told,
            text=ours,
            before=_digest(there),
            told_before=last.told if last is not None and settled else self._said(file, there),
            text_before=last.text if last is not None else "",
            over=self._over(file, last, there),
        )
        self.ledger.intend(file, written)
        write_atomically(path, text, self.root)
        self.ledger.done(file)
        self.drafts.drop(file)

    def note(self, path: Path) -> None:
        """Nothing is written there yet: what it holds now, or that it is not there, is nobody's edit of this run."""
        file = path.relative_to(self.root).as_posix()
        if file in self.ledger.files or self.read(file, "", self._tasks()) is None:
            return
        there = _bytes(path)
        self.ledger.intend(file, Written(digest=_digest(there), told=self._said(file, there)))

    # -- what others wrote ------------------------------------------------------------------------

    def _is_theirs(self, file: str, there: bytes | None) -> bool:
        """Whether somebody edited the file so that it has to be asked about, or is asked about, before it is written.

        A file that is gone is made anew.
        """
        if file in self._held:
            return not self.overrules
        last = self.ledger.files.get(file)
        if last is None or there is None or _digest(there) in {last.digest, last.before}:
            return False
        state = self._state
        if state is None or self._answer(file, last, there):
            return False
        words = differences(state, self._told(file, there), last.told, last.told_before)
        kept = self._keep(file, there) if words or last.text else ""
        if not words or self.overrules:
            return False
        self._find(file, there, words, kept)
        return True

    def _answer(self, file: str, last: Written | None, there: bytes | None) -> str:
        """What was answered about just this edit, or one that says the same; empty where nothing was, or it is over."""
        digest, choice = self._state.edited.get(file, ("", "")) if self._state is not None else ("", "")
        if not choice or there is None or (last is not None and last.over == digest):
            return ""
        draft = self.drafts.get(file)
        says_so = draft is not None and draft.asked == digest and self._told(file, there) == draft.told
        return choice if digest == _digest(there) or says_so else ""

    def _over(self, file: str, last: Written | None, there: bytes | None) -> str:
        """The edit that was answered and is written over now, or the last one."""
        if self._state is not None and self._answer(file, last, there):
            return self._state.edited[file][0]
        return last.over if last is not None else ""

    def _find(self, file: str, there: bytes, words: tuple[TaskWord, ...], kept: str) -> None:
        last, draft = self.ledger.files[file], self.drafts.get(file)
        drawn = draft if draft is not None and draft.over == last.digest else None
        self.drafts.put(
            file,
            Draft(
                over=last.digest,
                asked=_digest(there),
                told=self._told(file, there),
                ours=last.told,
                base=drawn.base if drawn is not None else "",
                text=drawn.text if drawn is not None else None,
            ),
        )
        self._found[file] = HandEdit(file=file, digest=_digest(there), kept=kept, words=words)
        self._fresh.append(self._found[file])
        self._held |= {file}

    def _told(self, file: str, there: bytes) -> Mapping[str, Told]:
        try:
            return self.read(file, there.decode("utf-8", "surrogateescape"), self._tasks()) or {}
        except (ValueError, AdapterError, RecursionError) as error:
            reason = error.message if isinstance(error, AdapterError) else error
            text = f"{self.root / file} cannot be brought up to date: it was edited, and cannot be read now ({reason})."
            raise AdapterError("projection", f"{text} Put it back, and go on with `chargehand resume`.") from error

    def _said(self, file: str, there: bytes | None) -> Mapping[str, Told]:
        return self._told(file, there) if there is not None else {}

    def _keep(self, file: str, there: bytes) -> str:
        """Put a copy into the run's folder, and answer with where it lies."""
        folder = self.folder / "edited"
        path = folder / f"{_digest(there)[:12]}-{Path(file).name}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AdapterError("projection", f"{folder} cannot be made: {error.strerror}.") from error
        write_atomically(path, there.decode("utf-8", "surrogateescape"), self.folder)
        return str(path)

    def _with_additions(self, file: str, last: Written, there: bytes, text: str) -> str:
        """The text with the lines somebody added to the one before; without them where they would say more."""
        base = last.text_before if last.text_before is not None and _digest(there) == last.before else last.text
        if not base:
            return text  # the input of the run, not a text of ours with lines of somebody in it
        theirs = there.decode("utf-8", "surrogateescape")
        merged = with_additions(base, theirs, text)
        try:
            same = self.read(file, merged, self._tasks()) == self.read(file, text, self._tasks())
        except (ValueError, AdapterError):
            same = False
        return merged if same else text

    def _tasks(self) -> Collection[str]:
        return self._state.tasks.keys() if self._state is not None else ()


def with_additions(base: str, theirs: str, text: str) -> str:
    """The text with the lines that `theirs` has more than `base`, each after the line it followed, else at the end."""
    ours, added = base.splitlines(), theirs.splitlines()
    lines = text.splitlines()
    for kind, start, _, begin, end in SequenceMatcher(None, ours, added, autojunk=False).get_opcodes():
        if kind != "insert":
            continue
        anchor = ours[start - 1] if start else None
        at = lines.index(anchor) + 1 if anchor is not None and lines.count(anchor) == 1 else len(lines)
        lines[at:at] = added[begin:end]
    return "\n".join(lines) + "\n"


@dataclass(slots=True, kw_only=True)
class Watched(Projection):
    """A projection whose files people edit: `inner` draws them with `pen`."""

    inner: Projection
    pen: Pen

    def begin(self, state: RunState) -> None:
        """Look for edits first, and leave alone what has to be asked about."""
        self.pen.follow(state)
        self.pen.look()
        self.inner.begin(state)

    def take(self, recorded: Recorded, state: RunState) -> None:
        """Follow one event; when it gives files free, those are drawn anew."""
        if self.pen.follow(state):
            self.inner.begin(state)
        self.inner.take(recorded, state)

    def accepted(self, state: RunState, commit: str) -> None:
        """Nobody is asked any more: an edit is kept in the run's folder, and the file written."""
        self.pen.overrules = True
        self.pen.follow(state)
        self.inner.accepted(state, commit)

    def edits(self) -> tuple[HandEdit, ...]:
        """What the pen found."""
        return self.pen.edits()


def _bytes(path: Path) -> bytes | None:
    """What a file holds; None where there is none, or no regular one."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None


def _digest(data: bytes | None) -> str:
    return sha256(data).hexdigest() if data is not None else ""

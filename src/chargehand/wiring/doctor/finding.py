"""What `doctor` finds, and what can be done about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chargehand.domain.errors import AdapterError, ChargehandError, RunLocked

__all__ = ["Finding", "Mended", "Repair", "ages", "listed", "many", "mend", "words_of"]

_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What `doctor --repair` would do: `text` in the imperative, without a period.

    `act` does it and answers in a sentence what came of it; it looks again before it changes anything, for the world
    may have gone on since the finding. `removes` tells that something is removed or overwritten: that needs a yes.
    """

    text: str
    act: Callable[[], Awaitable[str]]
    removes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: `ok` True, False (something is wrong), or None (nothing is, with a remark).

    `area` groups findings; `hint` is the next step, with the exact command.
    """

    area: str
    name: str
    ok: bool | None
    text: str
    hint: str = ""
    repair: Repair | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same finding when one looks again."""
        return self.area, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What came of a repair; not `done`: `text` says why."""

    finding: Finding
    done: bool
    text: str


async def mend(finding: Finding) -> Mended:
    """Carry the repair of a finding out; what the world refuses is told, not raised."""
    assert finding.repair is not None
    try:
        return Mended(finding=finding, done=True, text=await finding.repair.act())
    except RunLocked as error:
        return Mended(finding=finding, done=False, text=f"{error} It was left alone.")
    except (ChargehandError, OSError) as error:
        return Mended(finding=finding, done=False, text=words_of(error))


def words_of(error: ChargehandError | OSError) -> str:
    """An error as a sentence."""
    text = error.message if isinstance(error, AdapterError) else str(error)
    return text if text.endswith(".") else f"{text}."


def many(number: int, noun: str) -> str:
    """A number with its noun: `1 ref`, `2 refs`, `2 processes`."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def listed(names: Sequence[str | Path]) -> str:
    """The first few of many names."""
    more = len(names) - _SHOWN
    return ", ".join(map(str, names[:_SHOWN])) + (f", and {more} more" if more > 0 else "")


def ages(folder: Path, pattern: str, now: float) -> Iterator[tuple[Path, float]]:
    """What matches below a folder, and how many seconds ago it was last changed."""
    for path in sorted(folder.glob(pattern)) if folder.is_dir() else ():
        try:
            yield path, now - path.lstat().st_mtime
        except FileNotFoundError:
            continue  # gone meanwhile: nothing to tell

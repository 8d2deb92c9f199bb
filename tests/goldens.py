"""The recorded journals under tests/golden, one folder per release; tools/record_golden.py adds the next."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from chargehand.adapters.codec import EVENTS
from chargehand.domain.events import Recorded

__all__ = ["GOLDEN", "Line", "databases", "is_part", "journals", "lines", "recorded", "releases", "status"]

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True, slots=True)
class Line:
    """An event as it was stored: `body` letter by letter."""

    seq: int
    at: float
    chain: str
    body: str

    @property
    def envelope(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def link(self, before: str) -> str:
        """What its chain has to be, after the chain of the event before."""
        return sha256(f"{before}\n{self.seq}\n{self.at!r}\n{self.body}".encode()).hexdigest()


def releases() -> list[Path]:
    """The folders of the releases."""
    return sorted(path for path in GOLDEN.iterdir() if (path / "values.jsonl").is_file())


def journals() -> list[Path]:
    """The folder of every recorded run."""
    return sorted(path.parent for path in GOLDEN.glob("*/*/journal.jsonl"))


def databases() -> list[Path]:
    """The journals that were kept as the very file."""
    return sorted(GOLDEN.glob("*/*/journal.db"))


def lines(folder: Path) -> list[Line]:
    """The events of a run as they were stored."""
    found = []
    for text in (folder / "journal.jsonl").read_text("ascii").splitlines()[1:]:
        head, _, body = text.partition(',"body":')
        found.append(Line(**json.loads(head + "}"), body=body[:-1]))
    return found


def recorded(folder: Path) -> list[Recorded]:
    """The events of a run as this release reads them."""
    return [Recorded(seq=line.seq, at=line.at, event=EVENTS.decode(line.body)) for line in lines(folder)]


def status(folder: Path) -> dict[str, Any]:
    """What `status --json` of that release printed of a run."""
    found: dict[str, Any] = json.loads((folder / "status.json").read_text("utf-8"))
    return found


def is_part(old: Any, new: Any, place: str = "") -> list[str]:
    """Where `new` says something else than `old` did; what it says beyond is free."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone = [f"{place}.{key} is gone" for key in old if key not in new]
        return gone + [text for key in old if key in new for text in is_part(old[key], new[key], f"{place}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [text for index, (one, two) in pairs for text in is_part(one, two, f"{place}[{index}]")]
    return [] if old == new and type(old) is type(new) else [f"{place}: {old!r} is now {new!r}"]

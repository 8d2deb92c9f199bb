"""The state of a run beside its journal, in one file that may be lost at any time (SPEC 8).

The first line says what the rest is: the version of the code that folded it, the number of the last event in it, the
journal's hash chain up to there, and a checksum of the rest. Whatever does not fit is not read, and the journal is
folded instead. The file is not synced: one that the loss of power leaves in pieces fails its checksum.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from chargehand import __version__, domain
from chargehand.adapters import tables
from chargehand.adapters.folders import open_regular
from chargehand.domain.errors import ChargehandError
from chargehand.domain.state import RunState

__all__ = ["FileSnapshots", "version"]

_HEAD_BYTES = 4096
_DAMAGE = (OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)

ChainAt = Callable[[int], str | None]
"""The journal's hash chain at the event of that number; None when there is no such event."""


@dataclass(frozen=True, slots=True)
class FileSnapshots:
    """Implements `ports.Snapshots` in one file; only the holder of the run saves."""

    path: Path
    chain_at: ChainAt

    def load(self) -> RunState | None:
        """The state in the file, or None when there is none that this version can go on from."""
        try:
            with os.fdopen(open_regular(self.path), "rb") as file:
                head = json.loads(file.readline(_HEAD_BYTES))
                if head["version"] != version() or self.chain_at(head["seq"]) != head["chain"]:
                    return None
                body = file.read()
            if sha256(body).hexdigest() != head["sha256"]:
                return None
            with _no_collecting():
                state = tables.unpack(RunState, json.loads(body))
            return state if state.seq == head["seq"] else None
        except (*_DAMAGE, ChargehandError):
            return None

    def save(self, state: RunState) -> None:
        """Put the state in the place of the one before; what stands in the way of that is no error."""
        aside = self.path.with_suffix(".new")
        try:
            chain = self.chain_at(state.seq)
            if chain is None:
                return
            with _no_collecting():
                body = json.dumps(tables.pack(state), separators=(",", ":")).encode("ascii")
            head = {"version": version(), "seq": state.seq, "chain": chain, "sha256": sha256(body).hexdigest()}
            _write(aside, json.dumps(head).encode("ascii") + b"\n" + body)
            aside.replace(self.path)
        except (*_DAMAGE, ChargehandError):
            with suppress(OSError):
                aside.unlink()


def _write(path: Path, content: bytes) -> None:
    """A file that its owner only may read, like the journal."""
    with os.fdopen(open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
        file.write(content)


@cache
def version() -> str:
    """Says which code folds and stores a state: equal versions read each other's snapshots.

    A hash of the shape of the state and of the sources that make it, so that nobody can forget to raise it.
    """
    digest = sha256(f"{__version__} {tables.fingerprint(RunState)}".encode())
    for source in (Path(tables.__file__), *sorted(Path(domain.__file__).parent.glob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Hundreds of thousands of new values of which none is garbage: looking for some would take half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

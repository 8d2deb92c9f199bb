"""One run as the doctor sees it: what its journal says, and who holds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.codec import from_data
from chargehand.adapters.folders import read_regular
from chargehand.adapters.lock import Holder, RunLock
from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import AdapterError, ChargehandError
from chargehand.domain.events import AttemptFinished, EffectIntended, Recorded
from chargehand.domain.ids import attempt_ref
from chargehand.domain.outcome import Sealed
from chargehand.domain.state import RunState

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Case", "SealedRef", "case_of", "holding", "is_free", "last_holder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRef:
    """What an attempt sealed, and the ref that keeps it."""

    task: str
    attempt: int
    ref: str
    sealed: Sealed


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run whose journal can be read. `holder` drives it now; `last` is who the lock file names, dead or alive."""

    shop: Workshop
    run: str
    state: RunState
    holder: Holder | None
    last: Holder | None

    @property
    def area(self) -> str:
        """Where its findings stand."""
        return f"run {self.run}"

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.shop.store.folder(self.run)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state.finished is not None

    @property
    def head(self) -> str:
        """Where the journal says the branch stands."""
        return self.state.head or self.state.base

    @cached_property
    def events(self) -> list[Recorded]:
        """The whole journal; read once."""
        return self.shop.service.events(self.run)

    @cached_property
    def sealed(self) -> list[SealedRef]:
        """What every judged attempt left, in order, as far as it changed anything."""
        launches: dict[str, StartAttempt] = {}
        found = []
        for recorded in self.events:
            match recorded.event:
                case EffectIntended(effect=StartAttempt() as effect):
                    launches[effect.key] = effect
                case AttemptFinished(key=key, task=task, attempt=attempt, result=result):
                    sealed, begun = result.sealed, launches.get(key)
                    if sealed is not None and begun is not None and sealed.commit != sealed.base:
                        ref = attempt_ref(self.run, task, begun.launch)
                        found.append(SealedRef(task=task, attempt=attempt, ref=ref, sealed=sealed))
                case _:
                    pass
        return found


def case_of(shop: Workshop, run: str) -> Case:
    """Read a run; raises what `Service.look` raises."""
    lock = shop.store.folder(run) / "lock"
    state = shop.service.look(run).state
    return Case(shop=shop, run=run, state=state, holder=_holder(lock), last=last_holder(lock))


def _holder(lock: Path) -> Holder | None:
    try:
        return RunLock.look(lock)
    except ChargehandError:
        return None  # no file that could be read: nobody can be named


def is_free(shop: Workshop, run: str) -> bool:
    """Whether certainly nobody drives a run: where that cannot be told, nothing of it may be touched."""
    try:
        return shop.store.holder(run) is None
    except ChargehandError:
        return False


def last_holder(lock: Path) -> Holder | None:
    """Who the lock file names, whether alive or not; None for an empty or unreadable one."""
    try:
        return from_data(Holder, json.loads(read_regular(lock, 4096) or b""))
    except (ValueError, RecursionError, AdapterError):
        return None


@contextmanager
def holding(shop: Workshop, run: str) -> Iterator[None]:
    """Hold a run while something of it is changed; `RunLocked` when another process does."""
    lock = RunLock.acquire(shop.store.folder(run) / "lock")
    try:
        yield
    finally:
        lock.release()

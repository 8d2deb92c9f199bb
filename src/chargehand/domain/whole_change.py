"""What a change does as a whole, after an attempt or a `fix` command went on from what was sealed before. Pure.

A seal looks at the whole once more, so that what was taken back is no longer told. Some of it cannot be seen in
two trees: what is inside submodules, what was left out, what only commits on the way had. There what was told before
stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from chargehand.domain.outcome import ChangeKind, Sealed, WholeChange
from chargehand.domain.silencing import Silenced
from chargehand.domain.test_changes import TestChange

__all__ = ["gone_on"]

T = TypeVar("T")
F = TypeVar("F", TestChange, Silenced)


def gone_on(before: WholeChange, sealed: Sealed) -> WholeChange:
    """The whole change, of which `before` is what was told and `sealed` what came on top.

    Where nobody looked at the whole (in journals of before), both are told.
    """
    now = sealed.whole
    left_out = _both(before.left_out, sealed.left_out)
    if now is None:
        return WholeChange(
            changes=_both(before.changes, sealed.changes),
            placeholders=_both(before.placeholders, sealed.placeholders),
            test_changes=_both(before.test_changes, sealed.test_changes),
            silenced=_both(before.silenced, sealed.silenced),
            left_out=left_out,
        )
    past = (change for change in before.changes if change.kind is ChangeKind.HISTORY)
    inside = tuple(f"{change.path}/" for change in now.changes if change.kind is ChangeKind.SUBMODULE)
    return WholeChange(
        changes=tuple({change.path: change for change in (*past, *now.changes)}.values()),
        placeholders=now.placeholders,
        test_changes=_both(now.test_changes, _below(inside, before.test_changes)),
        silenced=_both(now.silenced, _below(inside, before.silenced)),
        left_out=left_out,
    )


def _below(folders: tuple[str, ...], found: Iterable[F]) -> Iterable[F]:
    return (each for each in found if each.path.startswith(folders))


def _both(first: Iterable[T], second: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*first, *second)))

"""Changes that `accept` left staged and nobody committed yet: a new run is built on a commit without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargehand.engine.service import UnreadableRun

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Staged", "staged_apart"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The change of a run that lies staged; `paths` are those that the index has and the new base does not."""

    run: str
    paths: tuple[str, ...]


async def staged_apart(shop: Workshop, base: str) -> Sequence[Staged]:
    """What runs left staged in the user's work tree, as far as a run from `base` is without it. Only reads."""
    if shop.repository.root is None:
        return ()
    index = ("diff-index", "--cached", "--name-only", "-z", "--no-renames")
    staged = await _paths(shop, *index, "HEAD")
    if not staged:
        return ()
    apart = staged & await _paths(shop, *index, base)
    return [each for each in await _left(shop, apart) if each.paths]


async def _left(shop: Workshop, apart: set[str]) -> list[Staged]:
    found = []
    for summary in shop.service.runs():
        if isinstance(summary, UnreadableRun):
            continue
        state = summary.state
        if state.accepted is not None and state.accepted.is_staged:
            own = await _paths(
                shop, "diff-tree", "-r", "--name-only", "-z", "--no-renames", state.base, state.accepted.commit
            )
            found.append(Staged(run=summary.run, paths=tuple(sorted(own & apart))))
    return found


async def _paths(shop: Workshop, *words: str) -> set[str]:
    """The paths git names; none where a commit is gone."""
    got = await shop.repository.git().run(*words, "--", ok=(0, 128))
    return (
        {path.decode("utf-8", "surrogateescape") for path in got.stdout.split(b"\0") if path} if not got.code else set()
    )

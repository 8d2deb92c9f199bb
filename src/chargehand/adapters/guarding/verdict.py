"""What the classifier says of a command (SPEC 7.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["HARMLESS", "Danger", "Kind", "Reach", "Verdict"]


class Kind(StrEnum):
    """`unparseable`: nobody could tell what the command does."""

    HARMLESS = "harmless"
    DANGEROUS = "dangerous"
    UNPARSEABLE = "unparseable"


class Reach(StrEnum):
    """`inside` ends at the workspace and the private folders, and is of no concern where a sandbox holds the agent."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Danger:
    """One reason to ask: the rule (docs/reference/dangerous-commands.md), the part it found, and why in plain words."""

    rule: str
    exact: str
    why: str
    reach: Reach = Reach.OUTSIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a command is, and every reason; a harmless one has none."""

    kind: Kind
    reasons: tuple[Danger, ...] = ()


HARMLESS = Verdict(kind=Kind.HARMLESS)

"""Whether messages reach anybody: only tried when asked for, because people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargehand.wiring.doctor.finding import Finding
from chargehand.wiring.notifying import try_out

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["try_channels"]

_AREA = "notifications"


async def try_channels(shop: Workshop) -> list[Finding]:
    """A finding for each channel that is set."""
    found = [
        Finding(area=_AREA, name=tried.name, ok=tried.ok, text=tried.text, hint=tried.hint)
        for tried in await try_out(shop)
    ]
    return found or [Finding(area=_AREA, name="notify", ok=None, text="no channel is set", hint="See [notify].")]

"""A notification of the desktop."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters import process
from chargehand.adapters.notify.channel import NotTold
from chargehand.adapters.notify.message import shortened
from chargehand.domain.errors import AdapterError
from chargehand.ports import Notice

__all__ = ["Desktop"]

_BODY_CHARS = 400
_WALL_S = 5.0
_SCRIPT = (
    *("-e", "on run argv"),
    *("-e", "display notification (item 3 of argv) with title (item 2 of argv)"),
    *("-e", "end run"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desktop:
    """Implements `Channel` with `notify-send`, or `osascript` on macOS; silent where there is no desktop."""

    env: Mapping[str, str]
    platform: str = sys.platform
    wall_s: float = _WALL_S
    name: str = "desktop"

    def missing(self) -> str:
        """The program, and a session it can reach."""
        program = "osascript" if self.platform == "darwin" else "notify-send"
        if shutil.which(program, path=self.env.get("PATH", "")) is None:
            return f"There is no {program} on PATH."
        return "" if self.platform == "darwin" or self._has_session() else "There is no desktop session."

    def _has_session(self) -> bool:
        if any(self.env.get(name) for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY")):
            return True
        runtime = self.env.get("XDG_RUNTIME_DIR", "")
        return bool(runtime) and (Path(runtime) / "bus").exists()

    async def send(self, notice: Notice) -> None:
        """Show the beginning of the message."""
        if self.missing():
            return
        argv = self._argv(notice.title, shortened(notice.text, _BODY_CHARS))
        try:
            end = await process.capture(argv, cwd=Path("/"), env=self.env, timeout_s=self.wall_s, limit=64 * 1024)
        except AdapterError as error:
            raise NotTold("process", error.message) from error
        if end.code:
            said = end.stderr.decode("utf-8", "replace").strip() or "it gave no reason"
            raise NotTold(f"exit {end.code}", f"{Path(argv[0]).name} ended with exit code {end.code}: {said}")

    def _argv(self, title: str, body: str) -> tuple[str, ...]:
        """Texts are arguments of their own, never part of a script or taken for an option.

        The first argument after the script only keeps `osascript` from reading the title as an option.
        """
        program = "osascript" if self.platform == "darwin" else "notify-send"
        found = shutil.which(program, path=self.env.get("PATH", "")) or program
        if self.platform == "darwin":
            return (found, *_SCRIPT, "chargehand", title, body)
        # the body is markup (Desktop Notifications Specification), and notify-send resolves backslashes in it
        for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\\", "\\\\")):
            body = body.replace(char, entity)
        return (found, "--", title or "Chargehand", body)

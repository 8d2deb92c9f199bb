"""A real browser without a window, to look at pages with; the tests go on without where there is none."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Browser", "find_browser"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")


@dataclass(frozen=True)
class Browser:
    """`program` keeps everything it writes below `home`."""

    program: str
    home: Path

    def _run(self, *words: str) -> bytes:
        argv = [self.program, *_FLAGS, f"--user-data-dir={self.home / 'profile'}", *words]
        env = {"HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        got = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        assert got.returncode == 0, got.stderr.decode(errors="replace")[-2000:]
        return got.stdout

    def dom(self, page: Path) -> str:
        """The page as the browser understood it, after everything in it that may run has run."""
        return self._run("--dump-dom", "--virtual-time-budget=2000", page.as_uri()).decode("utf-8")

    def picture(self, page: Path, target: Path, width: int, height: int) -> tuple[int, int]:
        """Write a picture of the upper part of the page; its size."""
        self._run(f"--window-size={width},{height}", f"--screenshot={target}", page.as_uri())
        wide, high = struct.unpack(">II", target.read_bytes()[16:24])
        return int(wide), int(high)


def find_browser(home: Path) -> Browser:
    """The browser of this machine; without one the test is skipped, and says so loudly."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("SKIPPED: no Chromium on this machine; nobody looked at the page with a browser.")
    home.mkdir(parents=True, exist_ok=True)
    return Browser(program, home)

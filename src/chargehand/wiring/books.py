"""What the tools of a plan's system are told once a result was accepted: their books are closed with it (SPEC 11)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.git.command import plain_environment
from chargehand.adapters.process import capture
from chargehand.domain.errors import AdapterError
from chargehand.domain.state import RunState
from chargehand.profiles import profile_of
from chargehand.wiring.profiling import site_of

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["close_books"]

_WALL_S = 60.0
_OUTPUT = 1 << 20
_SAID = 300


async def close_books(shop: Workshop, state: RunState) -> tuple[tuple[str, ...], str]:
    """(commands that were run, why the rest was not; empty when all went well). What was accepted stands either way.

    The program is the user's own, with its configuration; where it is not on PATH nothing is run and nothing said.
    """
    site, profile = site_of(shop, state), profile_of(state.plan.profile)
    if site is None or profile.books is None:
        return (), ""
    path = plain_environment(shop.repository.environ)["PATH"]
    done: list[str] = []
    for argv in profile.books(site, state):
        program = shutil.which(argv[0], path=path)
        if program is None:
            return tuple(done), ""
        if why := await _run(shop, site.root, (program, *argv[1:]), path):
            return tuple(done), f"`{' '.join(argv)}` failed: {why} Run it by hand."
        done.append(" ".join(argv))
    return tuple(done), ""


async def _run(shop: Workshop, root: Path, argv: tuple[str, ...], path: str) -> str:
    env = {name: value for name, value in shop.repository.environ.items() if not name.startswith("GIT_")}
    try:
        got = await capture(argv, cwd=root, env={**env, "PATH": path}, timeout_s=_WALL_S, limit=_OUTPUT)
    except AdapterError as error:
        return error.message
    if got.code == 0:
        return ""
    said = " ".join((got.stderr or got.stdout).decode("utf-8", "replace").split())[-_SAID:]
    text = "".join(letter for letter in said if letter.isprintable()).rstrip(".")
    return f"{text or f'it ended with code {got.code}'}."

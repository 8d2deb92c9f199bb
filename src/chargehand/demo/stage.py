"""The folder in which the demo takes place: a repository of its own, with the state of its runs beside it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.git.command import Git, plain_environment
from chargehand.domain.errors import UserError

__all__ = ["SAMPLE", "Stage", "set_stage"]

SAMPLE = Path(__file__).parent / "sample-project"

_PERSON = (("user.name", "Chargehand demo"), ("user.email", "demo@localhost"), ("commit.gpgsign", "false"))
_LEFT_BEHIND = ("__pycache__", ".ruff_cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`folder` holds everything, `project` is the repository in it, `base` the commit it begins with."""

    folder: Path
    project: Path
    base: str
    git: Git


async def set_stage(folder: Path | None, environ: Mapping[str, str]) -> Stage:
    """Copy the sample project into a new folder (None: a temporary one, which is kept) and commit it there.

    UserError when the folder exists and is not empty. Nobody's git configuration is read or changed: the person
    who commits is written into the repository.
    """
    place = folder.absolute() if folder else Path(tempfile.mkdtemp(prefix="chargehand-demo-"))
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        hint = "Name one that does not exist, or leave --dir out for a temporary one."
        raise UserError(f"{place} is not an empty folder.", code="folder_taken", hint=hint)
    project = place / "project"
    try:
        shutil.copytree(SAMPLE, project, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    except OSError as error:
        reason = error.strerror or "some files cannot be written"
        raise UserError(f"The demo cannot be laid out in {place}: {reason}.", code="folder_unfit") from error
    git = Git(cwd=project, env=plain_environment(environ))
    await git.run("init", "--quiet", "--template=", "--initial-branch=main")
    for name, value in _PERSON:
        await git.run("config", name, value)
    await git.run("add", "--all")
    await git.run("commit", "--quiet", "--message", "A stockroom that knows one item")
    return Stage(folder=place, project=project, base=await git.text("rev-parse", "HEAD"), git=git)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What the run is started with: nothing that would change what the demo shows, and this Python as `python3`."""
    kept = {name: value for name, value in environ.items() if not name.startswith(("CHARGEHAND_", "GIT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

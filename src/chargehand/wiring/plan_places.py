"""Where the plan of another system lies, and what that means: its files are kept beside it (SPEC 11)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from chargehand.domain.errors import UserError
from chargehand.domain.problem import Problem, Severity
from chargehand.plans.detect import READERS
from chargehand.plans.loaded import LoadedPlan
from chargehand.profiles import Site

__all__ = ["below_root", "named_from_root", "refuse_outside"]


def named_from_root(root: Path | None, path: Path) -> str:
    """A plan's file or folder as seen from the root of the work tree; the whole path where it lies outside.

    `path` is absolute; links that lead into the work tree are followed, those in it stay as they are named.
    """
    path = Path(os.path.normpath(path))
    if root is not None:
        for each in (path, path.parent.resolve() / path.name, path.resolve()):
            if each.is_relative_to(root):
                return each.relative_to(root).as_posix()
    return str(path)


def refuse_outside(site: Site, profile: str) -> None:
    """UserError (`plan_outside`) for a plan outside of the work tree: nobody would keep the files of its system."""
    if not site.source.resolve().is_relative_to(site.root.resolve()):
        text = f"The plan {site.source} lies outside of the repository {site.root}."
        hint = f"Profile {profile} keeps files beside the plan: begin the run in the repository that holds it."
        raise UserError(text, code="plan_outside", hint=hint)


def below_root(loaded: LoadedPlan, source: Path, root: Path) -> Iterator[Problem]:
    """A warning where a plan of another system lies in a project below the root: a run knows one root."""
    reader = next((each for each in READERS if each.name == loaded.reader), None)
    homes = {PurePath(place).parts[0] for place in reader.places} if reader is not None else set()
    path = Path(os.path.normpath(source))
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    at = next((number for number, part in enumerate(parts) if part in homes), 0)
    if at:
        text = f"The plan lies in {'/'.join(parts[:at])}; its files are named, and its commands run, from {root}."
        hint = "Name them from there, or keep the project in a repository of its own."
        yield Problem(code="below_root", message=text, severity=Severity.WARNING, hint=hint)

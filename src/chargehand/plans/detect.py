"""Which plan is meant, and who reads it: by content, never by name (SPEC 2.3, 10.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from chargehand.domain.errors import UserError
from chargehand.domain.problem import Problem
from chargehand.plans.dispatch import NexusReader
from chargehand.plans.factory_line import StationKitReader
from chargehand.plans.konductor import KonductorReader
from chargehand.plans.loaded import LoadedPlan
from chargehand.plans.native import parse_plan, read_lossy, read_text
from chargehand.plans.sendit import SenditReader
from chargehand.plans.task_executor import TaskExecutorReader

__all__ = ["READERS", "FoundPlan", "NativeReader", "Reader", "find_plan", "read_plan"]

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_NATIVE_KEY = re.compile(r"""(?m)^(?:\s*\{)?\s*["']?chargehand["']?\s*:""")


class Reader(Protocol):
    """Reads the plans of one system. What it cannot read it refuses; it never guesses."""

    @property
    def name(self) -> str:
        """The format's name, as in `convert --to`."""
        ...

    @property
    def wants(self) -> str:
        """What it recognises a plan by, as the end of the sentence 'it is read when …'."""
        ...

    @property
    def places(self) -> tuple[str, ...]:
        """Where plans of this system are kept, relative to the root of a project."""
        ...

    def claims(self, path: Path, text: str | None) -> bool:
        """Whether this is a plan of the system; `text` is None for a folder or what is not text."""
        ...

    def read(self, path: Path, text: str | None, source: str) -> LoadedPlan:
        """Read what it claimed; problems are part of the answer."""
        ...


class NativeReader:
    """Reads the native format."""

    name = "native"
    wants = "its top level has the key 'chargehand'"
    places = (
        "plan.yaml",
        "plan.yml",
        "plan.json",
        "chargehand.yaml",
        "chargehand.yml",
        "chargehand.json",
        ".chargehand/plan.yaml",
        ".chargehand/plan.yml",
        ".chargehand/plan.json",
    )

    def claims(self, path: Path, text: str | None) -> bool:
        """By the key `chargehand` at the beginning of a line, even when the rest is broken; by our name when empty."""
        if text is None or path.suffix.lower() not in _SUFFIXES:
            return False
        is_ours = path.stem == "chargehand" or path.parent.name == ".chargehand"
        return _NATIVE_KEY.search(text) is not None or (is_ours and not text.strip())

    def read(self, path: Path, text: str | None, source: str) -> LoadedPlan:  # noqa: ARG002 - part of `Reader`
        """Parse the text."""
        return parse_plan(text or "", source)


READERS: tuple[Reader, ...] = (
    NativeReader(),
    KonductorReader(),
    NexusReader(),
    SenditReader(),
    TaskExecutorReader(),
    StationKitReader(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPlan:
    """A plan and who reads it. `problem` says why a file that was named cannot be read at all."""

    path: Path
    source: str
    reader: Reader
    text: str | None = None
    problem: Problem | None = None

    def read(self) -> LoadedPlan:
        """Read it."""
        if self.problem is not None:
            problem = replace(self.problem, file=self.source)
            return LoadedPlan(source=self.source, problems=(problem,), reader=self.reader.name)
        return self.reader.read(self.path, self.text, self.source)


def read_plan(path: Path | None, root: Path, readers: Sequence[Reader] = READERS) -> LoadedPlan:
    """Find and read a plan; see `find_plan` for what it refuses."""
    return find_plan(path, root, readers).read()


def find_plan(path: Path | None, root: Path, readers: Sequence[Reader] = READERS) -> FoundPlan:
    """The plan that is meant: the file or folder named, else the one plan at the known places under `root`.

    `UserError` when there is none (`no_plan`), when nobody reads it (`unknown_format`), or when it could be more
    than one, or be read by more than one reader (`ambiguous_plan`).
    """
    if path is None:
        return _only(list(_at_places(root, readers)), root, readers)
    if path.is_dir():
        return _in_folder(path, readers)
    text, problem = read_text(path)
    if problem is not None:
        return FoundPlan(path=path, source=str(path), reader=NativeReader(), problem=problem)
    claimed = _claimed(path, text, str(path), readers)
    if not claimed and path.suffix.lower() in _SUFFIXES and (broken := _syntax_error(path, text)):
        return FoundPlan(path=path, source=str(path), reader=NativeReader(), text=text, problem=broken)
    if not claimed:
        raise _unknown(path, readers)
    return _only(claimed, path, readers)


def _in_folder(path: Path, readers: Sequence[Reader]) -> FoundPlan:
    found = _claimed(path, None, str(path), readers) or list(_at_places(path, readers))
    if not found:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
        found = [plan for file in files for plan in _claimed_file(file, readers)]
    return _only(found, path, readers)


def _at_places(root: Path, readers: Sequence[Reader]) -> Iterator[FoundPlan]:
    for reader in readers:
        for place in reader.places:
            path = root / place
            if path.is_dir():
                yield from _claimed(path, None, str(path), (reader,))
            elif path.is_file():
                yield from _claimed_file(path, (reader,))


def _claimed_file(path: Path, readers: Sequence[Reader]) -> list[FoundPlan]:
    """Also what cannot be read is its reader's, and told: passed over, another plan would be taken for the one."""
    text, problem = read_text(path)
    claimed = _claimed(path, read_lossy(path) if problem else text, str(path), readers)
    return [replace(found, problem=problem) for found in claimed]


def _claimed(path: Path, text: str | None, source: str, readers: Sequence[Reader]) -> list[FoundPlan]:
    return [
        FoundPlan(path=path, source=source, reader=reader, text=text) for reader in readers if reader.claims(path, text)
    ]


def _syntax_error(path: Path, text: str) -> Problem | None:
    problems = parse_plan(text, str(path)).problems
    return next((problem for problem in problems if problem.code in {"syntax", "too_large"}), None)


def _only(found: list[FoundPlan], where: Path, readers: Sequence[Reader]) -> FoundPlan:
    if len(found) == 1:
        return found[0]
    if not found:
        places = ", ".join(place for reader in readers for place in reader.places)
        raise UserError(
            f"There is no plan in {where}.",
            code="no_plan",
            hint=f"Name a plan file, or put one at one of these places: {places}.",
        )
    told = "; ".join(f"{plan.source} ({plan.reader.name})" for plan in found)
    raise UserError(f"More than one plan could be meant: {told}.", code="ambiguous_plan", hint="Name the one you mean.")


def _unknown(path: Path, readers: Sequence[Reader]) -> UserError:
    wants = "; ".join(f"{reader.name}, when {reader.wants}" for reader in readers)
    return UserError(
        f"{path} is not a plan that any reader knows.",
        code="unknown_format",
        hint=f"A file is read as {wants}.",
        file=str(path),
    )

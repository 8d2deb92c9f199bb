"""What a sandbox is asked and what it answers (SPEC 7.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Confinement", "Sandbox", "SandboxChoice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What one program may reach; all paths absolute, the same inside and outside.

    `workspace` and `writable` exist already. `readable` is bound read-only on top. `hidden` goes out of reach,
    except for the readable and writable paths inside it. `env` is the environment the program will have.
    `network` is `open` or `none`. `also` are programs that the program itself starts or becomes: what they need is
    readable, too.
    """

    workspace: Path
    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    env: Mapping[str, str]
    network: str = "open"
    also: tuple[str, ...] = ()


class Sandbox(Protocol):
    """Turns an argv into one that runs the same program confined; the result is for the process door."""

    @property
    def kind(self) -> str:
        """`bwrap`, `landlock` or `none`."""
        ...

    def wrap(self, argv: Sequence[str], confinement: Confinement) -> tuple[str, ...]:
        """The argv to start; a program that could not be executed inside is told as NOT_STARTED by the door."""
        ...

    def explain(self, program: str, confinement: Confinement) -> str:
        """Why a program cannot be executed inside, as a sentence with the next step, or an empty string."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxChoice:
    """The sandbox of a run: one line for its header, and why better ones did not work."""

    sandbox: Sandbox
    announcement: str
    problems: tuple[str, ...] = ()

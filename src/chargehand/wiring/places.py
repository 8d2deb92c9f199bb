"""Where the things of one repository live (SPEC 10.5)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from chargehand.adapters.git import Repository

__all__ = ["Places", "private_name", "run_mark", "user_state_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """State lies beside the git directory; checkouts lie outside, so that no tool in one finds the other.

    `runs` holds a folder per run, `crashes` crash reports, `agents` and `gates` the two pools of workspaces (gates
    never share one with agents), `private` the short-lived HOME and scratch folders, `cache` what package managers
    fetched, `gate_cache` the results of gates that may stand for a run.
    """

    state: Path
    runs: Path
    crashes: Path
    agents: Path
    gates: Path
    private: Path
    cache: Path
    gate_cache: Path

    @classmethod
    def of(cls, repository: Repository, state_dir: Path | None, environ: Mapping[str, str]) -> Places:
        """Everything below `state_dir` when given; else as SPEC 10.5 says."""
        if state_dir is not None:
            state, outside = state_dir, state_dir / "workspaces"
        else:
            common = repository.common_dir
            name = (repository.root or common).name.removesuffix(".git") or "repository"
            mark = hashlib.sha256(os.fsencode(common)).hexdigest()[:10]
            state, outside = common / "chargehand", user_state_folder(environ) / f"{name}-{mark}"
        return cls(
            state=state,
            runs=state / "runs",
            crashes=state / "crashes",
            agents=outside / "agents",
            gates=outside / "gates",
            private=outside / "private",
            cache=outside / "cache",
            gate_cache=state / "gate-cache",
        )


def private_name(folder: Path) -> str:
    """The name of the private folders of the run that lies in `folder`."""
    return f"{run_mark(folder):08x}"


def run_mark(folder: Path) -> int:
    """A number for the run that lies in `folder`."""
    return crc32(os.fsencode(folder))


def user_state_folder(environ: Mapping[str, str]) -> Path:
    """The XDG state directory of the user, with our name."""
    base = environ.get("XDG_STATE_HOME") or ""
    root = Path(base) if base.startswith("/") else Path(environ.get("HOME") or "~").expanduser() / ".local" / "state"
    return root / "chargehand"

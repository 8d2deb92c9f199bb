"""The real programs, in the versions that the drivers were written against, installed into a cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PROGRAMS", "NotInstalled", "Program", "cache", "install"]

INSTALL_S = 900


class NotInstalled(Exception):
    """Why a program could not be installed, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program: `package` is of npm, or of PyPI for `python`; `bin` its path below where that was installed."""

    kind: str
    title: str
    package: str
    version: str
    bin: str
    model: str
    python: bool = False

    @property
    def folder(self) -> Path:
        """Where this version of it is."""
        return cache() / f"{self.kind}-{self.version}"

    @property
    def path(self) -> Path:
        """The program itself."""
        return self.folder / self.bin


_BIN = "node_modules/.bin"
PROGRAMS = tuple(
    Program(kind=kind, title=title, package=package, version=version, bin=bin_, model=model, python=kind == "aider")
    for kind, title, package, version, bin_, model in (
        ("claude", "Claude Code", "@anthropic-ai/claude-code", "2.1.328", f"{_BIN}/claude", "claude-sonnet-4-5"),
        ("codex", "Codex", "@openai/codex", "0.169.0", f"{_BIN}/codex", "gpt-5"),
        ("gemini", "Gemini CLI", "@google/gemini-cli", "0.61.0", f"{_BIN}/gemini", "gemini-2.5-pro"),
        ("opencode", "OpenCode", "opencode-ai", "1.18.33", f"{_BIN}/opencode", "gpt-5"),
        (
            *("goose", "Goose", "@aaif/goose-binary-linux-x64", "1.52.0"),
            *("node_modules/@aaif/goose-binary-linux-x64/bin/goose", "gpt-5"),
        ),
        ("aider", "Aider", "aider-chat", "0.86.2", "bin/aider", "gpt-5"),
    )
)


def cache() -> Path:
    """CHARGEHAND_E2E_CACHE, else `chargehand-e2e` in the user's cache folder."""
    if own := os.environ.get("CHARGEHAND_E2E_CACHE"):
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "chargehand-e2e"


def install(program: Program) -> None:
    """Install it unless it is there; `NotInstalled` when that is not possible here."""
    ready = program.folder / ".ready"
    if ready.exists() and program.path.exists():
        return
    shutil.rmtree(program.folder, ignore_errors=True)
    program.folder.mkdir(parents=True)
    wanted = f"{program.package}=={program.version}" if program.python else f"{program.package}@{program.version}"
    if program.python:
        _run(program, sys.executable, "-m", "venv", str(program.folder))
        _run(program, str(program.folder / "bin/python"), "-m", "pip", "install", "-q", wanted)
    else:
        quick = ("--no-audit", "--no-fund", "--fetch-retries=1")  # without a network it says so at once
        _run(program, "npm", "install", *quick, "--prefix", str(program.folder), wanted)
    if not program.path.exists():
        raise NotInstalled(f"{wanted} was installed, and {program.path} is not there.")
    ready.touch()


def _run(program: Program, *argv: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=INSTALL_S, check=False, cwd=program.folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{program.title} cannot be installed: {error}.") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise NotInstalled(f"{program.title} cannot be installed: {last[:300]}.")

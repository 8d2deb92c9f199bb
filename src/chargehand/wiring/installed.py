"""What is there of an agent: its program, its version, its login as far as it shows, what it can do."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.agent_run import as_stream
from chargehand.adapters.agents import make_agent
from chargehand.adapters.process import capture
from chargehand.adapters.text import clean_text
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.options import AgentDef
from chargehand.ports import Agent, Capabilities
from chargehand.wiring.providers import missing_key

__all__ = ["Installed", "look_at", "offered", "version_of"]

VERSION_S = 20.0
_OUTPUT_BYTES = 256 * 1024
_VERSION = re.compile(r"\d+\.\d+[0-9A-Za-z.+-]*")
_PASSED = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What is there of an agent. `problem` says why no run can start with it, `install` how to get it.

    `login` says in words how it comes to its provider, and `has_login` whether that is there (None: nobody can tell).
    """

    agent: AgentDef
    problem: str = ""
    version: str = ""
    login: str = ""
    has_login: bool | None = None
    install: str = ""
    can: tuple[str, ...] = ()


async def look_at(agents: Sequence[AgentDef], environ: Mapping[str, str], *, replays: bool = False) -> list[Installed]:
    """Each agent; versions are asked for at the same time, and never for longer than 20 s.

    `replays`: a cassette answers in place of providers, which needs no key.
    """
    return list(await asyncio.gather(*(_look(definition, environ, replays=replays) for definition in agents)))


def offered(agents: Sequence[AgentDef]) -> list[tuple[str, str, str]]:
    """The kinds of programs that no agent of the settings is of: (kind, why its program cannot run, how to get it)."""
    from chargehand.adapters.agents import agent_kinds

    found = []
    used = {definition.kind for definition in agents}
    for kind in agent_kinds():
        if kind in used:
            continue
        try:
            agent = make_agent(AgentDef(name=kind, kind=kind))
        except UserError:
            continue  # of no use without a command of the user's
        if install := _install(agent):
            found.append((kind, agent.missing(), install))
    return found


async def _look(definition: AgentDef, environ: Mapping[str, str], *, replays: bool) -> Installed:
    try:
        agent = make_agent(definition)
        there = not (problem := agent.missing())
        problem = problem or missing_key(definition, environ, replays=replays)
    except UserError as error:
        return Installed(agent=definition, problem=error.message)
    stream = as_stream(agent)
    has_login, login = (None, "") if stream is None else _login(definition, stream.capabilities, environ)
    return Installed(
        agent=definition,
        problem=problem,
        version=await version_of(definition, environ) if there else "",
        login=login,
        has_login=has_login,
        install=_install(agent),
        can=() if stream is None else _can(stream.capabilities),
    )


def _install(agent: Agent) -> str:
    found = getattr(agent, "install", "")
    return found if isinstance(found, str) else ""


async def version_of(definition: AgentDef, environ: Mapping[str, str]) -> str:
    """What the program of a known kind answers to `--version`; empty when it does not tell, or is anybody's program.

    It is started with a HOME of its own, which is removed again.
    """
    agent = make_agent(definition)
    program = getattr(agent, "program", ())
    if not _install(agent) or not program:
        return ""
    with tempfile.TemporaryDirectory(prefix="chargehand-version-", ignore_cleanup_errors=True) as home:
        env = {name: environ[name] for name in _PASSED if name in environ} | {"HOME": home, "NO_COLOR": "1"}
        try:
            told = await capture(
                (*program, "--version"), cwd=Path(home), env=env, timeout_s=VERSION_S, limit=_OUTPUT_BYTES
            )
        except AdapterError:
            return ""
    text = clean_text((told.stdout + b"\n" + told.stderr).decode("utf-8", "replace"))
    found = _VERSION.search(text) if told.code == 0 else None
    return found[0][:60] if found else ""


def _login(definition: AgentDef, capabilities: Capabilities, environ: Mapping[str, str]) -> tuple[bool | None, str]:
    """How it comes to its provider; a login that is there may still be refused."""
    if definition.key:
        name = definition.key.removeprefix("env:")
        way = "through the meter" if definition.meter and capabilities.dialect else "without the meter"
        return (
            (True, f"key {name}, {way}")
            if environ.get(name)
            else (False, f"key {name}, which is not set: no run starts with it")
        )
    if not definition.login:
        return None, "none of its own: neither `key` nor `login` is set"
    folder = Path(definition.login)
    there = [name for name in capabilities.login if os.access(folder / name, os.R_OK)]
    if not capabilities.login:
        return None, f"login from {folder}, without the meter"
    if there:
        return True, f"login from {folder / there[0]}, without the meter"
    return False, f"login from {folder}, where no {' or '.join(capabilities.login)} is"


def _can(capabilities: Capabilities) -> tuple[str, ...]:
    named = {
        "sessions": capabilities.resume,
        "asks before tool calls": bool(capabilities.hook),
        "tells tool calls": capabilities.calls,
        "tells tokens": capabilities.tokens,
        "tells money": capabilities.cost,
        "bounds turns": capabilities.turns,
        "bounds money": capabilities.usd,
    }
    return tuple(name for name, has in named.items() if has)

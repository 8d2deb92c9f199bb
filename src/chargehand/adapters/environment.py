"""The environment of agents, gates and setup, and the ports they may listen on (SPEC 3.5).

An environment starts empty. What is passed on, what is set and who wins is one table here: passed names, then our
own, then `env.set` of the plan, then what the driver of an agent sets (a key goes where the settings say, not where a
plan says), and last the private folders and the `CHARGEHAND_` names of the contract: nobody else sets those. The
sandbox adds variables that lead version managers to their toolchains (`sandbox.home_variables`), the process door
its marker.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.folders import Room
from chargehand.adapters.sandbox import home_variables
from chargehand.adapters.text import secret_values
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import LOOKERS
from chargehand.domain.plan import EnvSpec
from chargehand.domain.secrecy import Vault
from chargehand.domain.variables import is_private
from chargehand.ports import AttemptSpec, GateJob, Places

__all__ = ["PORT_BLOCK", "Environment", "Identity", "Ports"]

PORT_BLOCK = 20
"""How many ports an attempt or a gate job has for itself."""

_PASSED = frozenset({"PATH", "LANG", "TZ", "TERM", "USER", "LOGNAME", "SHELL", "VIRTUAL_ENV"})
_PASSED_PREFIXES = ("LC_", "SSL_CERT_")
_PASSED_SUFFIXES = ("_PROXY", "_proxy")
_CONTRACT = frozenset(
    f"CHARGEHAND_{name}"
    for name in (
        *("RUN", "TASK", "ATTEMPT", "ROLE", "BASE", "TREE", "BRIEF", "RESULT", "PREVIOUS", "DIFF"),
        *("SCRATCH", "PORT_BASE", "JUNIT", "MARKER"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who commits: the repository's identity, else Chargehand."""

    name: str = "Chargehand"
    email: str = "chargehand@localhost"


class Environment:
    """Builds environments from the one Chargehand was started with (`outer`).

    `cache` is the cache folder of the repository that package managers are pointed to; None leaves them alone.
    `vault` holds the secrets of the whole run.
    """

    def __init__(
        self, *, outer: Mapping[str, str], identity: Identity, cache: Path | None = None, vault: Vault | None = None
    ) -> None:
        self._outer = dict(outer)
        self._vault = vault
        self._identity = identity
        self._cache = cache

    @property
    def cache(self) -> tuple[Path, ...]:
        """The cache folder, made when it is missing, as a sandbox wants it: none or one path."""
        if self._cache is None:
            return ()
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (self._cache,)

    def of_attempt(self, spec: AttemptSpec, places: Places, extra: Mapping[str, str]) -> dict[str, str]:
        """What an agent finds; `extra` is what its adapter adds (it may not set a name of the contract)."""
        facts = {
            "RUN": spec.run,
            "TASK": spec.task,
            "ATTEMPT": str(spec.attempt),
            "ROLE": spec.role.value,
            "BASE": spec.base,
            "BRIEF": str(places.brief),
            "RESULT": str(places.result),
            "SCRATCH": str(places.scratch),
            "PORT_BASE": str(places.port_base),
        }
        if places.previous is not None:
            facts["PREVIOUS"] = str(places.previous)
        if places.diff is not None:
            facts["DIFF"] = str(places.diff)
        if spec.role in LOOKERS and spec.tree:
            facts["TREE"] = spec.tree
        return self._build(spec.env, places.home, places.tmp, facts, extra)

    def of_setup(self, spec: AttemptSpec, room: Room, port_base: int) -> dict[str, str]:
        """What `setup` finds before an attempt; where no tree is named, a commit stands for it."""
        facts = _check_facts(spec.tree or spec.base, spec.base, room, port_base, room.out / "setup.xml")
        return self._build(spec.env, room.home, room.tmp, facts, {})

    def of_probe(self, spec: AttemptSpec, room: Room, port_base: int) -> dict[str, str]:
        """What an evidence command finds."""
        facts = _check_facts(spec.tree or spec.base, spec.base, room, port_base, room.out / "junit.xml")
        return self._build(spec.env, room.home, room.tmp, facts, {})

    def of_gate_setup(self, job: GateJob, room: Room, port_base: int) -> dict[str, str]:
        """What `setup` finds in front of a check."""
        facts = _check_facts(job.tree, job.base, room, port_base, room.out / "setup.xml")
        return self._build(job.env, room.home, room.tmp, facts, {})

    def of_check(self, job: GateJob, room: Room, port_base: int, junit: Path) -> dict[str, str]:
        """What a check finds. Its caches are its own: what runs there was written by agents, and others follow."""
        facts = _check_facts(job.tree, job.base, room, port_base, junit)
        built = self._build(job.env, room.home, room.tmp, facts, {})
        if self._cache is None:
            return built
        own = _cache_names(room.home / ".cache") | {"CARGO_HOME": str(_own_cargo(room.home, self._cache))}
        own.pop("UV_PYTHON_INSTALL_DIR")  # interpreters that setup fetched: looked at, never written
        return built | {name: value for name, value in own.items() if name not in dict(job.env.values)}

    def keys(self, names: Mapping[str, str]) -> dict[str, str]:
        """Variables with the values of others (name → name in our environment), as far as those are set."""
        return {name: self._outer[source] for name, source in names.items() if self._outer.get(source)}

    def secrets(self, env: EnvSpec) -> tuple[str, ...]:
        """The values that must not appear in anything we write: passed on or set, and secret by name or shape."""
        return secret_values({name: self._outer[name] for name in self._passed(env)} | dict(env.values))

    def vault(self, env: EnvSpec, more: Iterable[str] = ()) -> Vault:
        """The secrets of one program, and those of the run, also those that are learned while it runs."""
        return Vault((*self.secrets(env), *more), beside=self._vault)

    def _build(
        self, env: EnvSpec, home: Path, tmp: Path, facts: Mapping[str, str], extra: Mapping[str, str]
    ) -> dict[str, str]:
        built = {name: self._outer[name] for name in self._passed(env)}
        built |= self._own()
        built |= {name: value for name, value in env.values if name not in _CONTRACT and not is_private(name)}
        built |= {name: value for name, value in extra.items() if name not in _CONTRACT}
        built |= {"HOME": str(home), "TMPDIR": str(tmp)}
        built |= {f"CHARGEHAND_{name}": value for name, value in facts.items()}
        return built

    def _passed(self, env: EnvSpec) -> list[str]:
        wanted = {name for name in _PASSED.union(env.passed) - _CONTRACT if not is_private(name)}
        return [
            name
            for name in self._outer
            if name in wanted or name.startswith(_PASSED_PREFIXES) or name.endswith(_PASSED_SUFFIXES)
        ]

    def _own(self) -> dict[str, str]:
        who = self._identity
        own = {
            "GIT_AUTHOR_NAME": who.name,
            "GIT_AUTHOR_EMAIL": who.email,
            "GIT_COMMITTER_NAME": who.name,
            "GIT_COMMITTER_EMAIL": who.email,
        }
        if self._cache is not None:
            own |= _cache_names(self._cache)
            if "UV_PYTHON_INSTALL_DIR" in home_variables(self._outer):
                del own["UV_PYTHON_INSTALL_DIR"]  # the sandbox leads to the interpreters that the user has
        return own


def _check_facts(tree: str, base: str, room: Room, port_base: int, junit: Path) -> dict[str, str]:
    return {
        "TREE": tree,
        "BASE": base,
        "SCRATCH": str(room.scratch),
        "PORT_BASE": str(port_base),
        "JUNIT": str(junit),
    }


def _cache_names(cache: Path) -> dict[str, str]:
    """Where package managers keep what they have fetched.

    uv copies out of its cache: a hard link would join the workspaces of different tasks in one file. Its
    interpreters live here too, because a kept environment points to them and HOME is gone after the attempt.
    """
    return {
        "PIP_CACHE_DIR": str(cache / "pip"),
        "UV_CACHE_DIR": str(cache / "uv"),
        "UV_PYTHON_INSTALL_DIR": str(cache / "uv-python"),
        "UV_LINK_MODE": "copy",
        "npm_config_cache": str(cache / "npm"),
        "CARGO_HOME": str(cache / "cargo"),
    }


def _own_cargo(home: Path, cache: Path) -> Path:
    """A CARGO_HOME with a configuration of its own and the sources that setup fetched."""
    cargo = home / ".cargo"
    cargo.mkdir(mode=0o700, exist_ok=True)
    for name in ("registry", "git"):
        fetched, link = cache / "cargo" / name, cargo / name
        if fetched.is_dir() and not link.is_symlink():
            link.symlink_to(fetched)
    return cargo


class Ports:
    """Hands out blocks of ports; no two that are out overlap, and each was free when it was handed out.

    `start` is the block to begin with, so that runs beside each other begin at different places; below the
    range that the system takes for outgoing connections.
    """

    def __init__(self, *, first: int = 20_000, blocks: int = 600, start: int = 0) -> None:
        self._first = first
        self._blocks = blocks
        self._next = start % blocks
        self._out: set[int] = set()

    def take(self) -> int:
        """The first port of a block of `PORT_BLOCK` free ones."""
        for offset in range(self._blocks):
            block = (self._next + offset) % self._blocks
            base = self._first + block * PORT_BLOCK
            if base not in self._out and _all_free(base):
                self._out.add(base)
                self._next = (block + 1) % self._blocks
                return base
        last = self._first + self._blocks * PORT_BLOCK - 1
        raise AdapterError("ports", f"No {PORT_BLOCK} free ports in {self._first}–{last}.", retryable=True)

    def give(self, base: int) -> None:
        """Take a block back; harmless when repeated."""
        self._out.discard(base)


def _all_free(base: int) -> bool:
    """Whether nobody listens on any port of the block (a connection that is merely closing does not count)."""
    with ExitStack() as stack:
        for port in range(base, base + PORT_BLOCK):
            probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True

"""The secrets a process knows of: those of its environment, and those that settings refer to (SPEC 7.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chargehand.domain.options import AgentDef
from chargehand.domain.secrecy import Vault, secret_values
from chargehand.settings import Settings

__all__ = ["known_secrets", "learn_keys"]

_REFERENCE = "env:"


def known_secrets(environ: Mapping[str, str], settings: Settings) -> Vault:
    """What is secret by name or by shape, passed on or not, and whatever the settings take from the environment."""
    vault = Vault(secret_values(environ))
    vault.learn(filter(None, [settings.notify.webhook]))
    learn_keys(vault, environ, settings.agents)
    return vault


def learn_keys(vault: Vault, environ: Mapping[str, str], agents: Iterable[AgentDef]) -> None:
    """Take in the keys of agents, whatever the variables are called that hold them."""
    names = [agent.key.removeprefix(_REFERENCE) for agent in agents if agent.key.startswith(_REFERENCE)]
    vault.learn(environ[name] for name in names if name in environ)

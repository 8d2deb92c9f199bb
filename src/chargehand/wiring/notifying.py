"""The ways people are told, as the settings name them; and `try_out`, for `doctor`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.notify import (
    Channel,
    CommandChannel,
    Desktop,
    Fan,
    NotTold,
    Patience,
    TerminalBell,
    Webhook,
    fit,
)
from chargehand.adapters.text import clean_text, redact, secret_values
from chargehand.domain.errors import AdapterError
from chargehand.domain.plan import EnvSpec
from chargehand.ports import Notice, NoticeKind

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["LOG_NAME", "Tried", "build_notifier", "try_out"]

LOG_NAME = "notify.log"
"""The file in a run's folder that says which messages reached nobody, and why."""

_TRY_S = 30.0
_CORRECT = "Correct it in chargehand.toml or the user file."
_NOT_OURS = {
    "webhook": "The message was posted to where the setting says: look at the receiver, or name another URL.",
    "command": "The program was started as the setting says: look at what it needs.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A channel that was tried: its setting, whether a message went out, what there is to say, and the next step."""

    name: str
    ok: bool
    text: str
    hint: str = ""


def build_notifier(shop: Workshop, env: EnvSpec, folder: Path) -> Fan:
    """Everybody who is to be told about a run whose plan has `env` and whose files lie in `folder`."""
    return Fan(_channels(shop), secrets=_secrets(shop, env), log=folder / LOG_NAME)


async def try_out(shop: Workshop) -> list[Tried]:
    """Send a test message by every channel that is set, also by those whose setting comes to nothing."""
    secrets = _secrets(shop, EnvSpec())
    text = "This is a test: messages of runs will look like this."
    notice = fit(Notice(run="test", kind=NoticeKind.TEST, title="Chargehand can reach you", text=text), secrets)
    found = [
        Tried(name="notify.webhook", ok=False, text=problem.message, hint="Set it where Chargehand is started.")
        for problem in shop.settings.warnings
        if problem.code == "unset_variable"
    ]
    for channel in _channels(shop, patience=Patience(tries=1)):
        problem = await _problem(channel, notice)
        said = " ".join(redact(clean_text(problem), secrets).split()) or "A test message went out."
        hint = _CORRECT if channel.missing() else _NOT_OURS.get(channel.name, "")
        found.append(Tried(name=f"notify.{channel.name}", ok=not problem, text=said, hint=hint if problem else ""))
    return found


async def _problem(channel: Channel, notice: Notice) -> str:
    if why := channel.missing():
        return why
    try:
        async with asyncio.timeout(_TRY_S):
            await channel.send(notice)
    except NotTold as error:
        return error.text
    except AdapterError as error:
        return error.message
    except OSError as error:
        return f"{error}."
    except TimeoutError:
        return f"It did not go out within {_TRY_S:.0f} s."
    return ""


def _channels(shop: Workshop, patience: Patience | None = None) -> list[Channel]:
    wanted = shop.settings.notify
    channels: list[Channel] = []
    if wanted.bell:
        channels.append(TerminalBell())
    if wanted.desktop:
        channels.append(Desktop(env=shop.environ))
    if wanted.webhook is not None:
        channels.append(Webhook(wanted.webhook, patience=patience))
    if wanted.command is not None:
        channels.append(CommandChannel(argv=wanted.command.argv, cwd=shop.cwd, env=shop.environ))
    return channels


def _secrets(shop: Workshop, env: EnvSpec) -> tuple[str, ...]:
    """Messages leave the machine: no secret of the environment goes with them, passed on to agents or not."""
    url = shop.settings.notify.webhook
    return (*((url,) if url else ()), *secret_values({**shop.environ, **dict(env.values)}), *shop.vault.values)

"""A message made fit to leave the machine: no control sequences, no secrets, bounded (SPEC 7.3, 7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chargehand.adapters.text import clean_text, redact
from chargehand.ports import Notice

__all__ = ["fields", "fit", "one_line", "shortened"]

_LINE_CHARS = 200
_TEXT_CHARS = 3000
_MOST_CHOICES = 20


def fit(notice: Notice, secrets: Sequence[str]) -> Notice:
    """The message as it may be sent: `title` and names one line each, all of it without `secrets`."""

    def said(text: str, limit: int) -> str:
        # redacted first, so that neither a sequence inside a secret nor a cut through it saves a part
        return shortened(redact(clean_text(redact(text, secrets)), secrets), limit)

    def line(text: str) -> str:
        return one_line(said(text, _LINE_CHARS))

    return replace(
        notice,
        run=line(notice.run),
        title=line(notice.title),
        text=said(notice.text, _TEXT_CHARS),
        task=line(notice.task),
        decision=line(notice.decision),
        choices=tuple(line(choice) for choice in notice.choices[:_MOST_CHOICES]),
        command=said(notice.command, _TEXT_CHARS),
    )


def fields(notice: Notice) -> dict[str, object]:
    """The message as a JSON object, the same for every program that gets it."""
    return {
        "run": notice.run,
        "kind": notice.kind.value,
        "title": notice.title,
        "text": notice.text,
        "task": notice.task or None,
        "decision": notice.decision or None,
        "choices": list(notice.choices),
        "command": notice.command or None,
    }


def one_line(text: str) -> str:
    """`text` on one line, with single spaces."""
    return " ".join(text.split())


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, with a sign where the rest was."""
    return text if len(text) <= limit else text[: limit - 1] + "…"

"""Text from agents, gates and plans made fit to show and keep: no control sequences, no secrets (SPEC 7)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

__all__ = ["REDACTED", "clean_text", "redact", "secret_values"]

REDACTED = "[redacted]"
SHORTEST_SECRET = 8

# Every alternative also matches its unfinished form, so that no character is looked at twice.
_SEQUENCE = re.compile(
    r"""
      (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]?                                      # CSI: colours, cursor, modes
    | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]) [^\x07\x1b\x9c\n]* (?:\x07|\x1b\\|\x9c)?   # OSC, DCS, SOS, PM, APC
    | \x1b [ -/]* [0-~]?                                                        # the short ones
    """,
    re.VERBOSE,
)
_RETURN = re.compile(r"\r+\n?|\x0b|\x0c|\x85|\u2028|\u2029")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|KEY|APIKEY|CREDENTIALS?|AUTH|COOKIE|DSN|PAT)"
    r"(?:_|\d|$)|(?:TOKEN|SECRET|PASSWORD|APIKEY)$",
    re.IGNORECASE,
)
_PUBLIC = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK"})  # paths that would vanish from every message


def clean_text(text: str) -> str:
    """`text` without terminal sequences, control and bidirectional characters; only \\n and \\t are left of those.

    Every kind of line end becomes \\n; half a surrogate pair becomes the replacement character, so that the result
    can be written anywhere as UTF-8. Cleaning twice changes nothing more.
    """
    text = _SEQUENCE.sub("", text)
    text = _RETURN.sub("\n", text)
    text = _CONTROL.sub("", text)
    return _SURROGATE.sub("\ufffd", text)


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose name looks secret, and passwords inside URLs, longest first.

    Values shorter than eight characters are left out: hiding them would hide half of every text.
    """
    found = {value for name, value in environment.items() if name not in _PUBLIC and _SECRET_NAME.search(name)}
    found |= {secret for value in environment.values() if (secret := _url_password(value))}
    return tuple(sorted((value for value in found if len(value) >= SHORTEST_SECRET), key=lambda v: (-len(v), v)))


def _url_password(value: str) -> str:
    try:
        return (urlsplit(value).password or "") if "://" in value else ""
    except ValueError:
        return ""


def redact(text: str, secrets: Sequence[str]) -> str:
    """`text` with every secret of eight characters or more replaced, also in the form JSON writes it."""
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, REDACTED)
    return text


def _forms(secret: str) -> Iterable[str]:
    if len(secret) >= SHORTEST_SECRET:
        yield secret
        yield json.dumps(secret)[1:-1]
        yield json.dumps(secret, ensure_ascii=False)[1:-1]

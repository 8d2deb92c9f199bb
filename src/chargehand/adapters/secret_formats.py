"""Which texts look like secrets: formats of keys, by the detectors of a library and a few of our own (SPEC 7.3).

Only formats that nothing else has are looked for: no entropy, no names of variables. What is meant to be seen, such
as the keys of examples and the passwords of local services, is let through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from chargehand.domain.secrecy import REDACTED, SHORTEST_SECRET, Vault, secret_values

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

__all__ = ["HINT", "Spotted", "is_excused", "is_generated", "spot", "without_secrets"]

HINT = re.compile(
    rb"A3T|A[BKS]IA|ACCA|[Aa][Ww][Ss]|gh[pousr]_|github_pat_|gl[a-z]{2,4}-|xox|xapp-|hooks\.slack|k_live_|SG\.|eyJ|sk-"
    rb"|PRIVATE KEY|PuTTY|://[^/\s:@]*:[^/\s@]|npm_|AIza|GOCSPX-|pypi-|hf_|AccountKey="
)
"""A text without this holds nothing that could be spotted: most need not be looked at closely."""

_FORMATS = (
    ("AWS Access Key", r"(?:A3T[A-Z0-9]|A[BKS]IA|ACCA)[0-9A-Z]{16}", r"(?![A-Z0-9])"),
    ("Anthropic API Key", r"sk-ant-[a-z0-9]{2,}-[\w-]{20,}", ""),
    ("OpenAI API Key", r"sk-(?:(?:proj|svcacct|admin)-[\w-]{40,}|[\w-]{20,}T3BlbkFJ[\w-]{20,})", ""),
    ("Google API Key", r"AIza[\w-]{35}", r"(?![\w-])"),
    ("Google OAuth Secret", r"GOCSPX-[\w-]{28}", r"(?![\w-])"),
    ("GitHub Token", r"(?:gh[pousr]_\w{36}|github_pat_\w{22,})", ""),
    ("npm Token", r"npm_[A-Za-z0-9]{36}", r"(?![A-Za-z0-9])"),
    ("GitLab Token", r"gl(?:pat|ptt|dt|rt|oas|cbt|soat|agent)-[\w-]{20,}", ""),
    ("Slack Token", r"(?:xapp|xoxe(?:\.xox[bp])?)-\d-[\w-]{20,}", ""),
    ("Slack Token", r"xox[abeoprs]-\d{6,}-[\w-]{10,}", ""),
    ("PyPI Token", r"pypi-AgE[\w-]{50,}", ""),
    ("Azure Storage Key", r"AccountKey=[A-Za-z0-9+/]{86}==", ""),
    ("Hugging Face Token", r"hf_[A-Za-z]{34}", r"(?![A-Za-z0-9])"),
)
"""Kind, form, and what may not follow where nothing but the key is meant."""

_FRONTS = {"AWS Access Key": r"(?<![A-Z0-9])"}  # a word in small letters may stand right before or behind it
_OWN = tuple(
    (kind, re.compile(_FRONTS.get(kind, r"(?<![A-Za-z0-9])") + form + behind)) for kind, form, behind in _FORMATS
)
_ELSEWHERE = (
    r"[sr]k_live_[0-9a-zA-Z]{24,}",
    r"SG\.[\w-]{22}\.[\w-]{43}",
    r"eyJ[\w-]{10,}\.eyJ[\w-]{4,}\.[\w-]{8,}",
)
_ANYWHERE = re.compile("|".join((*(form for _, form, _ in _FORMATS), *_ELSEWHERE)))
"""Whatever stands around them: too much for a gate, but what is shown loses nothing by it."""

_PLUGINS = (
    ("aws", "AWSKeyDetector"),
    ("slack", "SlackDetector"),
    ("stripe", "StripeDetector"),
    ("sendgrid", "SendGridDetector"),
    ("jwt", "JwtTokenDetector"),
    ("private_key", "PrivateKeyDetector"),
    ("basic_auth", "BasicAuthDetector"),
)
_BASIC_AUTH = "Basic Auth Credentials"
_PRIVATE_KEY = "Private Key"
_KEY_LINES = 100
_WINDOW = 8_000
_OVERLAP = 600
_EXCUSED = re.compile(r"pragma: ?(?:allow|white)list[ -]secret\b")
_NEXT_EXCUSED = re.compile(r"pragma: ?(?:allow|white)list[ -]nextline[ -]secret\b")
_MADE_UP = re.compile(
    r"example|dummy|fake|placeholder|redacted|change.?me|your.|x{6}|\*{3}|\.{3}|(.)\1{7}|[$%{<]", re.IGNORECASE
)
_LOCAL = re.compile(r"(?:localhost|127\.|0\.0\.0\.0|\[::1\]|[\w.-]*\bexample\b|host\b|hostname\b)", re.IGNORECASE)
_GENERATED = re.compile(
    r"(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|go\.sum|[^/]*\.lock(?:\.json)?|[^/]*\.min\.(?:js|css)"
    r"|[^/]*\.map)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spotted:
    """Something in line `line` (from 1) that looks like a secret; `value` is never shown."""

    line: int
    kind: str
    value: str = field(repr=False)


def is_generated(path: str) -> bool:
    """Whether programs write the file, and fill it with hashes: lock files and the like."""
    return _GENERATED.search(path) is not None


def is_excused(lines: Sequence[str], number: int) -> bool:
    """Whether somebody says of line `number` (from 1) that it is none: the usual mark, on it or on the line before."""
    line, before = lines[number - 1], lines[number - 2] if number > 1 else ""
    return _EXCUSED.search(line) is not None or _NEXT_EXCUSED.search(before) is not None


def spot(lines: Sequence[str], numbers: Sequence[int]) -> Iterator[Spotted]:
    """What looks like a secret in the lines of these numbers, in order; excused ones are left out."""
    for number in numbers:
        line = lines[number - 1]
        if HINT.search(line.encode("utf-8", "replace")) and not is_excused(lines, number):
            yield from _in_line(lines, number)


def _in_line(lines: Sequence[str], number: int) -> Iterator[Spotted]:
    seen: set[str] = set()
    line = lines[number - 1]
    if "PRIVATE KEY" in line:
        line = "\n".join(lines[number - 1 : number + 3])  # the header alone is no secret
    for start in range(0, max(1, len(line)), _WINDOW):
        window = line[start : start + _WINDOW + _OVERLAP]
        for kind, value in _matches(window):
            if kind == _PRIVATE_KEY:
                value = "\n".join(islice(lines, number - 1, number + _KEY_LINES))  # noqa: PLW2901
                value = value.partition("-----END")[0]  # noqa: PLW2901
            if value not in seen:
                seen.add(value)
                yield Spotted(line=number, kind=kind, value=value)


def _matches(text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _OWN:
        for found in pattern.finditer(text):
            if not _MADE_UP.search(found[0]):
                yield kind, found[0]
    for plugin in _plugins():
        for value in plugin.analyze_string(text):
            if value and not _is_harmless(plugin.secret_type, value, text):
                yield plugin.secret_type, value


@cache
def _plugins() -> tuple[BasePlugin, ...]:
    """The library is loaded when there is something to look at closely: that takes longer than most looking."""
    from importlib import import_module

    package = "detect_secrets.plugins"
    return tuple(getattr(import_module(f"{package}.{module}"), name)() for module, name in _PLUGINS)


def _is_harmless(kind: str, value: str, text: str) -> bool:
    if kind == _PRIVATE_KEY:
        return False
    if _MADE_UP.search(value) or len(value) < SHORTEST_SECRET:
        return True
    if kind == _BASIC_AUTH:
        known_to_all = not secret_values({"PASSWORD": value})
        return known_to_all or _LOCAL.match(text.partition(f":{value}@")[2]) is not None
    return kind.startswith("AWS") and re.fullmatch(r"[0-9a-f]{40}", value) is not None  # the name of a commit


def without_secrets(text: str) -> str:
    """The text without what looks like a secret, for showing what others wrote."""
    if not HINT.search(text.encode("utf-8", "replace")):
        return text
    lines = text.split("\n")
    found = [spotted.value for spotted in spot(lines, range(1, len(lines) + 1))]
    shown = (Vault(found).text(text) if found else text).split("\n")
    whole = len(shown) == len(lines)  # else a key of several lines is gone, and nothing is said of its lines
    return "\n".join(
        line if whole and is_excused(lines, number) else _ANYWHERE.sub(_unless_made_up, line)
        for number, line in enumerate(shown, 1)
    )


def _unless_made_up(found: re.Match[str]) -> str:
    return found[0] if _MADE_UP.search(found[0]) else REDACTED

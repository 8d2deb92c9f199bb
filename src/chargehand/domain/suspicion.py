"""Texts that deserve a second look: unfinished, addressed to the agent rather than to the task, or secret."""

from __future__ import annotations

import re

__all__ = ["injection_in", "placeholder_in", "secret_in"]

_MARKS = "|".join(word.upper() for word in ("tbd", "tba", "todo", "fixme", "xxx"))
_PLACEHOLDER = re.compile(
    rf"""
    \b(?:{_MARKS})\b(?!s?[ _-](?:apps?|lists?|items?|apis?|entr|models?|service))
    | (?i: \b(?:similar|same|identical)\s+(?:to|as)\s+(?:the\s+)?(?:previous\s+)?task\b )
    | (?i: \bto\s+be\s+(?:determined|decided|defined|done|announced)\b )
    | (?i: \blorem\s+ipsum\b | \bfill\s+(?:this|me)\s+in\b | \bimplement\s+later\b | \bdetails\s+to\s+follow\b )
    | <(?i:placeholder|insert|your)\b[^<>]{{0,40}}>
    """,
    re.VERBOSE,
)
_INJECTION = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:previous|prior|above|earlier|preceding|existing|system)\b
      .{0,30}\b(?:instructions?|prompts?|rules?|messages?|context)\b
    | \b(?:ignore|disregard|forget)\b.{0,20}\b(?:all|any|your)\b.{0,20}\b(?:instructions?|rules?)\b
    | \b(?:reveal|print|show|repeat|leak)\b.{0,20}\b(?:your|the)\s+(?:system|hidden|initial)\s+(?:prompt|instructions?)
    | \byou\s+are\s+(?:now|no\s+longer)\b
    | \b(?:do\s+not|don't|never)\s+(?:tell|inform|mention\s+(?:this|it)\s+to|alert)\s+(?:the\s+|any\s+)?
      (?:user|human|operator)
    | <\|(?:im_start|im_end|system|endoftext)\|> | </?(?:system|assistant)> | \[/?INST\]
    | ^\s*(?:new\s+instructions|system\s+prompt|system\s+message)\s*:
    | \bexfiltrat
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\U000e0000-\U000e007f]"
)
_SECRET = re.compile(
    r"""
    \b(?:sk|pk|rk)[-_](?:ant-|proj-|live_|test_)?[A-Za-z0-9_-]{20,}
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,} | \bglpat-[A-Za-z0-9_-]{16,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,} | \bA(?:KIA|SIA)[A-Z0-9]{16}\b | \bAIza[A-Za-z0-9_-]{30,}
    | \bhf_[A-Za-z0-9]{20,} | \bnpm_[A-Za-z0-9]{30,} | \bpypi-[A-Za-z0-9_-]{30,} | \bya29\.[A-Za-z0-9_-]{20,}
    | \beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    | ://[^\s/:@]+:[^\s/@]{6,}@
    """,
    re.VERBOSE,
)


def placeholder_in(text: str) -> str:
    """The first words that say a text is not finished; empty when there are none."""
    found = _PLACEHOLDER.search(text)
    return " ".join(found[0].split()) if found else ""


def injection_in(text: str) -> str:
    """The first words that read like orders to the agent instead of a description, or a hidden character.

    A hidden character (bidirectional override, zero width, terminal control) is told as `U+XXXX`.
    """
    hidden = _HIDDEN.search(text)
    if hidden:
        return f"U+{ord(hidden[0]):04X}"
    found = _INJECTION.search(text)
    return " ".join(found[0].split()) if found else ""


def secret_in(text: str) -> bool:
    """Whether the text looks like an API key, a token, a private key or a URL with a password."""
    return _SECRET.search(text) is not None
